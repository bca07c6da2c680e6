import Bytes
package import JSON
import OpenSSL

/// A token whose signature and claims were found right under the rules of its issuer. Holding one
/// shows that: nothing but `ExaminedToken.verified(under:)` below makes it.
package final class VerifiedToken: Sendable {
    private let examined: ExaminedToken
    /// The issuer's place in the configuration. A route that does not admit it must refuse the
    /// token.
    package let issuerIndex: Int
    /// All claims.
    package let claims: JSONDocument
    /// Where `sub` stands in the text of the claims; empty where it is no string.
    package let subjectRange: Range<Int>
    /// Where `jti` stands in the text of the claims, the token's name in logs; empty where it is no
    /// string.
    package let tokenIDRange: Range<Int>
    /// The key it was verified with; nil for the issuer's secret.
    package let key: JWK?
    private let scopeSet: ScopeSet
    /// How many bytes a token occupies that is kept.
    let weight: Int

    /// What the objects that a token consists of occupy, and its place in a cache (measured).
    private static let ownWeight = 720

    fileprivate init(_ examined: ExaminedToken, key: JWK?) {
        self.examined = examined
        issuerIndex = examined.place.issuer
        let claims = examined.token.claims
        self.claims = claims
        subjectRange = claims.string(at: examined.token.registered.subject) ?? 0..<0
        tokenIDRange = claims.string(at: examined.token.registered.tokenID) ?? 0..<0
        self.key = key
        let scopeSet = ScopeSet(examined.scopeClaims, in: claims)
        self.scopeSet = scopeSet
        weight =
            VerifiedToken.ownWeight + examined.bytes.count + examined.token.signature.count
            + claims.footprint + scopeSet.footprint
    }

    /// Whose keys it was verified with.
    package var place: KeyPlace { examined.place }
    /// From when to when it is valid.
    package var lifetime: TokenLifetime { examined.lifetime }
    /// The generation of the issuer's keys when it was verified.
    package var keyGeneration: UInt64 { examined.keyGeneration }
    /// The verifier's policy number.
    package var policyNumber: UInt64 { examined.policyNumber }
    /// Where the verifier held the key.
    var keySlot: Int { examined.keySlot }
    /// The whole token, as it came: never for a log.
    var bytes: [UInt8] { examined.bytes }

    /// Whether one of its scopes is this one.
    package func hasScope(_ scope: Span<UInt8>) -> Bool {
        scopeSet.contains(scope, in: claims.text)
    }

    /// Whether `aud` names this audience.
    package func hasAudience(_ audience: Span<UInt8>) -> Bool {
        AudienceClaim.names(audience, examined.token.registered.audience, in: claims)
    }
}

extension VerifiedToken {
    /// `sub`, if it is a string.
    package var subject: String? { text(claims.string(at: examined.token.registered.subject)) }
    /// `jti`, if it is a string.
    package var tokenID: String? { text(claims.string(at: examined.token.registered.tokenID)) }
    /// The scopes of all claims that carry them, in order of their length.
    package var scopes: [String] {
        (0..<scopeSet.count).compactMap { text(scopeSet.range(at: $0)) }
    }

    private func text(_ range: Range<Int>?) -> String? {
        guard let range else { return nil }
        let text = claims.text
        return String(validating: text.span.extracting(range))
    }
}

/// What a signature is checked with, made ready for one thread.
enum PreparedKey {
    case key(JWK, VerificationKey)
    case secret(SecretKey)
}

extension ExaminedToken {
    /// The verified token, if its signature is right under this key; nil otherwise. The one place
    /// where a signature decides.
    func verified(under key: borrowing PreparedKey) -> VerifiedToken? {
        let (signature, bytes) = (token.signature, self.bytes)
        let signed = bytes.span.extracting(first: token.signedCount)
        switch key {
        case .key(let jwk, let check):
            guard check.isValid(signature: signature.span, over: signed, algorithm: algorithm)
            else { return nil }
            return VerifiedToken(self, key: jwk)
        case .secret(let secret):
            guard secret.isValid(signature: signature.span, over: signed, algorithm: algorithm)
            else { return nil }
            return VerifiedToken(self, key: nil)
        }
    }
}
