internal import COpenSSL

/// A key that session tickets are sealed with (RFC 5077): plain data that crosses threads, so that
/// every worker opens what another one sealed.
package struct TLSTicketKey: Sendable, Equatable {
    /// Octets of a key: its name, an HMAC key and an AES key.
    package static let byteCount = 80

    /// The key as other servers store it in files, too.
    package let octets: [UInt8]

    /// A key of `byteCount` octets, or nil.
    package init?(_ octets: [UInt8]) {
        guard octets.count == Self.byteCount else { return nil }
        self.octets = octets
    }

    private init(random octets: [UInt8]) {
        self.octets = octets
    }

    /// A new key.
    package static func random() -> TLSTicketKey {
        var octets = [UInt8](repeating: 0, count: byteCount)
        let done = unsafe octets.withUnsafeMutableBufferPointer { target in
            unsafe RAND_priv_bytes(target.baseAddress, Int32(target.count))
        }
        precondition(done == 1, "without random numbers nothing can be kept secret")
        return TLSTicketKey(random: octets)
    }
}

/// The ticket keys of one worker, which its contexts hold. Without keys there are no tickets.
@safe
package final class TLSTicketKeys {
    /// The most keys that are kept.
    package static let maxCount = Int(COPENSSL_TICKET_KEYS)

    /// Read by OpenSSL's callback for each ticket; owned, as is its cipher.
    let record: UnsafeMutablePointer<copenssl_ticket_keys>

    /// No keys yet.
    package init() {
        unsafe record = .allocate(capacity: 1)
        unsafe record.initialize(to: copenssl_ticket_keys())
        unsafe record.pointee.cipher = unsafe EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)
        precondition(unsafe record.pointee.cipher != nil, "OpenSSL always has AES")
    }

    deinit {
        unsafe EVP_CIPHER_free(record.pointee.cipher)
        unsafe OPENSSL_cleanse(record, MemoryLayout<copenssl_ticket_keys>.size)
        unsafe record.deallocate()
    }

    /// Takes new keys, newest first: the newest seals, the others only open, and what they opened
    /// is sealed anew. Keys beyond `maxCount` are dropped.
    package func replace(with keys: [TLSTicketKey]) {
        let kept = keys.prefix(Self.maxCount)
        unsafe withUnsafeMutableBytes(of: &record.pointee.keys) { target in
            for (place, key) in kept.enumerated() {
                // The C array has `maxCount` elements of `byteCount` octets.
                let slot = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: target[place * TLSTicketKey.byteCount..<target.count])
                unsafe slot.copyBytes(from: key.octets)
            }
        }
        unsafe record.pointee.count = Int32(kept.count)
    }
}
