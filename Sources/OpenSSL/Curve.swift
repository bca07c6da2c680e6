import Bytes

/// The curves of RFC 7518, section 6.2.1.1. Each goes with exactly one algorithm.
package enum EllipticCurve: CaseIterable, Sendable, Equatable {
    case p256
    case p384
    case p521

    /// The curve of a `crv` member.
    package init?(name: String) {
        guard let curve = Self.allCases.first(where: { $0.name.isExactly(name) })
        else { return nil }
        self = curve
    }

    /// The name in a JWK.
    package var name: String {
        switch self {
        case .p256: "P-256"
        case .p384: "P-384"
        case .p521: "P-521"
        }
    }

    /// Bytes of a coordinate, and of r and s in a signature.
    package var coordinateByteCount: Int {
        switch self {
        case .p256: 32
        case .p384: 48
        case .p521: 66
        }
    }

    /// The only algorithm that may be used with it (RFC 7518, section 3.4).
    package var algorithm: SignatureAlgorithm {
        switch self {
        case .p256: .es256
        case .p384: .es384
        case .p521: .es512
        }
    }

    /// The content of its DER object identifier (RFC 5480, section 2.1.1.1).
    var objectIdentifier: [UInt8] {
        switch self {
        case .p256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]
        case .p384: [0x2b, 0x81, 0x04, 0x00, 0x22]
        case .p521: [0x2b, 0x81, 0x04, 0x00, 0x23]
        }
    }
}

/// The signature curves of RFC 8037. X25519 and X448 agree on keys and sign nothing.
package enum EdwardsCurve: CaseIterable, Sendable, Equatable {
    case ed25519
    case ed448

    /// The curve of a `crv` member.
    package init?(name: String) {
        guard let curve = Self.allCases.first(where: { $0.name.isExactly(name) })
        else { return nil }
        self = curve
    }

    /// The name in a JWK.
    package var name: String {
        switch self {
        case .ed25519: "Ed25519"
        case .ed448: "Ed448"
        }
    }

    /// Bytes of a public key.
    package var keyByteCount: Int {
        switch self {
        case .ed25519: 32
        case .ed448: 57
        }
    }

    /// The algorithm of RFC 9864 that means this curve alone.
    package var algorithm: SignatureAlgorithm {
        switch self {
        case .ed25519: .ed25519
        case .ed448: .ed448
        }
    }

    /// The content of its DER object identifier (RFC 8410, section 3).
    var objectIdentifier: [UInt8] {
        switch self {
        case .ed25519: [0x2b, 0x65, 0x70]
        case .ed448: [0x2b, 0x65, 0x71]
        }
    }
}
