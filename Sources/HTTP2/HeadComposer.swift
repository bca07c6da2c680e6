internal import Bytes
internal import HTTP

/// Writes decoded header blocks in the form that the rest of the house reads: a head of RFC 9112 in
/// an arena, so that every check of HTTP/1.1 holds for HTTP/2 as well.
///
/// nghttp2 has judged the fields by RFC 9113, section 8.2; what could become structure in the lines
/// written here (a name that is no token, a control in a value, a space in the target) is looked
/// for again, so that nothing rests on another parser's care. One block is composed at a time.
struct HeadComposer: ~Copyable {
    private enum Kind {
        case request
        case response
        case trailers
    }

    /// What is known of the current block, in one value.
    private struct Block {
        var kind = Kind.request
        var isStarted = false
        /// Where it begins in the arena.
        var start = 0
        /// Where its lines begin.
        var firstLine = 0
        var method = 0..<0
        var path = 0..<0
        var authority = 0..<0
        var isLineWritten = false
        /// Decoded size (RFC 9113, section 6.5.2).
        var size = 0
        var count = 0
        var fault: MessageError?
    }

    /// Bytes per field beyond name and value (RFC 9113, section 6.5.2).
    private static let fieldOverhead = 32
    /// A block this many times the allowed size is an attack by compression, not a large head.
    private static let bombFactor = 4
    /// Most bytes of heads of one `receive`: far beyond what honest clients reach by repeating
    /// themselves in one read, since the table they repeat from holds 4 KiB.
    private static let maxArena = 2 << 20
    /// Arena memory kept from one `receive` to the next.
    private static let keptCapacity = 65536
    /// The same for the places of lines.
    private static let keptLines = 1024

    /// Heads and trailers of this `receive`.
    private(set) var arena = ByteBuffer()
    /// Where their field lines are, each counted from its head's first byte; trailers have none.
    /// Who reads a head is spared to look for them.
    private(set) var lines: [FieldLine] = []
    private var pseudo = ByteBuffer()
    private var cookie = ByteBuffer()
    private var block = Block()
    private let maxBytes: Int
    private let maxFields: Int

    init(maxBytes: Int, maxFields: Int) {
        self.maxBytes = maxBytes
        self.maxFields = maxFields
    }

    /// Forgets the heads of the last `receive`; what has come of an unfinished block stays.
    mutating func beginInput() {
        let kept = block.isStarted ? arena.count &- block.start : 0
        guard kept > 0 else {
            arena.removeAll(keepingCapacity: arena.capacity <= HeadComposer.keptCapacity)
            lines.removeAll(keepingCapacity: lines.capacity <= HeadComposer.keptLines)
            block.start = 0
            block.firstLine = 0
            return
        }
        arena.removeFirst(block.start)
        lines.removeFirst(block.firstLine)
        block.start = 0
        block.firstLine = 0
    }

    /// Gives memory back where nothing is under way.
    mutating func release() {
        if block.isStarted { return }
        arena.removeAll()
        lines = []
        pseudo.removeAll()
        cookie.removeAll()
    }

    /// Begins a block. A response's may turn out to be trailers.
    mutating func begin(isRequest: Bool) {
        block = Block(
            kind: isRequest ? .request : .trailers, isStarted: true, start: arena.count,
            firstLine: lines.count)
        pseudo.removeAll(keepingCapacity: true)
        cookie.removeAll(keepingCapacity: true)
    }

    /// Takes one decoded field. False where the peer blows its head up on purpose.
    mutating func add(_ name: Span<UInt8>, _ value: Span<UInt8>) -> Bool {
        // nghttp2 decodes at most 64 KiB a field, so the sum stays far from overflow.
        block.size &+= name.count &+ value.count &+ HeadComposer.fieldOverhead
        if block.size > maxBytes &* HeadComposer.bombFactor { return false }
        if arena.count &+ cookie.count > HeadComposer.maxArena &+ maxBytes { return false }
        if block.fault != nil { return true }
        if block.size > maxBytes {
            fail(.headTooLarge)
        } else if name.count > 0, name[0] == UInt8(ascii: ":") {
            addPseudo(name, value)
        } else {
            if !block.isLineWritten { writeLine() }
            if block.fault == nil { addField(name, value) }
        }
        return true
    }

