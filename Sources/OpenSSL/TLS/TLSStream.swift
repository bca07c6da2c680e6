internal import COpenSSL

/// Owns the record that a session's BIO reads and writes through.
@safe
struct TLSStream: ~Copyable {
    let pointer: UnsafeMutablePointer<copenssl_stream>

    init(_ descriptor: Int32) {
        unsafe pointer = .allocate(capacity: 1)
        unsafe pointer.initialize(to: copenssl_stream())
        unsafe pointer.pointee.descriptor = descriptor
    }

    deinit {
        unsafe pointer.deallocate()
    }
}
