import JSON
import JWT
import Keys
import OpenSSL

/// `issuers.NAME.keys` with `url` or `discovery`.
struct FetchedKeysDecoder {
    let files: FileAccess
    /// The issuer that the keys are of; nil where it has a problem of its own.
    let issuer: IssuerName?

    func decode(_ keys: ObjectReader) -> Configuration.FetchedKeys? {
        let source = keys.has("url") ? url(keys) : discovery(keys)
        let allowsPlainHTTP = keys.boolean("unsafePlainHTTP")
        if let source, source.value.needsPlainHTTP, !allowsPlainHTTP {
            keys.diagnostics.error(
                "keys would come in clear text, and others could take their place",
                at: source.offset,
                hint: "write \"https://\", or \"unsafePlainHTTP\": true")
        }
        let ca = trust(keys, source)
        let settings = TLSClientContext.Settings(
            trust: ca?.contents, protocols: Configuration.FetchedKeys.protocols)
        let timeout = keys.duration("timeout")
        let maxStale = keys.duration("maxStale")
        let cooldown = keys.duration("unknownKeyCooldown")
        let refresh = keys.duration("refresh")
        guard let source, let timeout, let maxStale, let cooldown else { return nil }
        var policy = KeyFetchPolicy(location: source.value)
        policy.refresh = refresh?.wholeMilliseconds
        policy.timeout = timeout.wholeMilliseconds
        policy.maxStale = maxStale.wholeMilliseconds
        policy.unknownKeyCooldown = cooldown.wholeMilliseconds
        return Configuration.FetchedKeys(
            policy: policy, allowsPlainHTTP: allowsPlainHTTP, ca: ca?.path, settings: settings)
    }

    // MARK: Sources

    private func url(_ keys: ObjectReader) -> Located<KeyLocation>? {
        guard let text = keys.string("url") else { return nil }
        if text.value.contains(TenantRules.placeholder), !isForTenants(text, keys) { return nil }
        guard let location = KeyLocation(url: text.value) else {
            keys.diagnostics.error(
                "\"url\" is no URL to fetch from", at: text.offset,
                hint: "write \"https://host/path\" in ASCII, without user and fragment")
            return nil
        }
        return Located(value: location, offset: text.offset)
    }

    /// Whether a URL with `{tenant}` is a pattern, and there are tenants for it.
    private func isForTenants(_ text: Located<String>, _ keys: ObjectReader) -> Bool {
        if case .exact = issuer {
            keys.diagnostics.error(
                "\"url\": \"{tenant}\" is for issuers with \"tenants\"", at: text.offset)
            return false
        }
        return TenantDecoder.pattern(text, of: "url", keys.diagnostics) != nil
    }

    private func discovery(_ keys: ObjectReader) -> Located<KeyLocation>? {
        guard let value = keys.value("discovery") else { return nil }
        guard keys.boolean("discovery") else {
            if value.bool == false {
                keys.diagnostics.error(
                    "\"discovery\" can only be true", at: value.offset,
                    hint: "leave it out and name another source")
            }
            return nil
        }
        guard let issuer else { return nil }
        guard let location = KeyLocation(discoveryOf: issuer.text.value) else {
            keys.diagnostics.error(
                "\"discovery\" needs an \"issuer\" that is a URL without a query",
                at: value.offset, hint: "name the key set itself with \"url\"")
            return nil
        }
        return Located(value: location, offset: value.offset)
    }

    // MARK: Trust

    /// The file of authorities, read and looked through; nil where there is none or a problem.
    private func trust(
        _ keys: ObjectReader, _ source: Located<KeyLocation>?
    ) -> MaterialFile? {
        // What is found in clear text by discovery may still point to a set that is not.
        if let value = keys.value("ca"), let source,
            source.value.text.lowercased().hasPrefix("http:")
        {
            keys.diagnostics.error(
                "\"ca\" is for a \"url\" that begins with \"https://\"", at: value.offset)
        }
        guard let ca = files.material("ca", of: keys) else { return nil }
        do throws(TLSMaterialError) {
            _ = try TLSClientContext(TLSClientContext.Settings(trust: ca.contents))
            return ca
        } catch {
            keys.diagnostics.error("\"ca\": \(error)", at: ca.offset)
            return nil
        }
    }
}
