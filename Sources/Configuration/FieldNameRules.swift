import Authorization
import Bytes
import HTTP
import JSON

/// Which fields a configuration may name where.
enum FieldNameRules {
    /// Why a route cannot write or remove a request field of this name, if it cannot.
    static func faultInRequest(_ name: String) -> String? {
        guard isToken(name) else { return "\"\(name)\" is no field name" }
        switch kind(name) {
        case .host: return "\"upstreamHost\" decides about \(name)"
        case .via, .forwarded, .xForwardedFor, .xForwardedHost, .xForwardedProto, .xRequestID:
            return "the proxy writes \(name) itself"
        default: return faultOfFraming(name)
        }
    }

    /// Why a route cannot write or remove a response field of this name, if it cannot.
    static func faultInResponse(_ name: String) -> String? {
        isToken(name) ? faultOfFraming(name) : "\"\(name)\" is no field name"
    }

    /// Why a field's value cannot be sent as it stands (RFC 9110, section 5.5), if it cannot.
    static func faultOfValue(_ value: String) -> String? {
        if value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) {
            return "a field's value has no controls"
        }
        return value.hasPrefix(" ") || value.hasSuffix(" ")
            ? "a field's value neither begins nor ends with a space" : nil
    }

    /// Whether back ends may take two names for the same: case, `_`, `.` and `-` do not count.
    static func comparable(_ name: String) -> [UInt8] {
        name.utf8.map {
            $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
                ? UInt8(ascii: "-") : ASCII.lowercased($0)
        }
    }

    /// `identityHeaders`.
    static func identityHeaders(_ root: ObjectReader) -> [String] {
        var names: [String] = []
        for text in root.strings("identityHeaders") ?? [] {
            let name = text.value.hasSuffix("*") ? String(text.value.dropLast()) : text.value
            if !isToken(name) || name.contains("*") {
                root.diagnostics.error("\"\(text.value)\" is no field name", at: text.offset)
            } else if kind(name) == .authorization || kind(name) == .host
                || faultOfFraming(name) != nil
            {
                root.diagnostics.error(
                    "\(text.value) is no identity header: requests need it", at: text.offset)
            }
            names.append(text.value)
        }
        return names
    }

    /// Every field that a route writes into requests, and those about clients' certificates.
    /// Authorization is judged by itself.
    static func written(
        by routes: [Configuration.Route], andAbout listeners: [Configuration.Listener]
    ) -> [String] {
        var known: Set<[UInt8]> = []
        let written =
            routes.flatMap { route in
                route.rules.claimHeaders.map(\.field) + route.requestFields.set.map(\.name)
            }
            + listeners.compactMap(\.tls).flatMap { tls in
                [tls.subjectHeader, tls.thumbprintHeader].compactMap { $0 }
            }
        return written.filter {
            kind($0) != .authorization && known.insert(comparable($0)).inserted
        }
    }

    /// Every field that a route writes into requests, where it is named, before routes are read:
    /// what is malformed there is reported then.
    static func written(in root: ObjectReader) -> [Located<String>] {
        let routes = (root.value("routes")?.array ?? []).compactMap(\.object)
        let members = routes.flatMap { route in
            (route["claimHeaders"]?.object?.members ?? [])
                + (route["requestHeaders"]?.object?["set"]?.object?.members ?? [])
        }
        return members.map { Located(value: $0.name, offset: $0.nameOffset) }
    }

    /// The kind of a field, look-alikes included.
    static func kind(_ name: String) -> FieldKind {
        FieldKind(name: comparable(name).span)
    }

    private static func isToken(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { ASCII.isTokenCharacter($0) }
    }

    private static func faultOfFraming(_ name: String) -> String? {
        let kind = kind(name)
        let isFraming =
            kind.isHopByHop || kind == .contentLength || kind == .trailer || kind == .expect
        return isFraming ? "\(name) belongs to the connection" : nil
    }
}
