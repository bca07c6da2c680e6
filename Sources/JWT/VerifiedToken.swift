package import JSON
import OpenSSL

/// A token whose signature and claims were found right under the rules of its issuer. Holding one
/// shows that: nothing but `ExaminedToken.verified(under:)` below makes it.
package final class VerifiedToken: Sendable {
    /// The issuer's place in the configuration. A route that does not admit it must refuse the
    /// token.
    package let issuerIndex: Int
    /// Whose keys it was verified with.
    package let place: KeyPlace
    /// All claims.
    package let claims: JSONObject
    /// The scopes of all claims that carry them.
    package let scopes: ScopeSet
    /// `aud`, as strings.
    package let audiences: [String]
    /// `sub`, if it is a string.
    package let subject: String?
    /// `jti`, if it is a string: the token's name in logs.
    package let tokenID: String?
    /// From when to when it is valid.
    package let lifetime: TokenLifetime
    /// The key it was verified with; nil for the issuer's secret.
    package let key: JWK?
    /// Where the verifier held that key.
    let keySlot: Int
    /// The generation of the issuer's keys at that time.
    package let keyGeneration: UInt64
    /// The verifier's policy number.
    package let policyNumber: UInt64

    fileprivate init(_ examined: ExaminedToken, key: JWK?) {
        issuerIndex = examined.place.issuer
        place = examined.place
        let claims = examined.token.claims
        // Without much of the room to grow that the reader's array may have: cached tokens are
        // many.
        let room = claims.members.capacity - claims.members.count
        self.claims = room <= 4 ? claims : JSONObject(members: claims.members.map { $0 })
        scopes = ScopeSet(examined.scopeClaims, in: claims)
        audiences = examined.audiences
        subject = claims[.subject]?.string
        tokenID = claims[.tokenID]?.string
        lifetime = examined.lifetime
        self.key = key
        keySlot = examined.keySlot
        keyGeneration = examined.keyGeneration
        policyNumber = examined.policyNumber
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
    func verified(under key: PreparedKey) -> VerifiedToken? {
        let (signature, signed) = (token.signature, self.signed)
        switch key {
        case .key(let jwk, let check):
            guard
                check.isValid(signature: signature.span, over: signed.span, algorithm: algorithm)
            else { return nil }
            return VerifiedToken(self, key: jwk)
        case .secret(let secret):
            guard
                secret.isValid(signature: signature.span, over: signed.span, algorithm: algorithm)
            else { return nil }
            return VerifiedToken(self, key: nil)
        }
    }
}
