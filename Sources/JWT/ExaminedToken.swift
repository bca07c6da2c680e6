import Bytes
package import OpenSSL

/// What a look at a token gave that checks everything but the signature.
package enum Examination: Sendable {
    /// All was found right; the signature decides.
    case ready(ExaminedToken)
    /// No key for it is known here, but the issuer may have published one.
    case lacksKey(KeyNeed)
}

/// A token of which everything but the signature was found right: plain data, so that the
/// signature can be checked in another thread. It is worth nothing until then. A class, since it is
/// passed on a few times and has many parts.
package final class ExaminedToken: Sendable {
    /// What may have signed it.
    enum Candidates: Sendable {
        case key(JWK)
        case keys([JWK])
        /// The issuer's secret, as octets for a checker that does not hold it.
        case secret([UInt8])
    }

    /// Whose keys it is checked with.
    package let place: KeyPlace
    let token: UnverifiedToken
    /// The whole token, as it came: never for a log.
    let bytes: [UInt8]
    let lifetime: TokenLifetime
    let scopeClaims: [ClaimName]
    let candidates: Candidates
    /// Where the verifier holds the keys, and their generation at the time.
    let keySlot: Int
    let keyGeneration: UInt64
    let policyNumber: UInt64

    init(
        place: KeyPlace, token: consuming UnverifiedToken, bytes: consuming [UInt8],
        lifetime: TokenLifetime, scopeClaims: [ClaimName], candidates: consuming Candidates,
        keySlot: Int, keyGeneration: UInt64, policyNumber: UInt64
    ) {
        self.place = place
        self.token = token
        self.bytes = bytes
        self.lifetime = lifetime
        self.scopeClaims = scopeClaims
        self.candidates = candidates
        self.keySlot = keySlot
        self.keyGeneration = keyGeneration
        self.policyNumber = policyNumber
    }

    /// The algorithm of its signature, which says what checking will cost.
    package var algorithm: SignatureAlgorithm { token.header.algorithm }

    /// How many octets the signature is over: nearly the token's length.
    package var signedCount: Int { token.signedCount }

    /// How many keys may have to be tried; 1 for nearly all tokens.
    package var attempts: Int {
        switch candidates {
        case .keys(let keys): keys.count
        case .key, .secret: 1
        }
    }
}
