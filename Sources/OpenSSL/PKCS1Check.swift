internal import COpenSSL

/// RSASSA-PKCS1-v1_5 with one key and one hash (RFC 8017, section 8.2.2): the signature is raised
/// to the public exponent, and what comes out must be, as a whole, the one encoding of the digest
/// that is right. Nothing of what a signature opens to is ever parsed.
///
/// The arithmetic is OpenSSL's. Its own check of the same would cost a fifth more: it takes two
/// multiplications on the way that exponents like 65537 do not need, and makes anew each time what
/// stands ready here (docs/decisions/0023-signature-arithmetic.md).
final class PKCS1Check {
    private let hash: HashHandle
    private let modulus: MontgomeryModulus
    /// Odd, 3 at least.
    private let exponent: UInt64
    /// The encoding of a digest of zeros; another digest is added to it.
    private let emptyEncoding: BigNumber
    private let signature: BigNumber
    /// The signature in Montgomery's form.
    private let base: BigNumber
    private let opened: BigNumber
    private let digest: BigNumber
    private let encoding: BigNumber

    /// Whether it is worth while for this RSA key: its exponent has few bits set, as 65537 has.
    /// For others OpenSSL takes several bits a step.
    static func suits(_ key: borrowing KeyHandle) throws(OpenSSLError) -> Bool {
        try key.number(OSSL_PKEY_PARAM_RSA_E).word.map { $0.nonzeroBitCount <= 4 } ?? false
    }

    /// `key` is an RSA key of `modulusBits`.
    init(
        _ key: borrowing KeyHandle, modulusBits: Int, _ function: HashFunction
    ) throws(OpenSSLError) {
        guard let exponent = try key.number(OSSL_PKEY_PARAM_RSA_E).word, exponent & 1 == 1,
            exponent > 1
        else { throw .unsuitableExponent }
        self.exponent = exponent
        hash = try HashHandle.make(function)
        modulus = try MontgomeryModulus.make(try key.number(OSSL_PKEY_PARAM_RSA_N))
        emptyEncoding = try BigNumber.of(
            Self.encodingOfZeros(function, byteCount: (modulusBits + 7) / 8))
        signature = try BigNumber.make()
        base = try BigNumber.make()
        opened = try BigNumber.make()
        digest = try BigNumber.make()
        encoding = try BigNumber.make()
    }

    /// EMSA-PKCS1-v1_5 (RFC 8017, section 9.2): 00 01, octets ff, 00 and the DigestInfo.
    private static func encodingOfZeros(_ hash: HashFunction, byteCount: Int) -> [UInt8] {
        let info = DER.sequence(
            DER.sequence(DER.objectIdentifier(hash.objectIdentifier), DER.null),
            DER.octetString([UInt8](repeating: 0, count: hash.byteCount)))
        // A modulus has 256 octets at least, so there are always more than the 8 that are asked
        // for.
        let padding = [UInt8](repeating: 0xff, count: byteCount - info.count - 3)
        return [0x00, 0x01] + padding + [0x00] + info
    }

    /// Whether `signature`, as long as the modulus, is one over `message`.
    func isValid(_ signature: Span<UInt8>, over message: Span<UInt8>) -> Bool {
        var octets = DigestOctets(repeating: 0)
        guard let length = hash.digest(message, into: &octets) else { return false }
        let isRight =
            self.signature.set(signature) && self.signature.isBelow(modulus.number) && open()
            && digest.set(octets.span.extracting(first: length))
            && encoding.set(emptyEncoding, plus: digest) && opened.isEqual(to: encoding)
        if !isRight { ERR_clear_error() }
        return isRight
    }

    /// Raises the signature to the exponent, from the exponent's second bit on. Its last bit is
    /// always set, and multiplying by the plain signature there leaves Montgomery's form.
    private func open() -> Bool {
        guard modulus.convert(signature, into: base), opened.set(base) else { return false }
        var bit = (1 << (63 - UInt64(exponent.leadingZeroBitCount))) >> 1 as UInt64
        while bit > 1 {
            guard modulus.square(opened) else { return false }
            if exponent & bit != 0, !modulus.multiply(opened, base, into: opened) { return false }
            bit >>= 1
        }
        return modulus.square(opened) && modulus.multiply(opened, signature, into: opened)
    }
}