    /// What a block turned out to be.
    struct Finding {
        /// Its place in the arena.
        let range: Range<Int>
        /// That of its lines.
        let lines: Range<Int>
        let fault: MessageError?
        let isTrailers: Bool
    }

    /// Ends the block. Returns where it is, or what is wrong with it.
    mutating func finish() -> Finding {
        if !block.isLineWritten, block.fault == nil { writeLine() }
        if !cookie.isEmpty, block.fault == nil { writeCookie() }
        if block.kind != .trailers, block.fault == nil { arena.append("\r\n") }
        block.isStarted = false
        return Finding(
            range: block.start..<arena.count, lines: block.firstLine..<lines.count,
            fault: block.fault, isTrailers: block.kind == .trailers)
    }

    private mutating func writeCookie() {
        let start = arena.count
        // An empty crumb leaves a blank at the end, which is no part of the value.
        let value = cookie.withBytes { $0.trimmingBlanks(0..<$0.count) }
        arena.append("cookie: ")
        cookie.withBytes { arena.append($0, value) }
        arena.append("\r\n")
        noteLine(at: start, nameCount: 6, valueCount: value.count, .other)
    }

    /// Notes a line that was written at `start` of the arena.
    private mutating func noteLine(
        at start: Int, nameCount: Int, valueCount: Int, _ kind: FieldKind
    ) {
        if block.kind == .trailers { return }
        lines.append(
            FieldLine(
                writtenAt: start &- block.start, nameCount: nameCount, valueCount: valueCount,
                kind: kind))
    }

    /// Forgets a block that will not be finished.
    mutating func abandon() {
        guard block.isStarted else { return }
        forget()
        block.isStarted = false
    }

    private mutating func fail(_ fault: MessageError) {
        block.fault = fault
        forget()
        cookie.removeAll()
    }

    private mutating func forget() {
        arena.truncate(to: block.start)
        lines.removeSubrange(block.firstLine...)
    }

    /// Keeps a pseudo-header field (RFC 9113, section 8.3) until the block's first other field.
    private mutating func addPseudo(_ name: Span<UInt8>, _ value: Span<UInt8>) {
        let start = pseudo.count
        pseudo.append(value)
        let range = start..<pseudo.count
        switch name.count {
        case 5 where name.isEqual(to: ":path"): block.path = range
        case 7 where name.isEqual(to: ":method"): block.method = range
        case 7 where name.isEqual(to: ":status"):
            block.kind = .response
            block.method = range
        case 10 where name.isEqual(to: ":authority"):
            block.authority = range
            if range.isEmpty { fail(.host) }
        default: break
        }
        // nghttp2 lets no other but `:scheme` through, which goes no further: what the client said
        // of it is not what the connection is.
    }

    private mutating func writeLine() {
        block.isLineWritten = true
        let fault =
            switch block.kind {
            case .trailers: nil as MessageError?
            case .response: writeStatusLine()
            case .request: writeRequestLine()
            }
        if let fault { fail(fault) }
    }

    private mutating func writeStatusLine() -> MessageError? {
        let status = block.method
        let isStatus = pseudo.withBytes { bytes in
            status.count == 3 && ASCII.isDigit(bytes[0]) && ASCII.isDigit(bytes[1])
                && ASCII.isDigit(bytes[2])
        }
        if !isStatus { return .startLine }
        arena.append("HTTP/1.1 ")
        pseudo.withBytes { arena.append($0, status) }
        arena.append(" \r\n")
        return nil
    }

