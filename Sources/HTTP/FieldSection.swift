package import Bytes

/// The field lines of one message head, found in place, and what they say about the connection and
/// the body's framing (RFC 9110, section 5; RFC 9112, sections 5–7).
///
/// One instance serves all messages of a worker: parsing a head replaces what was there.
package final class FieldSection {
    /// Whose rules hold: a request's fault is answered, a response's is the upstream's.
    package enum Sender: Sendable {
        case client
        case upstream
    }

    /// The lines; only the first `count` are of the current message.
    private let table: FixedTable<FieldLine>
    /// How many lines the current message has.
    package private(set) var count = 0
    /// The value of `Content-Length`, nil where there is none.
    package private(set) var contentLength: Int64?
    /// Whether the body is chunked.
    package private(set) var isChunked = false
    /// Whether `Connection` says `close`.
    package private(set) var saysClose = false
    /// Whether `Connection` says `keep-alive`.
    package private(set) var saysKeepAlive = false
    /// Whether `Connection` says `upgrade`.
    package private(set) var saysUpgrade = false
    /// The line of `Host`, -1 where there is none.
    package private(set) var host = -1
    /// The line of the first `Authorization`, -1 where there is none.
    package private(set) var authorization = -1
    /// The line of the first `Upgrade`, -1 where there is none.
    package private(set) var upgrade = -1
    /// The line of the first `X-Request-Id`, -1 where there is none.
    package private(set) var requestID = -1
    /// How many `Authorization` fields there are.
    package private(set) var authorizationCount = 0
    /// Whether the client waits for `100 (Continue)`.
    package private(set) var expectsContinue = false
    /// Whether any field of `Via`, `Forwarded` or `X-Forwarded-*` that is extended is there.
    package private(set) var hasForwardingFields = false

    /// Options of `Connection` compared with the fields; real messages have one or two.
    private static let maxConnectionOptions = 32

    private let sender: Sender
    private var transferEncoding = -1
    private var connectionNamesFields = false
    private var hasOtherExpectation = false

    /// An empty section with room for `maxFields` lines.
    package init(sender: Sender, maxFields: Int) {
        self.sender = sender
        table = FixedTable(repeating: FieldLine.none, count: maxFields)
    }

    /// The line at `index`, which is below `count`.
    package subscript(index: Int) -> FieldLine {
        precondition(index < count, "no such field line")
        return table[index]
    }

    /// The first line of a kind, nil where there is none.
    package func firstIndex(of kind: FieldKind) -> Int? {
        for index in 0..<count where table[index].kind == kind { return index }
        return nil
    }

    /// Leaves the line at `index` out of what is forwarded.
    package func drop(_ index: Int) {
        precondition(index < count, "no such field line")
        var line = table[index]
        line.isDropped = true
        table[index] = line
    }

    /// Reads lines from `start` to the empty line. Returns the offset behind it, nil where the
    /// section is not complete yet.
    func parse(_ bytes: Span<UInt8>, from start: Int) throws(MessageError) -> Int? {
        reset()
        var offset = start
        while true {
            guard offset &+ 1 < bytes.count else { return nil }
            if bytes[offset] == UInt8(ascii: "\r") {
                guard bytes[offset &+ 1] == UInt8(ascii: "\n") else { throw .fieldLine }
                return offset &+ 2
            }
            guard let line = try FieldSection.line(in: bytes, at: offset) else { return nil }
            guard count < table.count else { throw .tooManyFields }
            table[count] = line
            if line.kind != .other { try note(line, in: bytes) }
            count &+= 1
            offset = Int(line.end)
        }
    }

    /// One field line at `start`, or nil where its end has not arrived. No white space before the
    /// colon, no folding, no control in the value (RFC 9112, section 5).
    static func line(
        in bytes: Span<UInt8>, at start: Int
    ) throws(MessageError) -> FieldLine? {
        let nameEnd = bytes.endOfToken(from: start)
        guard nameEnd < bytes.count else { return nil }
        guard nameEnd > start, bytes[nameEnd] == UInt8(ascii: ":") else { throw .fieldLine }
        let end = bytes.endOfFieldValue(from: nameEnd &+ 1)
        guard end < bytes.count else { return nil }
        guard bytes[end] == UInt8(ascii: "\r") else { throw .fieldLine }
        guard end &+ 1 < bytes.count else { return nil }
        guard bytes[end &+ 1] == UInt8(ascii: "\n") else { throw .fieldLine }
        let value = bytes.trimmingBlanks(nameEnd &+ 1..<end)
        return FieldLine(
            start: UInt32(truncatingIfNeeded: start), nameEnd: UInt32(truncatingIfNeeded: nameEnd),
            valueStart: UInt32(truncatingIfNeeded: value.lowerBound),
            valueEnd: UInt32(truncatingIfNeeded: value.upperBound),
            end: UInt32(truncatingIfNeeded: end &+ 2),
            kind: FieldKind(name: bytes.extracting(start..<nameEnd)))
    }

    /// The checks that need the whole section: framing that contradicts itself (RFC 9112, section
    /// 6.3), expectations, and what `Connection` may name.
    func validate(_ bytes: Span<UInt8>, minorVersion: UInt8) throws(MessageError) {
        if transferEncoding >= 0 {
            guard contentLength == nil else { throw .contentLength }
            guard minorVersion == 1 else { throw .transferEncoding }
            try readTransferEncoding(bytes.extracting(table[transferEncoding].value))
        }
        if connectionNamesFields { try dropNamedFields(bytes) }
        if hasOtherExpectation { throw .expectation }
        // An HTTP/1.0 client cannot wait for it (RFC 9110, section 10.1.1).
        if minorVersion == 0 { expectsContinue = false }
    }

    /// Leaves out what belongs to the connection, not to the message.
    package func dropHopByHopFields() {
        for index in 0..<count where table[index].kind.isHopByHop { drop(index) }
    }

    /// Appends all lines that are kept, neighbours in one copy.
    package func appendKept(_ bytes: Span<UInt8>, to output: inout ByteBuffer) {
        var run = 0..<0
        for index in 0..<count {
            let line = table[index]
            if !line.isDropped, run.upperBound == Int(line.start) {
                run = run.lowerBound..<Int(line.end)
                continue
            }
            if !run.isEmpty { output.append(bytes, run) }
            run = line.isDropped ? 0..<0 : line.line
        }
        if !run.isEmpty { output.append(bytes, run) }
    }

    private func reset() {
        count = 0
        contentLength = nil
        isChunked = false
        saysClose = false
        saysKeepAlive = false
        saysUpgrade = false
        host = -1
        authorization = -1
        upgrade = -1
        requestID = -1
        authorizationCount = 0
        expectsContinue = false
        hasForwardingFields = false
        transferEncoding = -1
        connectionNamesFields = false
        hasOtherExpectation = false
    }

    private func note(_ line: FieldLine, in bytes: Span<UInt8>) throws(MessageError) {
        switch line.kind {
        case .host:
            guard host < 0 else { throw .host }
            host = count
        case .authorization:
            authorizationCount &+= 1
            if authorization < 0 { authorization = count }
        case .contentLength:
            guard contentLength == nil else { throw .contentLength }
            contentLength = try FieldSection.length(bytes.extracting(line.value))
        case .transferEncoding:
            guard transferEncoding < 0 else { throw .transferEncoding }
            transferEncoding = count
        case .connection: noteConnection(bytes, line.value)
        case .expect:
            let isContinue = bytes.extracting(line.value).isEqualIgnoringCase(to: "100-continue")
            if isContinue {
                expectsContinue = true
            } else {
                hasOtherExpectation = sender == .client
            }
        case .upgrade where upgrade < 0: upgrade = count
        case .xRequestID where requestID < 0: requestID = count
        case .via, .forwarded, .xForwardedFor, .xForwardedHost, .xForwardedProto:
            hasForwardingFields = true
        default: break
        }
    }

    /// `1*DIGIT` (RFC 9110, section 8.6) of at most 18 digits, so that it fits with room to spare.
    private static func length(_ value: Span<UInt8>) throws(MessageError) -> Int64 {
        guard !value.isEmpty, value.count <= 18 else { throw .contentLength }
        var length: Int64 = 0
        for index in 0..<value.count {
            guard ASCII.isDigit(value[index]) else { throw .contentLength }
            length = length &* 10 &+ Int64(value[index] &- 0x30)
        }
        return length
    }

    private func noteConnection(_ bytes: Span<UInt8>, _ value: Range<Int>) {
        var list = ListCursor(value)
        while let item = list.next(in: bytes) {
            let option = bytes.extracting(item)
            if option.isEqualIgnoringCase(to: "close") {
                saysClose = true
            } else if option.isEqualIgnoringCase(to: "keep-alive") {
                saysKeepAlive = true
            } else if option.isEqualIgnoringCase(to: "upgrade") {
                saysUpgrade = true
            } else {
                connectionNamesFields = true
            }
        }
    }

    /// Only `chunked` alone is understood. A list of names that ends in `chunked` or leaves it out
    /// is 501; anything else, `chunked` twice or not last among it, is a framing trick and 400.
    private func readTransferEncoding(_ value: Span<UInt8>) throws(MessageError) {
        if value.isEqualIgnoringCase(to: "chunked") {
            isChunked = true
            return
        }
        var list = ListCursor(0..<value.count)
        var isChunkedNamed = false
        var codings = 0
        while let item = list.next(in: value) {
            let coding = value.extracting(item)
            guard coding.endOfToken(from: 0) == coding.count, !isChunkedNamed else {
                throw .transferEncoding
            }
            isChunkedNamed = coding.isEqualIgnoringCase(to: "chunked")
            codings &+= 1
        }
        // No name at all, or `chunked` alone between commas.
        guard codings > (isChunkedNamed ? 1 : 0) else { throw .transferEncoding }
        throw .unknownTransferCoding
    }

    /// Fields that `Connection` names belong to it (RFC 9110, section 7.6.1), but a client may not
    /// use this to take away what was checked. Each option is compared with each field: a head of
    /// nothing but options would cost milliseconds, so there is a most of them.
    private func dropNamedFields(_ bytes: Span<UInt8>) throws(MessageError) {
        var options = 0
        for index in 0..<count where table[index].kind == .connection {
            var list = ListCursor(table[index].value)
            while let item = list.next(in: bytes) {
                options &+= 1
                guard options <= FieldSection.maxConnectionOptions else { throw .connection }
                let option = bytes.extracting(item)
                switch FieldKind(name: option) {
                case .host, .authorization, .contentLength, .transferEncoding: throw .connection
                default: dropFields(named: option, in: bytes)
                }
            }
        }
    }

    private func dropFields(named name: Span<UInt8>, in bytes: Span<UInt8>) {
        for index in 0..<count
        where bytes.extracting(table[index].name).isEqualIgnoringCase(to: name) {
            drop(index)
        }
    }
}
