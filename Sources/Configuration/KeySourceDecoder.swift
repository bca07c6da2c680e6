import JSON
import JWT
import OpenSSL

/// `issuers.NAME.keys`.
struct KeySourceDecoder {
    let files: FileAccess
    let checksKeyFiles: Bool
    /// The issuer that the keys are of.
    let issuer: IssuerName?

    /// Where the keys come from; the secret goes into the rules. Nil where there is a problem.
    func decode(
        _ reader: ObjectReader, _ algorithms: [Located<String>], _ rules: inout IssuerRules
    ) -> Configuration.KeySource? {
        guard let value = reader.value("keys"),
            let keys = ObjectReader(value, as: SchemaTables.keys, reader.diagnostics)
        else { return nil }
        let names = ["file", "url", "discovery", "jwks", "secretFile"]
        let sources = names.filter { keys.has($0) }
        guard let source = sources.first, sources.count == 1 else {
            let list = names.dropLast().map { "\"\($0)\"" }.joined(separator: ", ")
            reader.diagnostics.error(
                "\"keys\" must have exactly one of \(list) and \"secretFile\"", at: value.offset)
            return nil
        }
        checkAlgorithms(algorithms, withSecret: source == "secretFile", reader.diagnostics)
        let isFetched = source == "url" || source == "discovery"
        if !isFetched { refuseOptionsOfFetching(keys) }
        switch source {
        case "file": return keyFile(keys)
        case "jwks": return inlineKeys(keys)
        case "secretFile": return secret(keys, algorithms, &rules)
        default:
            return FetchedKeysDecoder(files: files, issuer: issuer).decode(keys).map {
                .fetched($0)
            }
        }
    }

    /// What is about fetching is no option of keys that are here; and tenants have keys of their
    /// own, which are not.
    private func refuseOptionsOfFetching(_ keys: ObjectReader) {
        for name in SchemaTables.optionsOfFetching {
            guard let value = keys.value(name) else { continue }
            keys.diagnostics.error(
                "\"\(name)\" is about keys that are fetched, with \"url\" or \"discovery\"",
                at: value.offset)
        }
        if case .pattern = issuer {
            keys.diagnostics.error(
                "an issuer with \"tenants\" needs keys that are fetched", at: keys.offset,
                hint: "write \"discovery\": true, or \"url\"")
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
