import Authorization
import Bytes
import HTTP
import JSON
import JWT

/// `routes`.
struct RouteDecoder {
    private let root: ObjectReader
    private let diagnostics: Diagnostics
    /// Names from the file, so that a faulty issuer or upstream is not reported as unknown too.
    private let issuers: [String]
    private let upstreams: [String]

    init(_ root: ObjectReader) {
        self.root = root
        diagnostics = root.diagnostics
        issuers = root.value("issuers")?.object?.members.map(\.name) ?? []
        upstreams = root.value("upstreams")?.object?.members.map(\.name) ?? []
    }

    func decode() -> [Configuration.Route] {
        guard root.has("routes"), let elements = root.elements("routes") else { return [] }
        if elements.isEmpty {
            diagnostics.error(
                "\"routes\" is empty: nothing would be forwarded",
                at: root.value("routes")?.offset ?? root.offset)
        }
        var routes: [Configuration.Route] = []
        var twins = TwinRoutes()
        for element in elements {
            guard let reader = ObjectReader(element, as: SchemaTables.route, diagnostics) else {
                continue
            }
            let pattern = pattern(reader)
            let rest = route(reader, pattern)
            if let pattern {
                let name = reader.string("name")
                twins.check(pattern, name, at: element.offset, diagnostics)
            }
            if let rest { routes.append(rest) }
        }
        return routes
    }

    private func route(_ reader: ObjectReader, _ pattern: RoutePattern?) -> Configuration.Route? {
        let access = access(reader)
        let isAudited = reader.choice("mode") == "audit"
        let requirements = RequirementDecoder(reader: reader, issuers: issuers).decode()
        checkAccess(reader, access, isAudited: isAudited)
        let upstream = upstream(reader)
        let rewrite = RewriteDecoder.rewrite(reader, pattern)
        let upstreamHost = RewriteDecoder.upstreamHost(reader)
        let forwardToken = reader.boolean("forwardToken")
        let fields = FieldDecoder(reader: reader, forwardsToken: forwardToken)
        let claimHeaders = fields.claimHeaders()
        let requestFields = fields.requestFields(besides: claimHeaders)
        let responseFields = fields.responseFields()
        let timeouts = timeouts(reader)
        let maxBody = reader.size("maxBody")
        guard let pattern, let upstream else { return nil }
        var rules = RouteRules(name: name(reader), pattern: pattern)
        rules.access = access
        rules.mode = isAudited ? .audit : .enforce
        rules.issuers = requirements.issuers
        rules.audiences = requirements.audiences
        rules.scopes = requirements.scopes
        rules.claims = requirements.claims
        rules.claimHeaders = claimHeaders.map(\.value)
        return Configuration.Route(
            rules: rules, upstream: upstream, rewrite: rewrite, upstreamHost: upstreamHost,
            forwardToken: forwardToken, requestFields: requestFields,
            responseFields: responseFields, timeouts: timeouts, maxBody: maxBody)
    }

    /// The name given, or host and path.
    private func name(_ reader: ObjectReader) -> String {
        reader.string("name")?.value
            ?? (reader.value("host")?.string ?? "") + (reader.value("path")?.string ?? "")
    }

    private func access(_ reader: ObjectReader) -> RouteRules.Access {
        switch reader.choice("access") {
        case "public": .open
        case "optional": .optional
        default: .token
        }
    }

    private func checkAccess(
        _ reader: ObjectReader, _ access: RouteRules.Access, isAudited: Bool
    ) {
        guard access == .open else {
            if issuers.isEmpty, root.value("issuers")?.object?.members.isEmpty ?? true {
                diagnostics.error(
                    "the route needs tokens, but \"issuers\" has nobody to issue them",
                    at: reader.offset, hint: "an open route says \"access\": \"public\"")
            }
            return
        }
        for key in ["scopes", "claims", "audiences", "issuers", "claimHeaders"] {
            guard reader.has(key) else { continue }
            diagnostics.error(
                "\"\(key)\" contradicts \"access\": \"public\", which reads no token",
                at: nameOffset(of: key, reader),
                hint: "\"access\": \"optional\" checks a token where there is one")
        }
        if isAudited {
            diagnostics.error(
                "\"mode\": \"audit\" contradicts \"access\": \"public\", which refuses nothing",
                at: nameOffset(of: "mode", reader))
        }
    }

