internal import COpenSSL

/// A public key ready to check signatures. It belongs to one worker: contexts are reused and
/// counted without locks.
package final class VerificationKey {
    private let key: PublicKey
    private let handle: KeyHandle
    /// One for each algorithm that was asked for, by raw value.
    private var checks: [DigestCheck?]

    /// Makes the key usable; fails only when OpenSSL is out of memory or lacks the algorithm.
    package init(_ key: PublicKey) throws(OpenSSLError) {
        handle = try KeyHandle.parsing(key.subjectPublicKeyInfo)
        self.key = key
        checks = Array(repeating: nil, count: SignatureAlgorithm.allCases.count)
    }

    /// Whether `signature`, in JOSE's form, is one of this key over `message`. An algorithm that
    /// does not fit the key, HMAC above all, never is.
    package func isValid(
        signature: Span<UInt8>, over message: Span<UInt8>, algorithm: SignatureAlgorithm
    ) -> Bool {
        guard key.fits(algorithm) else { return false }
        switch key.kind {
        case .rsa(let bits):
            // RFC 8017, sections 8.1.2 and 8.2.2: exactly as long as the modulus.
            guard signature.count == (bits + 7) / 8 else { return false }
            return check(for: algorithm)?.isValid(signature, over: message) ?? false
        case .ec(let curve):
            guard signature.count == curve.coordinateByteCount * 2 else { return false }
            return isValidECDSA(signature, over: message, algorithm)
        case .okp:
            return isValidEdDSA(signature, over: message)
        }
    }

    private func isValidECDSA(
        _ signature: Span<UInt8>, over message: Span<UInt8>, _ algorithm: SignatureAlgorithm
    ) -> Bool {
        var der = SignatureOctets(repeating: 0)
        guard let length = DER.writeSignature(signature, into: &der) else { return false }
        return check(for: algorithm)?.isValid(der.span.extracting(first: length), over: message)
            ?? false
    }

    /// EdDSA hashes by itself, so there is nothing to set up ahead: a context costs 1 of 70 µs.
    private func isValidEdDSA(_ signature: Span<UInt8>, over message: Span<UInt8>) -> Bool {
        guard let context = unsafe EVP_MD_CTX_new() else { return false }
        defer { unsafe EVP_MD_CTX_free(context) }
        let result = unsafe signature.withUnsafeBufferPointer { signature in
            unsafe message.withUnsafeBufferPointer { message in
                unsafe EVP_DigestVerifyInit(context, nil, nil, nil, handle.pointer) == 1
                    && EVP_DigestVerify(
                        context, signature.baseAddress, signature.count, message.baseAddress,
                        message.count) == 1
            }
        }
        if !result { ERR_clear_error() }
        return result
    }

    private func check(for algorithm: SignatureAlgorithm) -> DigestCheck? {
        let index = Int(algorithm.rawValue)
        if let check = checks[index] { return check }
        guard let function = algorithm.hash else { return nil }
        let check = try? DigestCheck(handle, algorithm, function)
        checks[index] = check
        return check
    }
}
