import OpenSSL

/// Checks the signatures of examined tokens in a thread that has no verifier: a pool's. It makes
/// what it needs of each key once, and shares nothing. Nobody tells it of keys that go, so it asks
/// for no tables, which would stay with them. Not for two threads.
package final class SignatureChecker {
    /// Most keys held ready; beyond that all are let go. Many issuers have 2 to 10 each.
    private static let maxKeys = 512

    /// By thumbprint: what a key checks depends on nothing else of a JWK.
    private var prepared: [[UInt8]: VerificationKey] = [:]

    /// A checker without keys.
    package init() {}

    /// Checks the signature. Whether the key is still trusted when the result arrives, the verifier
    /// says: `TokenVerifier.stillTrusts`.
    package func check(_ examined: ExaminedToken) throws(TokenError) -> VerifiedToken {
        switch examined.candidates {
        case .secret(let octets):
            if let secret = try? SecretKey(octets),
                let verified = examined.verified(under: .secret(secret))
            {
                return verified
            }
        case .key(let key):
            if let verified = check(examined, key) { return verified }
        case .keys(let keys):
            for key in keys {
                if let verified = check(examined, key) { return verified }
            }
        }
        throw .badSignature
    }

    private func check(_ examined: ExaminedToken, _ key: JWK) -> VerifiedToken? {
        guard let check = check(for: key) else { return nil }
        return examined.verified(under: .key(key, check))
    }

    private func check(for key: JWK) -> VerificationKey? {
        if let check = prepared[key.thumbprint] { return check }
        guard let check = try? VerificationKey(key.publicKey) else { return nil }
        if prepared.count >= SignatureChecker.maxKeys { prepared.removeAll() }
        prepared[key.thumbprint] = check
        return check
    }
}
