internal import Bytes
internal import HTTP2

/// Where a message's body goes, and what delimits it there.
enum BodyTarget {
    /// An HTTP/1 connection; a `Content-Length` that was forwarded, or the connection's end.
    case identity(Transport)
    /// An HTTP/1 connection; chunks.
    case chunked(Transport)
    /// A stream; frames.
    case stream(HTTP2Connection, HTTP2StreamHandle)
    /// Nowhere: the message has no body there, or nobody wants it any more.
    case nowhere

    /// Pieces up to this size are copied to spare a system call.
    private static let copyLimit = 16384

    /// Appends data. Small pieces for a connection are gathered in the caller's buffer and leave
    /// with whatever is there already; large ones are sent from where they are.
    func append(_ data: Span<UInt8>, gatheringIn output: inout ByteBuffer) {
        switch self {
        case .identity(let transport):
            if data.count <= BodyTarget.copyLimit { return output.append(data) }
            transport.send(output, data)
            output.removeAll(keepingCapacity: true)
        case .chunked(let transport):
            output.append(hexadecimal: data.count)
            output.append("\r\n")
            if data.count <= BodyTarget.copyLimit {
                output.append(data)
            } else {
                transport.send(output, data)
                output.removeAll(keepingCapacity: true)
            }
            output.append("\r\n")
        case .stream(let connection, let stream): connection.write(stream, data)
        case .nowhere: break
        }
    }

    /// Ends the body. `trailers`: lines that may go on; they are left out where nothing carries
    /// them.
    func end(trailers: Span<UInt8>, gatheringIn output: inout ByteBuffer) {
        switch self {
        case .identity, .nowhere: break
        case .chunked:
            output.append("0\r\n")
            output.append(trailers)
            output.append("\r\n")
        case .stream(let connection, let stream): connection.end(stream, trailers: trailers)
        }
    }

    /// Sends what was gathered.
    func send(_ output: borrowing ByteBuffer) {
        switch self {
        case .identity(let transport), .chunked(let transport): transport.send(output)
        case .stream, .nowhere: break
        }
    }
}
