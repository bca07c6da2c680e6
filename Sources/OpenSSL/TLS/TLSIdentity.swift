/// What a side shows of itself, as the files have it.
package struct TLSIdentity: Sendable, Equatable {
    /// PEM: its own certificate first, then the authorities that lead to a root.
    package let certificateChain: [UInt8]
    /// PEM: an unencrypted private key.
    package let privateKey: [UInt8]
    /// DER: what the issuer's OCSP responder says of the certificate (RFC 6960).
    package let staple: [UInt8]?

    /// Files as they were read; a context checks them.
    package init(certificateChain: [UInt8], privateKey: [UInt8], staple: [UInt8]? = nil) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.staple = staple
    }
}
