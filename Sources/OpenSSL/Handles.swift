internal import COpenSSL

// One owner for each C handle. Each wraps the pointer first and configures after, so that a failure
// on the way frees it. A call that fails leaves entries in the thread's error queue; `refusal()`
// empties it, so that no later reader takes them for its own.

/// Empties the error queue and gives the error to throw.
func refusal() -> OpenSSLError {
    ERR_clear_error()
    return .refused
}

/// Owns an `EVP_PKEY`.
@safe
struct KeyHandle: ~Copyable {
    let pointer: OpaquePointer

    private init(owning pointer: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
    }

    deinit {
        unsafe EVP_PKEY_free(pointer)
    }

    /// A public key of its SubjectPublicKeyInfo; nothing may follow it.
    static func parsing(_ der: [UInt8]) throws(OpenSSLError) -> KeyHandle {
        let parsed: OpaquePointer? = unsafe der.withUnsafeBufferPointer { bytes in
            // `d2i_PUBKEY` reads at most `count` bytes from `next` and moves it past what it read.
            var next = bytes.baseAddress
            guard let key = unsafe d2i_PUBKEY(nil, &next, bytes.count) else { return nil }
            guard unsafe next == bytes.baseAddress.map({ unsafe $0 + bytes.count }) else {
                unsafe EVP_PKEY_free(key)
                return nil
            }
            return unsafe key
        }
        guard let key = unsafe parsed else { throw refusal() }
        return unsafe KeyHandle(owning: key)
    }

    /// A part of an RSA key: `OSSL_PKEY_PARAM_RSA_N` or `OSSL_PKEY_PARAM_RSA_E`.
    func number(_ name: String) throws(OpenSSLError) -> BigNumber {
        var number: OpaquePointer?
        guard unsafe EVP_PKEY_get_bn_param(pointer, name, &number) == 1, let number = unsafe number
        else { throw refusal() }
        return unsafe BigNumber(owning: number)
    }

    /// SP 800-56A's full check of an elliptic-curve key: coordinates in range, on the curve, of
    /// full order.
    func isOnItsCurve() -> Bool {
        guard let context = unsafe EVP_PKEY_CTX_new(pointer, nil) else { return false }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        if unsafe EVP_PKEY_public_check(context) == 1 { return true }
        ERR_clear_error()
        return false
    }
}

/// Owns an `EVP_PKEY_CTX` set up to check signatures over digests.
@safe
struct CheckHandle: ~Copyable {
    let pointer: OpaquePointer

    private init(owning pointer: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
    }

    deinit {
        unsafe EVP_PKEY_CTX_free(pointer)
    }

    /// A context for one key, hash and padding. It keeps the key alive by its own reference.
    static func make(
        _ key: borrowing KeyHandle, _ hash: borrowing HashHandle, _ algorithm: SignatureAlgorithm
    ) throws(OpenSSLError) -> CheckHandle {
        guard let created = unsafe EVP_PKEY_CTX_new(key.pointer, nil) else { throw refusal() }
        let context = unsafe CheckHandle(owning: created)
        guard unsafe EVP_PKEY_verify_init(context.pointer) == 1 else { throw refusal() }
        if algorithm.family == .rsa {
            let padding = algorithm.isPSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING
            guard unsafe EVP_PKEY_CTX_set_rsa_padding(context.pointer, padding) == 1 else {
                throw refusal()
            }
        }
        guard unsafe EVP_PKEY_CTX_set_signature_md(context.pointer, hash.function) == 1 else {
            throw refusal()
        }
        if algorithm.isPSS {
            // RFC 7518, section 3.5: the salt is as long as the hash, MGF1 uses the same hash.
            guard
                unsafe EVP_PKEY_CTX_set_rsa_pss_saltlen(
                    context.pointer, RSA_PSS_SALTLEN_DIGEST) == 1,
                unsafe EVP_PKEY_CTX_set_rsa_mgf1_md(context.pointer, hash.function) == 1
            else { throw refusal() }
        }
        return context
    }
}

/// Owns an `EVP_MD` fetched once (a fetch for each digest costs more than a short digest) and the
/// `EVP_MD_CTX` it is used with.
@safe
struct HashHandle: ~Copyable {
    let function: OpaquePointer
    private let context: OpaquePointer

    private init(owning function: OpaquePointer, _ context: OpaquePointer) {
        unsafe self.function = unsafe function
        unsafe self.context = unsafe context
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
        unsafe EVP_MD_free(function)
    }

    static func make(_ hash: HashFunction) throws(OpenSSLError) -> HashHandle {
        guard let function = unsafe EVP_MD_fetch(nil, hash.name, nil) else { throw refusal() }
        guard let context = unsafe EVP_MD_CTX_new() else {
            unsafe EVP_MD_free(function)
            throw refusal()
        }
        return unsafe HashHandle(owning: function, context)
    }

    /// Writes the digest of `message` and returns its length, or nil when OpenSSL fails.
    func digest(_ message: Span<UInt8>, into output: inout DigestOctets) -> Int? {
        var length: UInt32 = 0
        var span = output.mutableSpan
        let done = unsafe span.withUnsafeMutableBufferPointer { target in
            unsafe message.withUnsafeBufferPointer { source in
                // The longest digest here, 64 octets, is what `DigestOctets` holds.
                unsafe EVP_DigestInit_ex2(context, function, nil) == 1
                    && EVP_DigestUpdate(context, source.baseAddress, source.count) == 1
                    && EVP_DigestFinal_ex(context, target.baseAddress, &length) == 1
            }
        }
        if done { return Int(length) }
        ERR_clear_error()
        return nil
    }
}

/// Room for the longest digest, SHA-512's.
typealias DigestOctets = InlineArray<64, UInt8>
