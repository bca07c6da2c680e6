import JSON
import JWT
import Keys
import OpenSSL

/// `issuers.NAME.keys` with `url` or `discovery`.
struct FetchedKeysDecoder {
    /// Where keys are fetched.
    private struct Source {
        let location: KeyLocation
        /// A URL of the kind, to judge its scheme and host; a tenant's stands for all.
        let url: FetchURL
        let offset: Int
    }

    let files: FileAccess
    /// The issuer that the keys are of; nil where it has a problem of its own.
    let issuer: IssuerName?

    func decode(_ keys: ObjectReader) -> Configuration.FetchedKeys? {
        let source = keys.has("url") ? url(keys) : discovery(keys)
        let allowsPlainHTTP = keys.boolean("unsafePlainHTTP")
        if let source, !source.url.isSecure, !source.url.isLoopback, !allowsPlainHTTP {
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
        var policy = KeyFetchPolicy(location: source.location)
        policy.refresh = refresh?.wholeMilliseconds
        policy.timeout = timeout.wholeMilliseconds
        policy.maxStale = maxStale.wholeMilliseconds
        policy.unknownKeyCooldown = cooldown.wholeMilliseconds
        return Configuration.FetchedKeys(
            policy: policy, allowsPlainHTTP: allowsPlainHTTP, ca: ca?.path, settings: settings)
    }

    // MARK: Sources

    private func url(_ keys: ObjectReader) -> Source? {
        guard let text = keys.string("url") else { return nil }
        if text.value.contains(TenantRules.placeholder) { return urlOfTenants(text, keys) }
        guard let url = FetchURL(text.value) else {
            keys.diagnostics.error(
                "\"url\" is no URL to fetch from", at: text.offset,
                hint: "write \"https://host/path\" in ASCII, without user and fragment")
            return nil
        }
        return Source(location: .url(url), url: url, offset: text.offset)
    }

    private func urlOfTenants(_ text: Located<String>, _ keys: ObjectReader) -> Source? {
        if case .exact = issuer {
            keys.diagnostics.error(
                "\"url\": \"{tenant}\" is for issuers with \"tenants\"", at: text.offset)
            return nil
        }
        guard
            let pattern = TenantDecoder.pattern(text, of: "url", keys.diagnostics),
            let url = FetchURL(pattern.text(for: "tenant"))
        else { return nil }
        return Source(
            location: .tenantURL(pattern: text.value), url: url, offset: text.offset)
    }

    private func discovery(_ keys: ObjectReader) -> Source? {
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
        let text =
            switch issuer {
            case .exact(let name): name.value
            case .pattern(let pattern, _): pattern.text(for: "tenant")
            }
        // An issuer has neither query nor fragment (RFC 8414, section 2).
        guard let url = FetchURL(text), !text.contains("?") else {
            keys.diagnostics.error(
                "\"discovery\" needs an \"issuer\" that is a URL without a query",
                at: value.offset, hint: "name the key set itself with \"url\"")
            return nil
        }
        return Source(
            location: .discovery(issuer: issuer.text.value), url: url, offset: value.offset)
    }

    // MARK: Trust

    /// The file of authorities, read and looked through; nil where there is none or a problem.
    private func trust(_ keys: ObjectReader, _ source: Source?) -> MaterialFile? {
        // A document found in clear text may still point to a key set that is not.
        if let value = keys.value("ca"), let source, !source.url.isSecure, keys.has("url") {
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