    private mutating func writeRequestLine() -> MessageError? {
        let parts = block
        var hostStart = 0
        let fault = pseudo.withBytes { bytes -> MessageError? in
            let method = bytes.extracting(parts.method)
            let isConnect = method.isEqual(to: "CONNECT")
            let target = isConnect ? parts.authority : parts.path
            guard !method.isEmpty, method.endOfToken(from: 0) == method.count,
                HeadComposer.isTarget(bytes.extracting(target), of: method, isConnect)
            else { return .startLine }
            let authority = bytes.extracting(parts.authority)
            guard authority.endOfVisible(from: 0) == authority.count else { return .host }
            arena.append(method)
            arena.append(byte: UInt8(ascii: " "))
            arena.append(bytes, target)
            arena.append(" HTTP/1.1\r\n")
            if authority.isEmpty { return nil }
            block.count &+= 1
            hostStart = arena.count
            arena.append("host: ")
            arena.append(authority)
            arena.append("\r\n")
            return nil
        }
        if hostStart > 0 {
            noteLine(at: hostStart, nameCount: 4, valueCount: parts.authority.count, .host)
        }
        return fault
    }

    /// Whether the octets can stand in a request line: a path, `*` for OPTIONS, an authority for
    /// CONNECT.
    private static func isTarget(
        _ target: Span<UInt8>, of method: Span<UInt8>, _ isConnect: Bool
    ) -> Bool {
        guard !target.isEmpty, target.endOfVisible(from: 0) == target.count else { return false }
        if isConnect || target[0] == UInt8(ascii: "/") { return true }
        return target.isEqual(to: "*") && method.isEqual(to: "OPTIONS")
    }

    private mutating func addField(_ name: Span<UInt8>, _ value: Span<UInt8>) {
        guard !name.isEmpty, name.endOfToken(from: 0) == name.count,
            value.endOfFieldValue(from: 0) == value.count, !HeadComposer.hasOuterBlank(value)
        else { return fail(.fieldLine) }
        // Names with a meaning here, by their lengths; most have none.
        switch name.count {
        case 4 where block.kind == .request && !block.authority.isEmpty:
            if name.isEqual(to: "host") { return checkHost(value) }
        case 6 where block.kind == .request:
            if name.isEqual(to: "cookie") { return addCrumb(value) }
        case 7, 10, 16, 17:
            if HeadComposer.isConnectionSpecific(name) { return fail(.fieldLine) }
        default: break
        }
        block.count &+= 1
        guard block.count <= maxFields else { return fail(.tooManyFields) }
        let start = arena.count
        arena.appendFieldLine(name, value)
        noteLine(
            at: start, nameCount: name.count, valueCount: value.count, FieldKind(name: name))
    }

    /// Cookies may come in crumbs, which are one field elsewhere (RFC 9113, section 8.2.3).
    private mutating func addCrumb(_ value: Span<UInt8>) {
        if cookie.isEmpty {
            block.count &+= 1
            guard block.count <= maxFields else { return fail(.tooManyFields) }
        } else {
            cookie.append("; ")
        }
        cookie.append(value)
    }

    /// `Host` beside `:authority` says the same, or the two ends of a chain would not agree whom
    /// the request is for (RFC 9113, section 8.3.1).
    private mutating func checkHost(_ value: Span<UInt8>) {
        let authority = block.authority
        let isSame = pseudo.withBytes {
            $0.extracting(authority).isEqualIgnoringCase(to: value)
        }
        if !isSame { fail(.host) }
    }

    private static func hasOuterBlank(_ value: Span<UInt8>) -> Bool {
        guard !value.isEmpty else { return false }
        return ASCII.isBlank(value[0]) || ASCII.isBlank(value[value.count &- 1])
    }

    /// Fields of HTTP/1.1's connections (RFC 9113, section 8.2.2), which would mean something in
    /// the form written here. nghttp2 refuses them before.
    private static func isConnectionSpecific(_ name: Span<UInt8>) -> Bool {
        switch name.count {
        case 7: name.isEqual(to: "upgrade")
        case 10: name.isEqual(to: "connection") || name.isEqual(to: "keep-alive")
        case 16: name.isEqual(to: "proxy-connection")
        case 17: name.isEqual(to: "transfer-encoding")
        default: false
        }
    }
}
