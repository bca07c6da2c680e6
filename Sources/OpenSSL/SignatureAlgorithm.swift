import Bytes

/// The signature algorithms of JOSE that are ever accepted (RFC 7518, section 3.1; RFC 8037; RFC
/// 9864). `none` is not among them, so it cannot be asked for.
package enum SignatureAlgorithm: UInt8, CaseIterable, Sendable {
    case rs256, rs384, rs512
    case ps256, ps384, ps512
    case es256, es384, es512
    case edDSA, ed25519, ed448
    case hs256, hs384, hs512

    /// The algorithm of an `alg` member, compared exactly: JOSE names are case-sensitive.
    package init?(name: String) {
        for algorithm in Self.allCases where algorithm.name.isExactly(name) {
            self = algorithm
            return
        }
        return nil
    }

    /// The name in a JOSE header.
    package var name: String {
        switch self {
        case .rs256: "RS256"
        case .rs384: "RS384"
        case .rs512: "RS512"
        case .ps256: "PS256"
        case .ps384: "PS384"
        case .ps512: "PS512"
        case .es256: "ES256"
        case .es384: "ES384"
        case .es512: "ES512"
        case .edDSA: "EdDSA"
        case .ed25519: "Ed25519"
        case .ed448: "Ed448"
        case .hs256: "HS256"
        case .hs384: "HS384"
        case .hs512: "HS512"
        }
    }

    /// Which keys it works with.
    package var family: KeyFamily {
        switch self {
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: .rsa
        case .es256, .es384, .es512: .ec
        case .edDSA, .ed25519, .ed448: .okp
        case .hs256, .hs384, .hs512: .hmac
        }
    }

    /// The hash over the signing input; nil for the Edwards curves, which hash by themselves.
    package var hash: HashFunction? {
        switch self {
        case .rs256, .ps256, .es256, .hs256: .sha256
        case .rs384, .ps384, .es384, .hs384: .sha384
        case .rs512, .ps512, .es512, .hs512: .sha512
        case .edDSA, .ed25519, .ed448: nil
        }
    }

    /// Whether it is RSASSA-PSS.
    var isPSS: Bool {
        switch self {
        case .ps256, .ps384, .ps512: true
        default: false
        }
    }
}

/// Algorithms that share keys. A key is chosen by (issuer, `kid`, family), never by `kid` alone.
package enum KeyFamily: Sendable, Equatable {
    /// RSASSA-PKCS1-v1_5 and RSASSA-PSS.
    case rsa
    /// ECDSA over P-256, P-384 and P-521.
    case ec
    /// EdDSA over Ed25519 and Ed448.
    case okp
    /// HMAC with a secret that never comes from a JWK Set.
    case hmac
}
