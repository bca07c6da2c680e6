internal import COpenSSL

/// What is known of a peer that showed a certificate.
package struct TLSPeerCertificate: Sendable, Equatable {
    /// The subject as RFC 4514 writes it, in UTF-8.
    package let subject: [UInt8]
    /// SHA-256 over the certificate's DER (RFC 8705, section 3.1): 32 octets.
    package let thumbprint: [UInt8]
    private let notAfter: Int64

    /// Whether its validity is over.
    package func isExpired(at unixSeconds: Int64) -> Bool { unixSeconds > notAfter }

    init?(_ certificate: OpaquePointer) {
        var count = 0
        guard let text = unsafe copenssl_subject(certificate, &count) else {
            ERR_clear_error()
            return nil
        }
        subject = unsafe Array(UnsafeBufferPointer(start: text, count: count))
        unsafe copenssl_free(text)
        var digest = [UInt8](repeating: 0, count: 32)
        let done = unsafe digest.withUnsafeMutableBufferPointer { target in
            // SHA-256 writes 32 octets.
            unsafe X509_digest(certificate, EVP_sha256(), target.baseAddress, nil)
        }
        ERR_clear_error()
        guard done == 1 else { return nil }
        thumbprint = digest
        notAfter = unsafe copenssl_not_after(certificate)
    }
}
