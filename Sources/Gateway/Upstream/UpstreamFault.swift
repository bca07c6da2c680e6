internal import EventLoop
internal import HTTP
internal import OpenSSL

/// Why an upstream gave no response that could be forwarded.
enum UpstreamFault: Error, Equatable {
    /// No address is known for any endpoint: the name did not resolve.
    case unresolved
    /// No connection could be made.
    case unreachable(SystemError)
    /// Connecting took longer than `timeouts.connect`.
    case connectTimeout
    /// The TLS handshake failed: the certificate is not what it has to be, or the endpoint does not
    /// speak TLS.
    case tls(TLSFault)
    /// TLS failed behind the handshake, as when the endpoint had looked at our certificate.
    case tlsBroken(TLSFault)
    /// Every connection that `maxConnections` allows was busy for as long as a request may wait.
    case noSlot
    /// The connection ended before a whole response had come.
    case closed
    /// The upstream says that it did not begin to look at the request (RFC 9113, section 8.7).
    case refused
    /// The upstream reset the stream, with a code of RFC 9113, section 7.
    case reset(UInt32)
    /// The response was malformed or ambiguous.
    case invalid(MessageError)
    /// A switch of protocols that nobody asked for.
    case unexpectedUpgrade
    /// The response took longer than `timeouts.response`.
    case responseTimeout
    /// The upstream took no more of the request's body for `timeouts.body`.
    case bodyStalled
    /// The response's body, or the tunnel, was silent for `timeouts.stream`.
    case streamSilent
}

extension UpstreamFault {
    /// Why a connection is gone, as far as it said.
    init(endOf transport: Transport) {
        self = transport.fault.map { .tlsBroken($0) } ?? .closed
    }

    /// Whether it came before any byte of the request was sent, so that another endpoint may be
    /// tried.
    var isBeforeSending: Bool {
        switch self {
        case .unreachable, .connectTimeout, .tls: true
        default: false
        }
    }

    /// What the log says besides the reason.
    var detail: String? {
        switch self {
        case .unreachable(let error): error.description
        case .tls(let fault), .tlsBroken(let fault): fault.description
        case .reset(let code): "stream reset with code \(code)"
        case .invalid(let error): "\(error)"
        default: nil
        }
    }
}
