internal import COpenSSL

/// SHA-256 for names of things: key thumbprints and token digests. Not on the path of each request.
package enum SHA256 {
    /// The 32 octets of a digest.
    package static func digest(of message: Span<UInt8>) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        unsafe digest.withUnsafeMutableBufferPointer { target in
            unsafe message.withUnsafeBufferPointer { source in
                // The output of SHA-256 is 32 octets.
                let done = unsafe EVP_Digest(
                    source.baseAddress, source.count, target.baseAddress, nil, EVP_sha256(), nil)
                precondition(done == 1, "OpenSSL without SHA-256 cannot check any signature")
            }
        }
        return digest
    }
}
