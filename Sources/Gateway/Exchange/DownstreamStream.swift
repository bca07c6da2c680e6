internal import Bytes
internal import HTTP

/// The client's side of an exchange, in either version of HTTP.
enum DownstreamStream {
    case http1(HTTP1Downstream)
    case http2(HTTP2DownstreamStream)

    /// Whether response bytes have somewhere to go.
    var isReady: Bool {
        switch self {
        case .http1(let connection): connection.isReady
        case .http2(let stream): stream.isReady
        }
    }

    /// Passes on an interim response, where the client understands those.
    func sendInterim(_ head: ResponseHead, _ bytes: Span<UInt8>) {
        switch self {
        case .http1(let connection): connection.sendInterim(head, bytes)
        case .http2(let stream): stream.sendInterim(head, bytes)
        }
    }

    /// Writes the response's head. What is not sent yet is left in `output`; says where the body
    /// goes.
    func respond(
        _ head: ResponseHead, _ bytes: Span<UInt8>, _ framing: BodyFraming, edits: FieldEdits,
        output: inout ByteBuffer
    ) -> BodyTarget {
        switch self {
        case .http1(let connection):
            connection.respond(head, bytes, framing, edits: edits, output: &output)
        case .http2(let stream):
            stream.respond(head, bytes, framing, edits: edits, output: &output)
        }
    }

    /// Part of the response was given over.
    func responseProgressed() {
        switch self {
        case .http1(let connection): connection.responseProgressed()
        case .http2(let stream): stream.responseProgressed()
        }
    }

    /// The response is whole and was given over.
    func responseEnded() {
        switch self {
        case .http1(let connection): connection.responseEnded()
        case .http2(let stream): stream.responseEnded()
        }
    }

    /// The exchange failed before a response began: the refusal is the response.
    func refuse(_ failure: Failure, for exchange: Exchange) {
        switch self {
        case .http1(let connection): connection.refuse(failure, for: exchange)
        case .http2(let stream): stream.refuse(failure, for: exchange)
        }
    }

    /// Ends at once, in the middle of a response: the client must not take it for whole.
    func abort() {
        switch self {
        case .http1(let connection): connection.abort()
        case .http2(let stream): stream.abort()
        }
    }

    /// The upstream takes bytes, or takes them again: goes on with the body or tunnel.
    func resumeReading() {
        switch self {
        case .http1(let connection): connection.resumeReading()
        case .http2(let stream): stream.resumeReading()
        }
    }

    /// The request can be judged again.
    func verdictReady() {
        switch self {
        case .http1(let connection): connection.verdictReady()
        case .http2(let stream): stream.verdictReady()
        }
    }

    /// The request's body moved, if slowly.
    func bodyProgressed() {
        switch self {
        case .http1(let connection): connection.bodyProgressed()
        case .http2(let stream): stream.bodyProgressed()
        }
    }

    /// A deadline of the exchange's; nil lifts it.
    func setDeadline(inMilliseconds milliseconds: Int64?) {
        switch self {
        case .http1(let connection): connection.setDeadline(inMilliseconds: milliseconds)
        case .http2(let stream): stream.setDeadline(inMilliseconds: milliseconds)
        }
    }
}
