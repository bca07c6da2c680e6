internal import Bytes
internal import JSON
internal import Telemetry

/// An answer of our own in place of a response: a refusal, or word of an upstream's failure.
struct Answer {
    let failure: Failure
    let record: RequestRecord
    /// The realm that challenges name.
    let realm: String
    /// The scopes that the route needs, for challenges.
    let scope: String?

    /// Seconds after which a client may try again: about what a connection or a key needs to come.
    private static let retryAfterSeconds = 5

    /// What becomes of the connection.
    enum Next {
        /// It stays, as is usual.
        case stays
        /// It stays, which a client of HTTP/1.0 has to be told.
        case keepsAlive
        /// It ends with this message.
        case ends
        /// It is a stream's: nothing is said of it, nor of a body that is not there.
        case isStream
    }

    /// Appends the whole message.
    func write(to output: inout ByteBuffer, _ next: Next, date: DateField) {
        var body = ByteBuffer()
        writeHead(to: &output, next, date: date, body: &body)
        output.append(body)
    }

    /// Appends the head, and the body, if there is one, to a buffer of its own.
    func writeHead(
        to output: inout ByteBuffer, _ next: Next, date: DateField, body: inout ByteBuffer
    ) {
        if record.format == .grpc {
            return writeGRPC(to: &output, next, date: date)
        }
        appendBody(to: &body)
        output.append("HTTP/1.1 ")
        output.append(decimal: failure.status)
        output.append(" ")
        output.append(StatusText.phrase(failure.status))
        output.append("\r\n")
        appendFields(to: &output, next, date: date)
        output.append("Content-Type: ")
        output.append(
            record.format == .text ? "text/plain; charset=utf-8" : "application/problem+json")
        output.append("\r\nContent-Length: ")
        output.append(decimal: body.count)
        output.append("\r\n\r\n")
        if record.isHead { body.removeAll() }
    }

    /// HTTP 200 with the status in the head and no body, as gRPC's clients expect (trailers-only).
    private func writeGRPC(to output: inout ByteBuffer, _ next: Next, date: DateField) {
        output.append("HTTP/1.1 200 OK\r\n")
        appendFields(to: &output, next, date: date)
        output.append("Content-Type: application/grpc\r\ngrpc-status: ")
        output.append(decimal: StatusText.grpcStatus(failure.status))
        output.append("\r\ngrpc-message: ")
        output.append(failure.detail)
        output.append(next == .isStream ? "\r\n\r\n" : "\r\nContent-Length: 0\r\n\r\n")
    }

    private func appendFields(to output: inout ByteBuffer, _ next: Next, date: DateField) {
        date.append(to: &output)
        if let challenge = Challenge(failure) {
            challenge.append(realm: realm, scope: scope, detail: failure.detail, to: &output)
        }
        if case .methodNotAllowed(let allow) = failure {
            output.append("Allow: ")
            output.append(allow)
            output.append("\r\n")
        }
        if failure.hasRetryAfter {
            output.append("Retry-After: ")
            output.append(decimal: Answer.retryAfterSeconds)
            output.append("\r\n")
        }
        if !record.id.isEmpty {
            output.append("X-Request-Id: ")
            output.append(record.id)
            output.append("\r\n")
        }
        output.append("Cache-Control: no-store\r\n")
        switch next {
        case .stays, .isStream: break
        case .keepsAlive: output.append("Connection: keep-alive\r\n")
        case .ends: output.append("Connection: close\r\n")
        }
    }

    private func appendBody(to body: inout ByteBuffer) {
        guard record.format == .problem else {
            body.append(StatusText.phrase(failure.status))
            body.append(": ")
            body.append(failure.detail)
            body.append("\nrequest: ")
            body.append(record.id)
            body.append("\n")
            return
        }
        body.append("{\"type\":\"urn:bearward:problem:")
        body.append(failure.reason.code)
        body.append("\",\"title\":\"")
        body.append(StatusText.phrase(failure.status))
        body.append("\",\"status\":")
        body.append(decimal: failure.status)
        body.append(",\"detail\":\"")
        body.append(failure.detail)
        body.append("\",\"requestId\":\"")
        body.append(record.id)
        body.append("\"}\n")
    }
}
