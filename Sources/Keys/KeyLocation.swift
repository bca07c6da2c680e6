/// Where a set of keys is to be had.
package enum KeyLocation: Sendable, Hashable {
    /// The set itself.
    case url(FetchURL)
    /// A document that names the set's URL, found from the issuer (OpenID Connect Discovery 1.0,
    /// section 4; RFC 8414, section 3). Of a tenant pattern, the issuer holds `{tenant}`.
    case discovery(issuer: String)
    /// A URL with one `{tenant}`: no set can be fetched before a tenant is put in its place.
    case tenantURL(pattern: String)

    /// The place of a tenant's name in patterns.
    package static let tenantMark = "{tenant}"

    /// A set's URL, or the pattern of one; nil where it is neither. A tenant may stand in the path
    /// and the query, or be the host's first label with others behind it, so that no name a tenant
    /// may have leads to another domain.
    package init?(url text: String) {
        if let url = FetchURL(text) {
            self = .url(url)
            return
        }
        guard let mark = text.tenantMark, text.utf8.count <= FetchURL.maxBytes,
            FetchURL(text.withTenant("a")) != nil, let scheme = text.range(of: "://"),
            mark.lowerBound >= scheme.upperBound
        else { return nil }
        let authorityEnd = text[scheme.upperBound...].firstIndex { $0 == "/" || $0 == "?" }
        let isInAuthority = authorityEnd.map { mark.lowerBound < $0 } ?? true
        if isInAuthority {
            let domain = text[mark.upperBound..<(authorityEnd ?? text.endIndex)]
                .prefix { $0 != ":" }
            guard mark.lowerBound == scheme.upperBound, domain.first == ".", domain.count > 1
            else { return nil }
        }
        self = .tenantURL(pattern: text)
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
            case .discovery(let issuer): DiscoveryDocument.candidates(ofIssuer: issuer)
            case .tenantURL(let pattern): [FetchURL(pattern.withTenant("a"))].compactMap { $0 }
            }
        return urls.contains { !$0.isSecure && !$0.isLoopback }
    }
}

extension String {
    /// Where `{tenant}` stands, if it does so once.
    fileprivate var tenantMark: Range<String.Index>? {
        guard let first = range(of: KeyLocation.tenantMark),
            self[first.upperBound...].range(of: KeyLocation.tenantMark) == nil
        else { return nil }
        return first
    }

    /// The text with a tenant's name in the place of `{tenant}`, as it stands where there is none.
    func withTenant(_ tenant: String) -> String {
        guard let mark = range(of: KeyLocation.tenantMark) else { return self }
        return self[..<mark.lowerBound] + tenant + self[mark.upperBound...]
    }
}

extension StringProtocol {
    /// The first place of `text`, compared by character.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text),
                let end = index(start, offsetBy: text.count, limitedBy: endIndex)
            {
                return start..<end
            }
            start = index(after: start)
        }
        return nil
    }
}
