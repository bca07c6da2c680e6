internal import Configuration
internal import EventLoop

/// Who is at the other end of a connection, in the forms that requests need it.
final class ClientAddress {
    /// The address, nil for a unix socket.
    let ip: IPAddress?
    /// Whether it is a proxy whose word about the client is taken.
    let isTrusted: Bool
    /// For `X-Forwarded-For` and the log; `unknown` for a unix socket.
    let text: [UInt8]
    /// For `Forwarded` (RFC 7239, section 6): a quoted and bracketed IPv6 address.
    let forwardedFor: [UInt8]

    init(_ address: SocketAddress, trusting trusted: TrustedProxies) {
        ip = address.ipAddress
        switch ip {
        case .v4?:
            text = Array(ip?.description.utf8 ?? "".utf8)
            forwardedFor = Array("for=".utf8) + text
        case .v6?:
            text = Array(ip?.description.utf8 ?? "".utf8)
            forwardedFor = Array("for=\"[".utf8) + text + Array("]\"".utf8)
        case nil:
            text = Array("unknown".utf8)
            forwardedFor = Array("for=unknown".utf8)
        }
        isTrusted =
            ip.map { trusted.contains($0.octets.span) } ?? trusted.includesUnix
    }
}
