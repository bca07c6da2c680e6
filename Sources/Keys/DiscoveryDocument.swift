import Bytes
import JSON

/// What an issuer says of itself (OpenID Connect Discovery 1.0, section 3; RFC 8414, section 2), as
/// far as keys go.
package struct DiscoveryDocument: Sendable, Equatable {
    /// Most bytes of a document; real ones have 1 to 10 KiB.
    package static let maxBytes = 512 << 10

    /// Where the issuer's keys are: `jwks_uri`.
    package let keysURL: FetchURL

    /// Reads a document, which must be about exactly the issuer that it was asked for
    /// (RFC 8414, section 3.3): else one issuer's document could be served for another's.
    package init(
        parsing text: Span<UInt8>, expecting issuer: String
    ) throws(KeyFault) {
        guard text.count <= Self.maxBytes else { throw .tooLarge }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text, maxBytes: Self.maxBytes)
        } catch {
            throw .notJSON
        }
        guard let members = value.object, let named = members["issuer"]?.string else {
            throw .notADiscoveryDocument
        }
        guard named.isExactly(issuer) else { throw .issuerMismatch }
        guard let text = members["jwks_uri"]?.string, let url = FetchURL(text) else {
            throw .noKeysURL
        }
        // Whoever can change a clear-text answer could be the issuer; only where the operator
        // chose that for the document itself may the keys come the same way.
        let isPlainIssuer = FetchURL(issuer).map { !$0.isSecure } ?? false
        guard url.isSecure || isPlainIssuer else { throw .plainHTTP }
        keysURL = url
    }

    /// Where an issuer's document may be, in the order of asking. The next is asked only where one
    /// definitely has no document. Empty where the issuer is no URL that could have one.
    package static func candidates(ofIssuer issuer: String) -> [FetchURL] {
        guard !issuer.utf8.contains(UInt8(ascii: "?")), let base = FetchURL(issuer) else {
            return []
        }
        // Both documents say: a final slash goes before anything is added.
        let path = base.target.hasSuffix("/") ? base.target.dropLast() : base.target[...]
        let texts = [
            path + "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server" + path,
            "/.well-known/openid-configuration" + path,
        ]
        var found: [FetchURL] = []
        for text in texts {
            guard let url = base.resolving(String(text)), !found.contains(url) else { continue }
            found.append(url)
        }
        return found
    }
}
