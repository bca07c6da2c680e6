/// A public key that can check signatures: plain data that crosses threads. Each worker makes its
/// own `VerificationKey` of it.
///
/// Only usable keys come to be: sizes, exponents and points are checked here.
package struct PublicKey: Sendable, Equatable {
    /// What kind of key it is.
    package enum Kind: Sendable, Equatable {
        case rsa(modulusBits: Int)
        case ec(EllipticCurve)
        case okp(EdwardsCurve)
    }

    /// Smallest modulus: RFC 7518, section 3.3. Largest: OpenSSL's own bound for verification.
    private static let modulusBits = 2048...16384
    /// OpenSSL refuses larger exponents with large moduli, and each bit costs time.
    private static let maxExponentBytes = 8

    /// What kind of key it is.
    package let kind: Kind
    /// SubjectPublicKeyInfo (RFC 5280, section 4.1) in DER.
    package let subjectPublicKeyInfo: [UInt8]

    /// An RSA key of big-endian numbers; leading zero octets do not count.
    package init(modulus: [UInt8], exponent: [UInt8]) throws(OpenSSLError) {
        let n = modulus.drop { $0 == 0 }
        let e = exponent.drop { $0 == 0 }
        guard let top = n.first, let lowest = n.last, n.count <= Self.modulusBits.upperBound / 8
        else { throw .unsuitableModulus }
        let bits = n.count * 8 - top.leadingZeroBitCount
        guard Self.modulusBits.contains(bits), lowest & 1 == 1 else { throw .unsuitableModulus }
        guard let last = e.last, last & 1 == 1, e.count > 1 || last >= 3,
            e.count <= Self.maxExponentBytes
        else { throw .unsuitableExponent }
        kind = .rsa(modulusBits: bits)
        subjectPublicKeyInfo = DER.sequence(
            DER.sequence(DER.objectIdentifier(Self.rsaEncryption), DER.null),
            DER.bitString(DER.sequence(DER.integer(n), DER.integer(e))))
        _ = try KeyHandle.parsing(subjectPublicKeyInfo)
    }

    /// A point of full-length coordinates, as RFC 7518, section 6.2.1 asks.
    package init(curve: EllipticCurve, x: [UInt8], y: [UInt8]) throws(OpenSSLError) {
        let length = curve.coordinateByteCount
        guard x.count == length, y.count == length else { throw .invalidPoint }
        kind = .ec(curve)
        subjectPublicKeyInfo = DER.sequence(
            DER.sequence(
                DER.objectIdentifier(Self.ecPublicKey),
                DER.objectIdentifier(curve.objectIdentifier)),
            DER.bitString([0x04] + x + y))
        let handle: KeyHandle
        do {
            handle = try KeyHandle.parsing(subjectPublicKeyInfo)
        } catch {
            // Parsing an uncompressed point is where OpenSSL looks whether it lies on the curve.
            throw .invalidPoint
        }
        guard handle.isOnItsCurve() else { throw .invalidPoint }
    }

    /// An Edwards-curve key (RFC 8037, section 2).
    package init(curve: EdwardsCurve, x: [UInt8]) throws(OpenSSLError) {
        guard x.count == curve.keyByteCount, !SmallOrder.contains(x, on: curve) else {
            throw .invalidPoint
        }
        kind = .okp(curve)
        subjectPublicKeyInfo = DER.sequence(
            DER.sequence(DER.objectIdentifier(curve.objectIdentifier)), DER.bitString(x))
        _ = try KeyHandle.parsing(subjectPublicKeyInfo)
    }

    /// The family of algorithms it serves.
    package var family: KeyFamily {
        switch kind {
        case .rsa: .rsa
        case .ec: .ec
        case .okp: .okp
        }
    }

    /// Whether a signature of this algorithm can be checked with this key at all.
    package func fits(_ algorithm: SignatureAlgorithm) -> Bool {
        switch kind {
        case .rsa: algorithm.family == .rsa
        case .ec(let curve): algorithm == curve.algorithm
        case .okp(let curve): algorithm == .edDSA || algorithm == curve.algorithm
        }
    }

    /// RFC 8017, appendix A.1.
    private static let rsaEncryption: [UInt8] = [
        0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    ]
    /// RFC 5480, section 2.1.1.
    private static let ecPublicKey: [UInt8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]
}
