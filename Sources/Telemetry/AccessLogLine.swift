package import Bytes
internal import JSON

/// One request's line in the access log, a JSON object; docs/access-log.md lists its members.
///
/// Written as the facts become known, since what they are read from does not last: `begin` while
/// the head is in the receive buffer, `identify` while the token's claims are at hand, `finish` at
/// the end, which appends the whole line to the log's buffer. Facts that are not known, empty
/// spans, are left out. Bytes are escaped, so a line stays one line; long ones are cut and end in
/// `…`. There is no place for a query string or a token.
package struct AccessLogLine: ~Copyable {
    /// Most bytes of each fact that are kept.
    private enum Limit {
        static let requestID = 128
        static let client = 64
        static let method = 32
        static let host = 255
        static let path = 2048
        static let name = 128
        static let subject = 256
        static let issuer = 256
        static let tokenID = 128
        static let detail = 256
    }

    private var line = ByteBuffer()

    /// A line with nothing in it and without memory.
    package init() {}

    /// Whether `begin` was called and `finish` was not.
    package var hasBegun: Bool { !line.isEmpty }

    /// Starts the line with what the request's head says. `path` is the canonical one.
    package mutating func begin(
        atUnixMilliseconds time: Int64, clock: inout Timestamp, requestID: Span<UInt8>,
        client: Span<UInt8>, method: Span<UInt8>, host: Span<UInt8>, path: Span<UInt8>,
        route: Span<UInt8>
    ) {
        line.removeAll(keepingCapacity: true)
        line.append("{\"time\":\"")
        clock.append(unixMilliseconds: time, to: &line)
        line.append(byte: UInt8(ascii: "\""))
        append(",\"request_id\":\"", requestID, atMost: Limit.requestID)
        append(",\"client\":\"", client, atMost: Limit.client)
        append(",\"method\":\"", method, atMost: Limit.method)
        append(",\"host\":\"", host, atMost: Limit.host)
        append(",\"path\":\"", path, atMost: Limit.path)
        append(",\"route\":\"", route, atMost: Limit.name)
    }

    /// Adds whom the verified token speaks of; not called where there is none.
    package mutating func identify(
        subject: Span<UInt8>, issuer: Span<UInt8>, tokenID: Span<UInt8>
    ) {
        append(",\"subject\":\"", subject, atMost: Limit.subject)
        append(",\"issuer\":\"", issuer, atMost: Limit.issuer)
        append(",\"token_id\":\"", tokenID, atMost: Limit.tokenID)
    }

    /// Completes the line and appends it, with its newline, to `output`. The line is empty then and
    /// gives its memory back unless it is kept. `upstream`: the endpoint that was tried last.
    package mutating func finish(
        _ outcome: ExchangeOutcome, upstream: Span<UInt8>, to output: inout ByteBuffer,
        keepingCapacity: Bool = false
    ) {
        precondition(hasBegun, "a log line ends before it begins")
        append(",\"status\":", outcome.status)
        append(",\"decision\":\"", word: outcome.decision.code)
        if let reason = outcome.reason { append(",\"reason\":\"", word: reason.code) }
        if let detail = outcome.detail {
            append(",\"detail\":\"", detail.utf8Span.span, atMost: Limit.detail)
        }
        append(",\"bytes_in\":", Int(outcome.bytesIn))
        append(",\"bytes_out\":", Int(outcome.bytesOut))
        appendDuration(outcome.nanoseconds)
        append(",\"upstream\":\"", upstream, atMost: Limit.name)
        if outcome.upstreamStatus != 0 { append(",\"upstream_status\":", outcome.upstreamStatus) }
        if outcome.tries != 0 { append(",\"tries\":", outcome.tries) }
        line.append("}\n")
        output.append(line)
        line.removeAll(keepingCapacity: keepingCapacity)
    }

    /// The name brings the opening quote.
    private mutating func append(_ name: StaticString, _ value: Span<UInt8>, atMost limit: Int) {
        guard !value.isEmpty else { return }
        line.append(name)
        if value.count <= limit {
            line.appendJSONText(value)
            line.append(byte: UInt8(ascii: "\""))
        } else {
            // Cut between characters: no continuation byte may stand behind the cut.
            var end = limit
            while end > limit &- 3, value[end] & 0xc0 == 0x80 { end &-= 1 }
            line.appendJSONText(value.extracting(0..<end))
            line.append("…\"")
        }
    }

    private mutating func append(_ name: StaticString, _ value: Int) {
        line.append(name)
        line.append(decimal: value)
    }

    /// The name brings the opening quote.
    private mutating func append(_ name: StaticString, word: StaticString) {
        line.append(name)
        line.append(word)
        line.append(byte: UInt8(ascii: "\""))
    }

    /// Milliseconds with three decimals; a clock that went backwards counts as 0.
    private mutating func appendDuration(_ nanoseconds: Int64) {
        let microseconds = Int(max(nanoseconds, 0) / 1000)
        append(",\"duration_ms\":", microseconds / 1000)
        let rest = microseconds % 1000
        line.append(byte: UInt8(ascii: "."))
        line.append(byte: UInt8(truncatingIfNeeded: rest / 100 &+ 0x30))
        line.append(byte: UInt8(truncatingIfNeeded: rest / 10 % 10 &+ 0x30))
        line.append(byte: UInt8(truncatingIfNeeded: rest % 10 &+ 0x30))
    }
}
