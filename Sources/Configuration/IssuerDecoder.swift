import Bytes
import JSON
import JWT
import OpenSSL

/// `issuers`.
struct IssuerDecoder {
    let files: FileAccess
    let checksKeyFiles: Bool

    func decode(_ root: ObjectReader) -> [Configuration.Issuer] {
        var issuers: [Configuration.Issuer] = []
        var names: [(issuer: Located<String>, name: String)] = []
        for member in root.members("issuers") {
            guard let reader = ObjectReader(member.value, as: SchemaTables.issuer, root.diagnostics)
            else { continue }
            let issuer = reader.string("issuer")
            if let issuer {
                if let twin = names.first(where: { $0.issuer.value.isExactly(issuer.value) }) {
                    root.diagnostics.error(
                        "the same \"issuer\" as \"\(twin.name)\"", at: issuer.offset,
                        other: twin.issuer.offset)
                }
                names.append((issuer, member.name))
            }
            issuers.append(self.issuer(member.name, issuer?.value ?? "", reader))
        }
        return issuers
    }

    private func issuer(
        _ name: String, _ issuer: String, _ reader: ObjectReader
    ) -> Configuration.Issuer {
        var rules = IssuerRules(name: name, issuer: issuer, audiences: audiences(reader))
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
        let source = keySource(reader, algorithms ?? [], &rules)
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

    // MARK: Keys

    private func keySource(
        _ reader: ObjectReader, _ algorithms: [Located<String>], _ rules: inout IssuerRules
    ) -> Configuration.KeySource? {
        guard let value = reader.value("keys"),
            let keys = ObjectReader(value, as: SchemaTables.keys, reader.diagnostics)
        else { return nil }
        let sources = ["file", "jwks", "secretFile"].filter { keys.has($0) }
        guard let source = sources.first, sources.count == 1 else {
            let later = ["url", "discovery"].contains { keys.object[$0] != nil }
            if sources.isEmpty, later { return nil }
            reader.diagnostics.error(
                "\"keys\" must have exactly one of \"file\", \"jwks\" and \"secretFile\"",
                at: value.offset)
            return nil
        }
        checkAlgorithms(algorithms, withSecret: source == "secretFile", reader.diagnostics)
        switch source {
        case "file": return keyFile(keys)
        case "jwks": return inlineKeys(keys)
        default: return secret(keys, algorithms, &rules)
        }
    }

    private func checkAlgorithms(
        _ algorithms: [Located<String>], withSecret hasSecret: Bool, _ diagnostics: Diagnostics
    ) {
        for algorithm in algorithms where algorithm.value.hasPrefix("HS") != hasSecret {
            diagnostics.error(
                hasSecret
                    ? "\(algorithm.value) cannot be checked with \"secretFile\""
                    : "\(algorithm.value) needs \"secretFile\": public keys are no secrets",
                at: algorithm.offset)
        }
    }

    private func keyFile(_ keys: ObjectReader) -> Configuration.KeySource? {
        guard let text = keys.string("file") else { return nil }
        let path = files.resolve(text.value)
        if checksKeyFiles { checkKeyFile(path, text.offset, keys.diagnostics) }
        return .file(path: path)
    }

    private func checkKeyFile(_ path: String, _ offset: Int, _ diagnostics: Diagnostics) {
        guard let bytes = files.read(path) else {
            diagnostics.error("the key file \"\(path)\" cannot be read", at: offset)
            return
        }
        do {
            let set = try JWKSet(parsing: bytes.span)
            for key in set.skipped {
                diagnostics.warning(
                    "key \(key.index) of \"\(path)\" is not used: \(ProblemText.of(key.reason))",
                    at: offset)
            }
            if set.keys.isEmpty {
                diagnostics.error("the key file \"\(path)\" has no usable key", at: offset)
            }
        } catch {
            diagnostics.error("the key file \"\(path)\" \(ProblemText.of(error))", at: offset)
        }
    }

    private func inlineKeys(_ keys: ObjectReader) -> Configuration.KeySource? {
        guard let value = keys.value("jwks") else { return nil }
        do {
            let set = try JWKSet(value)
            for key in set.skipped {
                keys.diagnostics.warning(
                    "this key is not used: \(ProblemText.of(key.reason))", at: key.offset)
            }
            if set.keys.isEmpty {
                keys.diagnostics.error("\"jwks\" has no usable key", at: value.offset)
            }
            return .inline(set)
        } catch {
            keys.diagnostics.error("\"jwks\" \(ProblemText.of(error))", at: value.offset)
            return nil
        }
    }

    /// The secret must be as long as the hash (RFC 7518, section 3.2), for each algorithm named, or
    /// for the shortest where none is.
    private func secret(
        _ keys: ObjectReader, _ algorithms: [Located<String>], _ rules: inout IssuerRules
    ) -> Configuration.KeySource? {
        guard let text = keys.string("secretFile") else { return nil }
        let path = files.resolve(text.value)
        guard var bytes = files.read(path) else {
            keys.diagnostics.error("the secret file \"\(path)\" cannot be read", at: text.offset)
            return nil
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        let needed =
            algorithms.compactMap { SignatureAlgorithm(name: $0.value)?.hash?.byteCount }.max()
            ?? 32
        guard bytes.count >= needed else {
            keys.diagnostics.error(
                "the secret in \"\(path)\" has fewer than \(needed) bytes", at: text.offset,
                hint: "make one with: head -c \(needed) /dev/urandom")
            return nil
        }
        rules.secret = bytes
        return .secret
    }
}
