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

    /// What was noted of the current message. One value, so that a new message clears it in one
    /// store and no reader pays an exclusivity check for each fact.
    private struct Facts {
        var count = 0
        var contentLength: Int64?
        var isChunked = false
        var saysClose = false
        var saysKeepAlive = false
        var saysUpgrade = false
        var host = -1
        var authorization = -1
        var authorizationCount = 0
        var upgrade = -1
        var requestID = -1
        var transferEncoding = -1
        var expectsContinue = false
        var hasOtherExpectation = false
        var hasForwardingFields = false
        var connectionNamesFields = false
        var takesTrailers = false
    }

    /// The lines; only the first `count` are of the current message.
    private let table: FixedTable<FieldLine>
    private var facts = Facts()

    /// Options of `Connection` compared with the fields; real messages have one or two.
    private static let maxConnectionOptions = 32

    private let sender: Sender

    /// An empty section with room for `maxFields` lines.
    package init(sender: Sender, maxFields: Int) {
        self.sender = sender
        table = FixedTable(repeating: FieldLine.none, count: maxFields)
    }

    /// How many lines the current message has.
    package var count: Int { facts.count }
    /// The value of `Content-Length`, nil where there is none.
    package var contentLength: Int64? { facts.contentLength }
    /// Whether the body is chunked.
    package var isChunked: Bool { facts.isChunked }
    /// Whether `Connection` says `close`.
    package var saysClose: Bool { facts.saysClose }
    /// Whether `Connection` says `keep-alive`.
    package var saysKeepAlive: Bool { facts.saysKeepAlive }
    /// Whether `Connection` says `upgrade`.
    package var saysUpgrade: Bool { facts.saysUpgrade }
    /// The line of `Host`, -1 where there is none.
    package var host: Int { facts.host }
    /// The line of the first `Authorization`, -1 where there is none.
    package var authorization: Int { facts.authorization }
    /// How many `Authorization` fields there are.
    package var authorizationCount: Int { facts.authorizationCount }
    /// The line of the first `Upgrade`, -1 where there is none.
    package var upgrade: Int { facts.upgrade }
    /// The line of the first `X-Request-Id`, -1 where there is none.
    package var requestID: Int { facts.requestID }
    /// Whether the client waits for `100 (Continue)`.
    package var expectsContinue: Bool { facts.expectsContinue }
    /// Whether any field of `Via`, `Forwarded` or `X-Forwarded-*` that is extended is there.
    package var hasForwardingFields: Bool { facts.hasForwardingFields }

    /// Whether `TE` says that trailers are understood (RFC 9110, section 10.1.4).
    package var takesTrailers: Bool { facts.takesTrailers }

    /// The line at `index`, which is below `count`.
    package subscript(index: Int) -> FieldLine {
        precondition(index < facts.count, "no such field line")
        return table[index]
    }

    /// The first line of a kind, nil where there is none.
    package func firstIndex(of kind: FieldKind) -> Int? {
        for index in 0..<facts.count where table[index].kind == kind { return index }
        return nil
    }

    /// Leaves the line at `index` out of what is forwarded.
    package func drop(_ index: Int) {
        precondition(index < facts.count, "no such field line")
        var line = table[index]
        line.isDropped = true
        table[index] = line
    }

    /// Reads lines from `start` to the empty line. Returns the offset behind it, nil where the
    /// section is not complete yet.
    func parse(_ bytes: Span<UInt8>, from start: Int) throws(MessageError) -> Int? {
        facts = Facts()
        var offset = start
        while true {
            guard offset < bytes.count else { return nil }
            if bytes[offset] == UInt8(ascii: "\r") {
                guard offset &+ 1 < bytes.count else { return nil }
                guard bytes[offset &+ 1] == UInt8(ascii: "\n") else { throw .fieldLine }
                return offset &+ 2
            }
            guard let line = try FieldSection.line(in: bytes, at: offset) else { return nil }
            guard facts.count < table.count else { throw .tooManyFields }
            table[facts.count] = line
            if line.kind != .other { try note(line, in: bytes) }
            facts.count &+= 1
            offset = Int(line.end)
        }
    }

    /// Takes lines that whoever wrote the head has looked at as `line` does. They stand one behind
    /// the other from `start`; false where they do not, or the empty line does not end the head.
    func take(
        _ lines: Span<FieldLine>, of bytes: Span<UInt8>, from start: Int
    ) throws(MessageError) -> Bool {
        facts = Facts()
        guard lines.count <= table.count else { throw .tooManyFields }
        var offset = start
        for index in 0..<lines.count {
            let line = lines[index]
            guard Int(line.start) == offset, line.end > line.start else { return false }
            table[index] = line
            if line.kind != .other { try note(line, in: bytes) }
            facts.count = index &+ 1
            offset = Int(line.end)
        }
        return offset &+ 2 == bytes.count
    }

    /// One field line at `start`, or nil where its end has not arrived. No white space before the
    /// colon, no folding, no control in the value (RFC 9112, section 5).
    static func line(
        in bytes: Span<UInt8>, at start: Int
    ) throws(MessageError) -> FieldLine? {
        switch bytes.fieldLine(at: start) {
        case .incomplete: return nil
        case .malformed: throw .fieldLine
        case .line(let places):
            return FieldLine(
                start: UInt32(truncatingIfNeeded: start), nameEnd: places.nameEnd,
                valueStart: places.valueStart, valueEnd: places.valueEnd, end: places.end,
                kind: FieldKind(name: bytes.extracting(start..<Int(places.nameEnd))))
        }
    }

    /// The checks that need the whole section: framing that contradicts itself (RFC 9112, section
    /// 6.3), expectations, and what `Connection` may name.
    func validate(_ bytes: Span<UInt8>, minorVersion: UInt8) throws(MessageError) {
        if facts.transferEncoding >= 0 {
            guard facts.contentLength == nil else { throw .contentLength }
            guard minorVersion == 1 else { throw .transferEncoding }
            try readTransferEncoding(bytes.extracting(table[facts.transferEncoding].value))
        }
        if facts.connectionNamesFields { try dropNamedFields(bytes) }
        if facts.hasOtherExpectation { throw .expectation }
        // An HTTP/1.0 client cannot wait for it (RFC 9110, section 10.1.1).
        if minorVersion == 0 { facts.expectsContinue = false }
    }

    /// Leaves out what belongs to the connection, not to the message.
    package func dropHopByHopFields() {
        for index in 0..<facts.count where table[index].kind.isHopByHop { drop(index) }
    }

    /// Appends all lines that are kept, neighbours in one copy.
    package func appendKept(_ bytes: Span<UInt8>, to output: inout ByteBuffer) {
        var run = 0..<0
        for index in 0..<facts.count {
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

    private func note(_ line: FieldLine, in bytes: Span<UInt8>) throws(MessageError) {
        switch line.kind {
        case .host:
            guard facts.host < 0 else { throw .host }
            facts.host = facts.count
        case .authorization:
            facts.authorizationCount &+= 1
            if facts.authorization < 0 { facts.authorization = facts.count }
        case .contentLength:
            guard facts.contentLength == nil else { throw .contentLength }
            facts.contentLength = try FieldSection.length(bytes.extracting(line.value))
        case .transferEncoding:
            guard facts.transferEncoding < 0 else { throw .transferEncoding }
            facts.transferEncoding = facts.count
        case .connection: noteConnection(bytes, line.value)
        case .expect:
            let isContinue = bytes.extracting(line.value).isEqualIgnoringCase(to: "100-continue")
            if isContinue {
                facts.expectsContinue = true
            } else {
                facts.hasOtherExpectation = sender == .client
            }
        case .te: noteTE(bytes, line.value)
        case .upgrade where facts.upgrade < 0: facts.upgrade = facts.count
        case .xRequestID where facts.requestID < 0: facts.requestID = facts.count
        case .via, .forwarded, .xForwardedFor, .xForwardedHost, .xForwardedProto:
            facts.hasForwardingFields = true
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
        // What most servers say.
        if bytes.extracting(value).isEqualIgnoringCase(to: "keep-alive") {
            facts.saysKeepAlive = true
            return
        }
        var list = ListCursor(value)
        while let item = list.next(in: bytes) {
            let option = bytes.extracting(item)
            if option.isEqualIgnoringCase(to: "close") {
                facts.saysClose = true
            } else if option.isEqualIgnoringCase(to: "keep-alive") {
                facts.saysKeepAlive = true
            } else if option.isEqualIgnoringCase(to: "upgrade") {
                facts.saysUpgrade = true
            } else {
                facts.connectionNamesFields = true
            }
        }
    }

    private func noteTE(_ bytes: Span<UInt8>, _ value: Range<Int>) {
        var list = ListCursor(value)
        while let item = list.next(in: bytes) {
            if bytes.extracting(item).isEqualIgnoringCase(to: "trailers") {
                facts.takesTrailers = true
            }
        }
    }

    /// Only `chunked` alone is understood. A list of names that ends in `chunked` or leaves it out
    /// is 501; anything else, `chunked` twice or not last among it, is a framing trick and 400.
    private func readTransferEncoding(_ value: Span<UInt8>) throws(MessageError) {
        if value.isEqualIgnoringCase(to: "chunked") {
            facts.isChunked = true
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
        for index in 0..<facts.count where table[index].kind == .connection {
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
        for index in 0..<facts.count
        where bytes.extracting(table[index].name).isEqualIgnoringCase(to: name) {
            drop(index)
        }
    }
}
