import Bytes
import JSON
import JWT

/// `issuers.NAME.issuer` with `tenants`.
struct TenantDecoder {
    /// The `iss` of the issuer's tokens; nil where there is a problem.
    static func name(_ reader: ObjectReader) -> IssuerName? {
        guard let text = reader.string("issuer") else { return nil }
        if reader.has("tenants") {
            guard let pattern = pattern(text, of: "issuer", reader.diagnostics) else { return nil }
            if !text.value.contains("?") { return .pattern(pattern, text) }
            reader.diagnostics.error("\"issuer\": a pattern has no query", at: text.offset)
            return nil
        }
        if !text.value.contains(TenantRules.placeholder) { return .exact(text) }
        reader.diagnostics.error(
            "\"issuer\": \"{tenant}\" needs \"tenants\"", at: text.offset,
            hint: "say which are admitted: \"tenants\": { \"allow\": [\"…\"] }")
        return nil
    }

    /// A text as a pattern, or a report.
    static func pattern(
        _ text: Located<String>, of key: String, _ diagnostics: Diagnostics
    ) -> TenantPattern? {
        do throws(TenantPattern.Fault) {
            return try TenantPattern(text.value)
        } catch {
            let message =
                switch error {
                case .notOnce: "\"{tenant}\" must stand in it once"
                case .braces: "nothing but \"{tenant}\" stands in braces"
                case .notASegment: "\"{tenant}\" stands for one whole segment of a URL's path"
                case .notAURL: "a pattern must be a URL"
                }
            diagnostics.error(
                "\"\(key)\": \(message)", at: text.offset,
                hint: "write it as in \"https://login.example.com/{tenant}/v2.0\"")
            return nil
        }
    }

    /// Which tenants are admitted; nil where the issuer has none, or a problem.
    static func rules(_ issuer: ObjectReader, of name: IssuerName?) -> TenantRules? {
        guard let value = issuer.value("tenants"),
            let reader = ObjectReader(value, as: SchemaTables.tenants, issuer.diagnostics)
        else { return nil }
        let allow = allowed(reader)
        let claim = claim(reader)
        if !reader.has("allow"), !reader.has("claim") {
            reader.diagnostics.error(
                "\"tenants\" needs \"allow\" or \"claim\"", at: reader.offset,
                hint: "\"allow\" names them; \"claim\" alone takes all that the issuer has")
        }
        let most = most(reader, allow?.count ?? 0)
        guard case .pattern(_, let text) = name, let most else { return nil }
        var rules = TenantRules(pattern: text.value, allowed: allow, claim: claim)
        rules?.maxTenants = most
        return rules
    }

    private static func allowed(_ reader: ObjectReader) -> [String]? {
        guard let elements = reader.elements("allow") else { return nil }
        if elements.isEmpty {
            reader.diagnostics.error(
                "\"allow\" is empty: no token would pass",
                at: reader.value("allow")?.offset ?? reader.offset)
        }
        var seen: [Located<String>] = []
        for text in reader.strings("allow") ?? [] {
            if let twin = seen.first(where: { $0.value.isExactly(text.value) }) {
                reader.diagnostics.error(
                    "\"\(text.value)\" stands here and", at: text.offset, other: twin.offset)
            } else if !TenantRules.isName(text.value) {
                reader.diagnostics.error(
                    "no tenant has this name", at: text.offset,
                    hint: "it has 1 to 128 of A-Z, a-z, 0-9, \".\", \"_\" and \"-\"")
            }
            seen.append(text)
        }
        return seen.map(\.value)
    }

    private static func claim(_ reader: ObjectReader) -> ClaimName? {
        guard let text = reader.string("claim") else { return nil }
        let name = ClaimName(text.value)
        if name == nil {
            reader.diagnostics.error(
                "no JSON Pointer: \"~\" stands before 0 or 1", at: text.offset)
        }
        return name
    }

    /// As many as are named have room unless the file says otherwise.
    private static func most(_ reader: ObjectReader, _ named: Int) -> Int? {
        guard let most = reader.integer("max") else { return nil }
        guard let value = reader.value("max") else { return max(most, named) }
        if most < named {
            reader.diagnostics.warning(
                "\"max\" is less than the \(named) tenants of \"allow\"", at: value.offset,
                hint: "the keys of those who come seldom will be fetched again and again")
        }
        return most
    }
}
