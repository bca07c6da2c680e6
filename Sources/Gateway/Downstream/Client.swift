internal import Authorization
internal import Bytes
internal import Configuration
internal import EventLoop
internal import JWT
internal import OpenSSL

/// Who is at the other end of a connection, in the forms that requests need it.
final class Client {
    /// The address, nil for a unix socket.
    let ip: IPAddress?
    /// Whether it is a proxy whose word about the client is taken.
    let isTrusted: Bool
    /// For `X-Forwarded-For` and the log; `unknown` for a unix socket.
    let text: [UInt8]
    /// For `Forwarded` (RFC 7239, section 6): a quoted and bracketed IPv6 address.
    let forwardedFor: [UInt8]
    /// Whether it came through TLS.
    private(set) var isSecure = false
    /// Whether it speaks HTTP/2, for `Via`.
    var speaksHTTP2 = false
    /// The fields that tell the upstream of its certificate, whole lines; empty without one.
    private(set) var certificateLines: [UInt8] = []
    /// Whether there are any. Kept beside them: asking an array in a class costs a check each time.
    private(set) var hasCertificateLines = false

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

    /// Takes up what the handshake showed.
    func take(_ session: TLSSession, _ listener: ListenerSettings) {
        isSecure = true
        guard let certificate = session.peerCertificate else { return }
        if let field = listener.subjectField {
            var value = ByteBuffer()
            ClaimFieldValue.appendText(
                certificate.subject.span, escapesCommas: false, to: &value)
            append(field, value.withBytes { [UInt8](copying: $0) })
        }
        if let field = listener.thumbprintField {
            // `x5t#S256` of RFC 7515, section 4.1.8, as RFC 8705 compares it.
            append(field, Base64URL.encode(certificate.thumbprint))
        }
    }

    private func append(_ field: [UInt8], _ value: [UInt8]) {
        certificateLines += field + value + Array("\r\n".utf8)
        hasCertificateLines = true
    }
}
