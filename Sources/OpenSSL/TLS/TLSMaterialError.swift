/// What is wrong with certificates and keys. The operator is at fault; `identity` counts from 0.
package enum TLSMaterialError: Error, Equatable, Sendable, CustomStringConvertible {
    case noCertificate(identity: Int)
    case badCertificate(identity: Int)
    case noPrivateKey(identity: Int)
    case badPrivateKey(identity: Int)
    case encryptedPrivateKey(identity: Int)
    case keyMismatch(identity: Int)
    case weakKey(identity: Int)
    case badStaple(identity: Int)
    /// A server without any identity.
    case noIdentity
    /// No certificates in what should hold authorities, or broken ones.
    case badTrustStore
    /// Client certificates are asked for, but no authority is named.
    case noClientAuthority
    /// OpenSSL refused for a reason of its own.
    case refused(String)

    /// Which of the identities it is about.
    package var identity: Int? {
        switch self {
        case .noCertificate(let index), .badCertificate(let index), .noPrivateKey(let index),
            .badPrivateKey(let index), .encryptedPrivateKey(let index), .keyMismatch(let index),
            .weakKey(let index), .badStaple(let index):
            index
        case .noIdentity, .badTrustStore, .noClientAuthority, .refused: nil
        }
    }

    /// In words a person can act on.
    package var description: String {
        switch self {
        case .noCertificate: "the file has no certificate in PEM"
        case .badCertificate: "a certificate in the file cannot be read"
        case .noPrivateKey: "the file has no private key in PEM"
        case .badPrivateKey: "the private key cannot be read"
        case .encryptedPrivateKey: "the private key is encrypted; store it without a passphrase"
        case .keyMismatch: "the private key does not belong to the file's first certificate"
        case .weakKey:
            "a key or signature in the chain is too weak: RSA needs 2048 bits, hashes SHA-256"
        case .badStaple:
            "the OCSP response cannot be read, is no success, or is about another certificate"
        case .noIdentity: "there is no certificate"
        case .badTrustStore: "the file of authorities has no certificate, or one that is broken"
        case .noClientAuthority: "client certificates need the authorities that issue them"
        case .refused(let reason): "OpenSSL refuses it: \(reason)"
        }
    }
}
