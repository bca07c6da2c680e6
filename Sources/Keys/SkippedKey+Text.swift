package import JWT

extension SkippedKey.Reason {
    /// Why a key cannot be used, in words for logs and status. Nothing in them is the issuer's.
    package var text: String {
        switch self {
        case .notAnObject: "not an object"
        case .ambiguous: "a name twice, or a lone surrogate"
        case .missingMember(let name): "no \(name)"
        case .badMember(let name): "bad \(name)"
        case .unknownType: "unknown kty"
        case .unknownCurve: "unknown crv"
        case .symmetric: "symmetric"
        case .privateKey: "private"
        case .notForSignatures: "not for signatures"
        case .unsuitableAlgorithm: "unsuitable alg"
        case .weak: "weak"
        case .invalidKey: "invalid key"
        case .conflictingKeyID: "kid of another key"
        case .duplicate: "duplicate"
        }
    }
}
