package import JWT

/// Why a look for keys, or a snapshot of them, gave none. Whatever it is, the last good set stays.
package enum KeyFault: Error, Equatable, Hashable, Sendable {
    // Files.
    /// A file that is not there, may not be read, or is too large.
    case unreadableFile

    // Before there is an answer.
    /// The host has no address, or the resolver failed.
    case unresolved
    /// No address took the connection.
    case unreachable
    /// The handshake failed, or the certificate is not the host's; the word says which.
    case tls(String)
    /// The look was not complete within its time.
    case timeout
    /// Clear text to another machine, which the configuration did not allow.
    case plainHTTP

    // The answer itself.
    /// The connection ended within the answer.
    case cutShort
    /// No HTTP/1.1 answer, or one with ambiguous bounds.
    case malformed
    /// Another status than 200; 304 where nothing was there to be compared is one as well.
    case status(Int)
    /// A redirect to another origin, or to no URL.
    case redirectElsewhere
    /// More than three redirects.
    case tooManyRedirects
    /// A body in an encoding, which was not asked for; small ones may unfold to any size.
    case encoded
    /// More bytes than a set may have.
    case tooLarge

    // What the body says.
    /// No JSON as we read it.
    case notJSON
    /// JSON, but no JWK Set.
    case notAKeySet
    /// More keys than a set may have.
    case tooManyKeys
    /// A set of which no key can be used.
    case noUsableKey
    /// JSON, but no document about an issuer.
    case notADiscoveryDocument
    /// A document about another issuer.
    case issuerMismatch
    /// A document that names no URL for keys, or an issuer that can have no document.
    case noKeysURL

    // Snapshots.
    /// A snapshot that was changed, cut short or written by another version.
    case snapshotDamaged
    /// A snapshot of another issuer, tenant or source.
    case snapshotOfAnother
    /// A snapshot older than keys may be.
    case snapshotTooOld
    /// A snapshot from a time that is yet to come.
    case snapshotFromFuture

    /// Why a set's text gave no set.
    package init(_ failure: JWKSet.Failure) {
        switch failure {
        case .tooLarge: self = .tooLarge
        case .invalidJSON: self = .notJSON
        case .notAKeySet: self = .notAKeySet
        case .tooManyKeys: self = .tooManyKeys
        }
    }

    /// Whether the answer says for certain that there is no document, so that the next place may be
    /// asked. A server's own trouble says nothing.
    package var meansNoDocument: Bool {
        switch self {
        case .status(let code): (400..<500).contains(code) && code != 408 && code != 429
        case .notJSON, .notADiscoveryDocument: true
        default: false
        }
    }
}

extension KeyFault: CustomStringConvertible {
    /// A sentence's end for logs and status: it never holds what the issuer sent.
    package var description: String {
        switch self {
        case .unreadableFile: "the file cannot be read"
        case .unresolved: "the host's name has no address"
        case .unreachable: "no connection to the host"
        case .tls(let reason): "TLS failed (\(reason))"
        case .timeout: "no whole answer in time"
        case .plainHTTP: "plain http to another machine is not allowed"
        case .cutShort: "the connection ended within the answer"
        case .malformed: "the answer is not HTTP/1.1"
        case .status(let code): "the answer was \(code)"
        case .redirectElsewhere: "the answer leads to another origin"
        case .tooManyRedirects: "more than three redirects"
        case .encoded: "the body is compressed"
        case .tooLarge: "the body is larger than 512 KiB"
        case .notJSON: "the body is not JSON"
        case .notAKeySet: "the body is not a JWK Set"
        case .tooManyKeys: "the set has more than \(JWKSet.maxKeys) keys"
        case .noUsableKey: "no key of the set can be used"
        case .notADiscoveryDocument: "the body is not a discovery document"
        case .issuerMismatch: "the document is about another issuer"
        case .noKeysURL: "there is no URL to fetch keys from"
        case .snapshotDamaged: "the snapshot is damaged"
        case .snapshotOfAnother: "the snapshot is of another issuer or source"
        case .snapshotTooOld: "the snapshot is older than maxStale"
        case .snapshotFromFuture: "the snapshot is from the future"
        }
    }

    /// One word for metrics and status, the same for all details.
    package var word: String {
        switch self {
        case .unreadableFile: "unreadable_file"
        case .unresolved: "unresolved"
        case .unreachable: "unreachable"
        case .tls: "tls"
        case .timeout: "timeout"
        case .plainHTTP: "plain_http"
        case .cutShort: "cut_short"
        case .malformed: "malformed"
        case .status: "status"
        case .redirectElsewhere: "redirect_elsewhere"
        case .tooManyRedirects: "too_many_redirects"
        case .encoded: "encoded"
        case .tooLarge: "too_large"
        case .notJSON: "not_json"
        case .notAKeySet: "not_a_key_set"
        case .tooManyKeys: "too_many_keys"
        case .noUsableKey: "no_usable_key"
        case .notADiscoveryDocument: "not_a_discovery_document"
        case .issuerMismatch: "issuer_mismatch"
        case .noKeysURL: "no_keys_url"
        case .snapshotDamaged: "snapshot_damaged"
        case .snapshotOfAnother: "snapshot_of_another"
        case .snapshotTooOld: "snapshot_too_old"
        case .snapshotFromFuture: "snapshot_from_future"
        }
    }
}

extension JWKSet {
    /// Reads a set that came from elsewhere. One without a usable key is a failed look, so that the
    /// keys there are stay: an issuer that published nothing by mistake has not revoked all.
    package init(fetched text: Span<UInt8>) throws(KeyFault) {
        let set: JWKSet
        do throws(Failure) {
            set = try JWKSet(parsing: text)
        } catch {
            throw KeyFault(error)
        }
        guard !set.keys.isEmpty else { throw .noUsableKey }
        self = set
    }
}