    private func nameOffset(of key: String, _ reader: ObjectReader) -> Int {
        reader.object.members.first { $0.name == key }?.nameOffset ?? reader.offset
    }

    private func upstream(_ reader: ObjectReader) -> Int? {
        guard let name = reader.string("upstream") else { return nil }
        if let index = upstreams.firstIndex(where: { $0.isExactly(name.value) }) { return index }
        diagnostics.error(
            "there is no upstream \"\(name.value)\"", at: name.offset,
            hint: Suggestion.hint(for: name.value, among: upstreams))
        return nil
    }

    private func timeouts(_ reader: ObjectReader) -> Configuration.RouteTimeouts {
        let timeouts = reader.object("timeouts", as: SchemaTables.routeTimeouts)
        return Configuration.RouteTimeouts(
            connect: timeouts?.duration("connect"), response: timeouts?.duration("response"),
            stream: timeouts?.duration("stream"))
    }

    // MARK: Host, path, methods

    private func pattern(_ reader: ObjectReader) -> RoutePattern? {
        let quirks = quirks(reader)
        let host = host(reader)
        let methods = methods(reader)
        guard let path = reader.string("path"), let host else { return nil }
        do {
            return RoutePattern(
                host: host, path: try PathPattern(path.value, allowing: quirks),
                methods: methods, unsafePaths: quirks)
        } catch {
            let (message, hint) = PatternText.of(error)
            diagnostics.error("\"path\": \(message)", at: path.offset, hint: hint)
            return nil
        }
    }

    private func quirks(_ reader: ObjectReader) -> PathQuirks {
        var quirks: PathQuirks = []
        for choice in reader.choices("unsafePaths") ?? [] {
            switch choice.value {
            case "parameters": quirks.insert(.parameters)
            case "encoded-slash": quirks.insert(.encodedSlash)
            default: quirks.insert(.emptySegments)
            }
        }
        return quirks
    }

    private func host(_ reader: ObjectReader) -> HostPattern? {
        guard reader.has("host") else { return .any }
        guard let text = reader.string("host") else { return nil }
        if let host = HostPattern(text.value) { return host }
        diagnostics.error(
            "\"host\" is no host", at: text.offset,
            hint: "write \"api.example.com\" or \"*.example.com\", without scheme and port")
        return nil
    }

    private func methods(_ reader: ObjectReader) -> [String]? {
        guard reader.has("methods"), let texts = reader.strings("methods") else { return nil }
        if reader.elements("methods")?.isEmpty == true {
            diagnostics.error(
                "\"methods\" is empty", at: reader.value("methods")?.offset ?? reader.offset,
                hint: "leave it out for all methods")
        }
        var methods: [String] = []
        for text in texts {
            if let (message, hint) = PatternText.faultOfMethod(text.value) {
                diagnostics.error(message, at: text.offset, hint: hint)
            } else if methods.contains(text.value) {
                diagnostics.error("\(text.value) stands twice in \"methods\"", at: text.offset)
            }
            methods.append(text.value)
        }
        return methods
    }
}

/// Finds routes of one host and path that share a method, and names that stand twice.
private struct TwinRoutes {
    private struct Key: Hashable {
        let host: HostPattern
        let path: PathPattern
    }

    private var places: [Key: [(methods: [String]?, offset: Int)]] = [:]
    private var names: [String: Int] = [:]

    mutating func check(
        _ pattern: RoutePattern, _ name: Located<String>?, at offset: Int,
        _ diagnostics: Diagnostics
    ) {
        let key = Key(host: pattern.host, path: pattern.path)
        for twin in places[key] ?? [] {
            if let own = pattern.methods, let other = twin.methods {
                guard let shared = own.first(where: { other.contains($0) }) else { continue }
                diagnostics.error(
                    "the same host and path, and \(shared) too, as the route", at: offset,
                    other: twin.offset)
            } else if pattern.methods == nil, twin.methods == nil {
                diagnostics.error(
                    "the same host and path, neither with \"methods\", as the route", at: offset,
                    other: twin.offset)
            }
        }
        places[key, default: []].append((pattern.methods, offset))
        guard let name else { return }
        if let other = names[name.value] {
            diagnostics.error("the same name as the route's", at: name.offset, other: other)
        } else {
            names[name.value] = name.offset
        }
    }
}
