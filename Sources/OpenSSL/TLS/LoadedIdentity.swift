internal import COpenSSL

/// A certificate, its chain and its key as OpenSSL's objects. Owns them.
@safe
final class LoadedIdentity {
    let record: UnsafeMutablePointer<copenssl_identity>

    init(_ identity: TLSIdentity, index: Int) throws(TLSMaterialError) {
        unsafe record = .allocate(capacity: 1)
        unsafe record.initialize(to: copenssl_identity())
        let problem = unsafe identity.certificateChain.withUnsafeBufferPointer { chain in
            unsafe identity.privateKey.withUnsafeBufferPointer { key in
                unsafe (identity.staple ?? []).withUnsafeBufferPointer { staple in
                    // All three are read for the call only; the staple is copied.
                    unsafe copenssl_identity_load(
                        record, chain.baseAddress, chain.count, key.baseAddress, key.count,
                        identity.staple == nil ? nil : staple.baseAddress, staple.count)
                }
            }
        }
        if let error = TLSMaterialError(problem, identity: index) { throw error }
    }

    deinit {
        unsafe copenssl_identity_free(record)
        unsafe record.deallocate()
    }

    /// What kind of key it has (OpenSSL's number); a context holds one certificate of each.
    var keyType: Int32 { unsafe copenssl_key_type(record) }

    /// The names it is for, as `ServerNames` wants them.
    var names: [[UInt8]] {
        var names: [[UInt8]] = []
        unsafe withUnsafeMutablePointer(to: &names) { target in
            unsafe copenssl_names(
                record,
                { target, octets, count in
                    let octets = unsafe UnsafeBufferPointer(start: octets, count: count)
                    // `target` is the array below, for the length of the call.
                    if let name = unsafe ServerNames.normalised(octets.span) {
                        unsafe target?.assumingMemoryBound(to: [[UInt8]].self).pointee.append(name)
                    }
                }, target)
        }
        return names
    }
}

extension TLSMaterialError {
    /// Nil where all is well.
    init?(_ problem: copenssl_material, identity: Int) {
        switch problem {
        case COPENSSL_GOOD: return nil
        case COPENSSL_NO_CERTIFICATE: self = .noCertificate(identity: identity)
        case COPENSSL_BAD_CERTIFICATE: self = .badCertificate(identity: identity)
        case COPENSSL_NO_KEY: self = .noPrivateKey(identity: identity)
        case COPENSSL_BAD_KEY: self = .badPrivateKey(identity: identity)
        case COPENSSL_ENCRYPTED_KEY: self = .encryptedPrivateKey(identity: identity)
        case COPENSSL_KEY_MISMATCH: self = .keyMismatch(identity: identity)
        case COPENSSL_WEAK_KEY: self = .weakKey(identity: identity)
        case COPENSSL_BAD_STAPLE: self = .badStaple(identity: identity)
        default: self = .refused("the certificate or its key")
        }
    }
}

/// Owns an `X509_STORE` and the subjects of what is in it.
@safe
struct TrustStore: ~Copyable {
    let pointer: OpaquePointer
    let subjects: OpaquePointer

    private init(owning pointer: OpaquePointer, _ subjects: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
        unsafe self.subjects = unsafe subjects
    }

    deinit {
        unsafe X509_STORE_free(pointer)
        unsafe copenssl_free_names(subjects)
    }

    /// The certificates of a file in PEM.
    static func parsing(_ pem: [UInt8]) throws(TLSMaterialError) -> TrustStore {
        var subjects: OpaquePointer?
        let store = unsafe pem.withUnsafeBufferPointer { pem in
            unsafe copenssl_store(pem.baseAddress, pem.count, &subjects)
        }
        guard let store = unsafe store, let subjects = unsafe subjects else { throw .badTrustStore }
        return unsafe TrustStore(owning: store, subjects)
    }
}
