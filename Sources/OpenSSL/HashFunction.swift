/// The hash functions of JOSE's signature algorithms (RFC 7518, section 3.1).
package enum HashFunction: Sendable, Equatable {
    case sha256
    case sha384
    case sha512

    /// Bytes of output.
    package var byteCount: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// The name under which OpenSSL's providers know it.
    var name: String {
        switch self {
        case .sha256: "SHA256"
        case .sha384: "SHA384"
        case .sha512: "SHA512"
        }
    }

    /// The content of its DER object identifier (RFC 8017, appendix B.1).
    var objectIdentifier: [UInt8] {
        let last: UInt8 =
            switch self {
            case .sha256: 1
            case .sha384: 2
            case .sha512: 3
            }
        return [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last]
    }
}
