internal import COpenSSL

/// A shared secret for HMAC (RFC 7518, section 3.2). A type of its own, so that a public key can
/// never be taken for a secret. It belongs to one worker.
package final class SecretKey {
    private let secret: [UInt8]
    private var contexts: [MACHandle?] = [nil, nil, nil]

    /// Takes a secret at least as long as the shortest hash.
    package init(_ secret: [UInt8]) throws(OpenSSLError) {
        guard secret.count >= HashFunction.sha256.byteCount else { throw .shortSecret }
        self.secret = secret
    }

    /// Whether `signature` is the algorithm's code over `message`, compared in constant time. False
    /// for a secret shorter than the algorithm's hash, and for every other kind of algorithm.
    package func isValid(
        signature: Span<UInt8>, over message: Span<UInt8>, algorithm: SignatureAlgorithm
    ) -> Bool {
        guard algorithm.family == .hmac, let hash = algorithm.hash,
            secret.count >= hash.byteCount, signature.count == hash.byteCount,
            let context = context(for: hash)
        else { return false }
        var code = DigestOctets(repeating: 0)
        guard context.code(of: message, into: &code) == hash.byteCount else { return false }
        return unsafe signature.withUnsafeBufferPointer { given in
            unsafe code.span.withUnsafeBufferPointer { made in
                // Both hold `byteCount` octets: one was checked above, the other is 64 octets long.
                unsafe CRYPTO_memcmp(given.baseAddress, made.baseAddress, hash.byteCount) == 0
            }
        }
    }

    private func context(for hash: HashFunction) -> MACHandle? {
        let index = hash.byteCount / 16 - 2
        if let context = contexts[index] { return context }
        let context = try? MACHandle(secret, hash)
        contexts[index] = context
        return context
    }
}

/// Owns an `EVP_MAC_CTX` for HMAC that holds the key; each code starts from there.
@safe
private final class MACHandle {
    private let pointer: OpaquePointer

    init(_ secret: [UInt8], _ hash: HashFunction) throws(OpenSSLError) {
        guard let mac = unsafe EVP_MAC_fetch(nil, "HMAC", nil) else { throw refusal() }
        // The context takes its own reference.
        defer { unsafe EVP_MAC_free(mac) }
        guard let created = unsafe EVP_MAC_CTX_new(mac) else { throw refusal() }
        unsafe pointer = unsafe created
        guard unsafe Self.start(created, secret, hash) else { throw refusal() }
    }

    deinit {
        unsafe EVP_MAC_CTX_free(pointer)
    }

    private static func start(
        _ context: OpaquePointer, _ secret: [UInt8], _ hash: HashFunction
    ) -> Bool {
        // OpenSSL copies key and name during the call.
        unsafe hash.name.withCString { name in
            unsafe copenssl_hmac_init(context, secret, secret.count, name) == 1
        }
    }

    /// Writes the code over `message` and returns its length, or nil when OpenSSL fails.
    func code(of message: Span<UInt8>, into output: inout DigestOctets) -> Int? {
        var length = 0
        var span = output.mutableSpan
        let done = unsafe span.withUnsafeMutableBufferPointer { target in
            unsafe message.withUnsafeBufferPointer { source in
                // Without a key `EVP_MAC_init` starts anew with the one it holds.
                unsafe EVP_MAC_init(pointer, nil, 0, nil) == 1
                    && EVP_MAC_update(pointer, source.baseAddress, source.count) == 1
                    && EVP_MAC_final(pointer, target.baseAddress, &length, target.count) == 1
            }
        }
        if done { return length }
        ERR_clear_error()
        return nil
    }
}
