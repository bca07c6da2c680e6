import JWT

/// Where a set of keys is to be had.
package enum KeyLocation: Sendable, Hashable {
    /// The set itself.
    case url(FetchURL)
    /// A document that names the set's URL, found from the issuer (OpenID Connect Discovery 1.0,
    /// section 4; RFC 8414, section 3). Of a tenant pattern, the issuer holds `{tenant}`.
    case discovery(issuer: String)
    /// A URL with one `{tenant}`: no set can be fetched before a tenant is put in its place.
    case tenantURL(pattern: String)

    /// A set's URL, or the pattern of one; nil where it is neither.
    package init?(url text: String) {
        if let url = FetchURL(text) {
            self = .url(url)
        } else if text.isTenantPattern {
            self = .tenantURL(pattern: text)
        } else {
            return nil
        }
    }

    /// Discovery of an issuer, or of a pattern of issuers; nil where it is no URL that a document
    /// could be found from.
    package init?(discoveryOf issuer: String) {
        let isPattern = issuer.isTenantPattern
        let one = isPattern ? issuer.withTenant("a") : issuer
        guard !DiscoveryDocument.candidates(ofIssuer: one).isEmpty else { return nil }
        self = .discovery(issuer: issuer)
    }

    /// Whether each tenant has keys of its own.
    package var isPerTenant: Bool {
        switch self {
        case .url: false
        case .discovery(let issuer): issuer.isTenantPattern
        case .tenantURL: true
        }
    }

    /// The location for one tenant; the same for all where it does not depend on the tenant. Nil
    /// where the tenant's name gives no URL.
    package func forTenant(_ tenant: String) -> KeyLocation? {
        switch self {
        case .url: self
        case .discovery(let issuer): .discovery(issuer: issuer.withTenant(tenant))
        case .tenantURL(let pattern): FetchURL(pattern.withTenant(tenant)).map { .url($0) }
        }
    }

    /// What the configuration said, for logs, status and snapshots.
    package var text: String {
        switch self {
        case .url(let url): url.text
        case .discovery(let issuer): "discovery " + issuer
        case .tenantURL(let pattern): pattern
        }
    }

    /// Whether anything is to be fetched in clear text from another machine.
    package var needsPlainHTTP: Bool {
        let urls: [FetchURL] =
            switch self {
            case .url(let url): [url]
            case .discovery(let issuer):
                DiscoveryDocument.candidates(ofIssuer: issuer.withTenant("a"))
            case .tenantURL(let pattern): [FetchURL(pattern.withTenant("a"))].compactMap { $0 }
            }
        return urls.contains { !$0.isSecure && !$0.isLoopback }
    }
}

extension String {
    /// Whether the text is a URL with one `{tenant}`, in the path, in the query, or as the host's
    /// first label with others behind it: no name a tenant may have leads to another domain.
    fileprivate var isTenantPattern: Bool {
        guard utf8.count <= FetchURL.maxBytes, let mark = range(of: TenantRules.placeholder),
            self[mark.upperBound...].range(of: TenantRules.placeholder) == nil,
            FetchURL(withTenant("a")) != nil, let scheme = range(of: "://"),
            mark.lowerBound >= scheme.upperBound
        else { return false }
        let rest = self[scheme.upperBound...]
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" } ?? endIndex
        if mark.lowerBound >= authorityEnd { return true }
        let domain = self[mark.upperBound..<authorityEnd].prefix { $0 != ":" }
        return mark.lowerBound == scheme.upperBound && domain.first == "." && domain.count > 1
    }

    /// The text with a tenant's name in the place of `{tenant}`, as it stands where there is none.
    func withTenant(_ tenant: String) -> String {
        guard let mark = range(of: TenantRules.placeholder) else { return self }
        return self[..<mark.lowerBound] + tenant + self[mark.upperBound...]
    }
}

extension StringProtocol {
    /// The first place of `text`, compared by character.
    fileprivate func range(of text: String) -> Range<Index>? {
        indices.first { self[$0...].hasPrefix(text) }.flatMap { start in
            index(start, offsetBy: text.count, limitedBy: endIndex).map { start..<$0 }
        }
    }
}
