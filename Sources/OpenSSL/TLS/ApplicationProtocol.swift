/// ALPN's names (RFC 7301) for what this proxy speaks.
package enum ApplicationProtocol: Sendable, Equatable {
    case http11
    case http2

    /// The name on the wire.
    package var name: String {
        switch self {
        case .http11: "http/1.1"
        case .http2: "h2"
        }
    }

    /// A ProtocolNameList without its length (RFC 7301, section 3.1).
    static func list(_ protocols: [ApplicationProtocol]) -> [UInt8] {
        protocols.flatMap { [UInt8($0.name.utf8.count)] + Array($0.name.utf8) }
    }
}

/// The versions that are spoken: nothing older is safe (RFC 8996).
package enum TLSVersion: Sendable, Equatable {
    case tls12
    case tls13
}
