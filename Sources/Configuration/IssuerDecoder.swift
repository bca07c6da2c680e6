import JSON
import JWT
import OpenSSL

/// `issuers`.
struct IssuerDecoder {
    let files: FileAccess
    let checksKeyFiles: Bool

    func decode(_ root: ObjectReader) -> [Configuration.Issuer] {
        var issuers: [Configuration.Issuer] = []
        var names: [(issuer: IssuerName, name: String)] = []
        for member in root.members("issuers") {
            guard let reader = ObjectReader(member.value, as: SchemaTables.issuer, root.diagnostics)
            else { continue }
            let issuer = TenantDecoder.name(reader)
            if let issuer {
                if let twin = names.first(where: { $0.issuer.isAmbiguous(with: issuer) }) {
                    root.diagnostics.error(
                        issuer.isPattern
                            ? "an \"iss\" can fit this and \"\(twin.name)\""
                            : "the same \"issuer\" as \"\(twin.name)\"",
                        at: issuer.text.offset, other: twin.issuer.text.offset)
                }
                names.append((issuer, member.name))
            }
            issuers.append(self.issuer(member.name, issuer, reader))
        }
        return issuers
    }

    private func issuer(
        _ name: String, _ issuer: IssuerName?, _ reader: ObjectReader
    ) -> Configuration.Issuer {
        var rules = IssuerRules(
            name: name, issuer: issuer?.text.value ?? "", audiences: audiences(reader))
        rules.tenants = TenantDecoder.rules(reader, of: issuer)
        rules.allowsNoAudience = reader.boolean("unsafeNoAudience")
        rules.allowsNoExpiry = reader.boolean("unsafeNoExpiry")
        rules.leeway = reader.duration("leeway")?.wholeSeconds ?? 0
        rules.maxLifetime = reader.duration("maxLifetime")?.wholeSeconds
        rules.types = types(reader)
        rules.requiredClaims = claimNames("requiredClaims", reader)
        rules.scopeClaims = claimNames("scopeClaims", reader)
        let algorithms = reader.choices("algorithms")
        if let algorithms, algorithms.isEmpty, reader.elements("algorithms")?.isEmpty == true {
            reader.diagnostics.error(
                "\"algorithms\" is empty: no token would pass",
                at: reader.value("algorithms")?.offset ?? reader.offset)
        }
        rules.algorithms = algorithms?.compactMap { SignatureAlgorithm(name: $0.value) }
        let source = KeySourceDecoder(
            files: files, checksKeyFiles: checksKeyFiles, issuer: issuer
        ).decode(reader, algorithms ?? [], &rules)
        if case .fetched(let keys) = source { rules.tenants?.sharesKeys = !keys.isPerTenant }
        return Configuration.Issuer(rules: rules, keys: source ?? .secret)
    }

    private func audiences(_ reader: ObjectReader) -> [String] {
        let audiences = reader.strings("audiences")
        if reader.value("unsafeNoAudience")?.bool != true {
            let hint = "without them tokens meant for others pass: \"unsafeNoAudience\": true"
            if let value = reader.value("audiences") {
                if value.array?.isEmpty == true {
                    reader.diagnostics.error("\"audiences\" is empty", at: value.offset, hint: hint)
                }
            } else {
                reader.diagnostics.error(
                    "\(reader.schema.name) lacks \"audiences\"", at: reader.offset, hint: hint)
            }
        }
        return audiences?.map(\.value) ?? []
    }

    private func types(_ reader: ObjectReader) -> [String?] {
        guard let elements = reader.elements("types") else { return [] }
        if elements.isEmpty {
            reader.diagnostics.error(
                "\"types\" is empty: no token would pass",
                at: reader.value("types")?.offset ?? reader.offset)
        }
        var types: [String?] = []
        for element in elements {
            if element.isNull {
                types.append(nil)
            } else if let text = reader.string(element, "each of \"types\" that is not null") {
                types.append(text.value)
            }
        }
        return types
    }

    private func claimNames(_ key: String, _ reader: ObjectReader) -> [ClaimName] {
        (reader.strings(key) ?? []).compactMap { text in
            let name = ClaimName(text.value)
            if name == nil {
                reader.diagnostics.error(
                    "no JSON Pointer: \"~\" stands before 0 or 1", at: text.offset)
            }
            return name
        }
    }
}
