internal import Bytes

/// The upstream's side of an exchange, in either version of HTTP.
enum UpstreamStream {
    case http1(HTTP1Upstream)
    case http2(HTTP2UpstreamStream)

    var endpoint: Endpoint {
        switch self {
        case .http1(let connection): connection.endpoint
        case .http2(let stream): stream.connection.endpoint
        }
    }

    /// Whether its connection served an exchange before: it may have died meanwhile.
    var isReused: Bool {
        switch self {
        case .http1(let connection): connection.isReused
        case .http2(let stream): stream.isReused
        }
    }

    /// Whether any byte of the response came.
    var hasResponded: Bool {
        switch self {
        case .http1(let connection): connection.hasResponded
        case .http2(let stream): stream.hasResponded
        }
    }

    /// Whether body bytes have somewhere to go.
    var isReady: Bool {
        switch self {
        case .http1(let connection): connection.isReady
        case .http2(let stream): stream.isReady
        }
    }

    /// Sends a request's head. `isComplete`: no body follows. `isOpenEnded`: nothing in the head
    /// says how long the body is.
    func begin(
        _ exchange: Exchange, head: borrowing ByteBuffer, isComplete: Bool, isOpenEnded: Bool
    ) {
        switch self {
        case .http1(let connection):
            connection.begin(
                exchange, head: head, isComplete: isComplete, isOpenEnded: isOpenEnded)
        case .http2(let stream): stream.begin(exchange, head: head, isComplete: isComplete)
        }
    }

    /// Where the request's body goes.
    var bodyTarget: BodyTarget {
        switch self {
        case .http1(let connection): connection.bodyTarget
        case .http2(let stream): stream.bodyTarget
        }
    }

    /// Part of the request's body or tunnel was given over.
    func requestProgressed() {
        if case .http1(let connection) = self { connection.requestProgressed() }
    }

    /// The whole request was given over: from now on a response is owed.
    func requestEnded() {
        switch self {
        case .http1(let connection): connection.requestEnded()
        case .http2(let stream): stream.requestEnded()
        }
    }

    /// The client takes bytes again.
    func resumeReading() {
        switch self {
        case .http1(let connection): connection.resumeReading()
        case .http2(let stream): stream.resumeReading()
        }
    }

    /// Ends it in the middle of an exchange that goes on without it.
    func abandon() {
        switch self {
        case .http1(let connection): connection.abandon()
        case .http2(let stream): stream.abandon()
        }
    }

    /// The client ended its direction of a tunnel.
    func endTunnelWriting() {
        if case .http1(let connection) = self { connection.endTunnelWriting() }
    }
}
