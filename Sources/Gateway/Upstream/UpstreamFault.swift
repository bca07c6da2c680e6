internal import EventLoop
internal import HTTP

/// Why an upstream gave no response that could be forwarded.
enum UpstreamFault: Error, Equatable {
    /// No address is known for any endpoint: the name did not resolve.
    case unresolved
    /// No connection could be made.
    case unreachable(SystemError)
    /// Connecting took longer than `timeouts.connect`.
    case connectTimeout
    /// Every connection that `maxConnections` allows was busy for as long as a request may wait.
    case noSlot
    /// The connection ended before a whole response had come.
    case closed
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
    /// Whether it came before any byte of the request was sent, so that another endpoint may be
    /// tried.
    var isBeforeSending: Bool {
        switch self {
        case .unreachable, .connectTimeout: true
        default: false
        }
    }
}
