internal import COpenSSL

/// A public key ready to check signatures. It belongs to one worker: contexts are reused and
/// counted without locks.
package final class VerificationKey {
    /// After so many signatures a table of the key's multiples has been worth its price.
    private static let checksBeforeTable = 1000
    /// Where none came, there may be room for one later.
    private static let checksBeforeAskingAgain = 20_000

    /// Asked when a table of the key's multiples would pay. The table may come to `adopt` later, or
    /// never.
    package typealias TableRequest = (PublicKey) -> Void

    /// How signatures of one algorithm are checked.
    private enum Check {
        case pkcs1(PKCS1Check)
        case digest(DigestCheck)
    }

    private let key: PublicKey
    private let handle: KeyHandle
    /// One for each algorithm that was asked for, by raw value.
    private var checks: [Check?]
    private let askForTable: TableRequest
    private var checksUntilAsking = VerificationKey.checksBeforeTable
    private(set) var table: PointTable?
    /// Takes ES256 over once there is a table.
    private var tabulated: P256Check?

    /// Makes the key usable; fails only when OpenSSL is out of memory or lacks the algorithm.
    package init(
        _ key: PublicKey, askForTable: @escaping TableRequest = { _ in }
    ) throws(OpenSSLError) {
        handle = try KeyHandle.parsing(key.subjectPublicKeyInfo)
        self.key = key
        self.askForTable = askForTable
        checks = Array(repeating: nil, count: SignatureAlgorithm.allCases.count)
    }

    /// Takes a table of this key's multiples; one of another key is none of its business. What
    /// else it takes to use it is made with the next signature: many keys may be given one at once.
    package func adopt(_ table: PointTable) {
        if self.table == nil, table.key == key { self.table = table }
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
            return isValid(signature, over: message, by: check(for: algorithm))
        case .ec(let curve):
            guard signature.count == curve.coordinateByteCount * 2 else { return false }
            if curve == .p256, let check = tabulatedCheck() {
                return check.isValid(signature, over: message)
            }
            return isValidECDSA(signature, over: message, algorithm)
        case .okp:
            return isValidEdDSA(signature, over: message)
        }
    }

    private func isValid(
        _ signature: Span<UInt8>, over message: Span<UInt8>, by check: Check?
    ) -> Bool {
        switch check {
        case .pkcs1(let check): check.isValid(signature, over: message)
        case .digest(let check): check.isValid(signature, over: message)
        case nil: false
        }
    }

    /// The faster check, if the key has come that far.
    private func tabulatedCheck() -> P256Check? {
        if let tabulated { return tabulated }
        if let table {
            tabulated = try? P256Check(table)
            return tabulated
        }
        checksUntilAsking -= 1
        if checksUntilAsking == 0 {
            checksUntilAsking = VerificationKey.checksBeforeAskingAgain
            askForTable(key)
        }
        return nil
    }

    private func isValidECDSA(
        _ signature: Span<UInt8>, over message: Span<UInt8>, _ algorithm: SignatureAlgorithm
    ) -> Bool {
        var der = SignatureOctets(repeating: 0)
        guard let length = DER.writeSignature(signature, into: &der) else { return false }
        return isValid(
            der.span.extracting(first: length), over: message, by: check(for: algorithm))
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

    private func check(for algorithm: SignatureAlgorithm) -> Check? {
        let index = Int(algorithm.rawValue)
        if let check = checks[index] { return check }
        guard let function = algorithm.hash else { return nil }
        checks[index] = try? makeCheck(algorithm, function)
        return checks[index]
    }

    private func makeCheck(
        _ algorithm: SignatureAlgorithm, _ function: HashFunction
    ) throws(OpenSSLError) -> Check {
        if case .rsa(let bits) = key.kind, !algorithm.isPSS, try PKCS1Check.suits(handle) {
            return .pkcs1(try PKCS1Check(handle, modulusBits: bits, function))
        }
        return .digest(try DigestCheck(handle, algorithm, function))
    }
}
