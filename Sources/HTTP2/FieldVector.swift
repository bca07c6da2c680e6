internal import Bytes
internal import CNghttp2
internal import HTTP

/// From a head in the form of RFC 9112, as our own code wrote it, to the fields that nghttp2 takes
/// (RFC 9113, section 8.3). Names need not be lower-case: nghttp2 lowers the copies it makes.
enum FieldVector {
    /// Pseudo-header fields that a request has at most.
    private static let pseudoFields = 4
    /// Fields, pseudo-header fields included, that a head has room for at first: about what Swift
    /// takes from the stack.
    private static let usualFields = 25

    /// Calls `body` with the fields of a request's head; they hold for the call. False where the
    /// bytes are no head.
    static func withRequest(
        _ head: Span<UInt8>, isSecure: Bool, _ body: (UnsafePointer<nghttp2_nv>, Int) -> Void
    ) -> Bool {
        guard let methodEnd = head.firstIndex(of: UInt8(ascii: " ")),
            let targetEnd = head.firstIndex(of: UInt8(ascii: " "), from: methodEnd &+ 1),
            let lineEnd = head.firstIndex(of: UInt8(ascii: "\n"), from: targetEnd &+ 1),
            methodEnd > 0, targetEnd > methodEnd &+ 1
        else { return false }
        return withFields(head, from: lineEnd &+ 1) { list in
            list.prepend(":path", head, methodEnd &+ 1..<targetEnd)
            if !list.host.isEmpty { list.prepend(":authority", head, list.host) }
            list.prepend(":scheme", isSecure ? "https" : "http")
            list.prepend(":method", head, 0..<methodEnd)
            unsafe body(list.first, list.count)
        }
    }

    /// Calls `body` with the fields of a response's head. False where the bytes are no head.
    static func withResponse(
        _ head: Span<UInt8>, _ body: (UnsafePointer<nghttp2_nv>, Int) -> Void
    ) -> Bool {
        guard head.count >= 13, ASCII.isDigit(head[9]), ASCII.isDigit(head[10]),
            ASCII.isDigit(head[11]), let lineEnd = head.firstIndex(of: UInt8(ascii: "\n"), from: 12)
        else { return false }
        return withFields(head, from: lineEnd &+ 1) { list in
            list.prepend(":status", head, 9..<12)
            unsafe body(list.first, list.count)
        }
    }

    /// Calls `body` with the status of a response's head, those of its fields that are kept, and
    /// the fields of `more` lines. False where the bytes are no head, or `more` no lines.
    static func withResponse(
        _ head: Span<UInt8>, _ fields: FieldSection, _ more: Span<UInt8>,
        _ body: (UnsafePointer<nghttp2_nv>, Int) -> Void
    ) -> Bool {
        guard head.count >= 13, ASCII.isDigit(head[9]), ASCII.isDigit(head[10]),
            ASCII.isDigit(head[11])
        else { return false }
        // A line has four bytes at least, so all of them have room.
        let room = max(usualFields, fields.count &+ more.count / 4 &+ pseudoFields)
        return unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: room) { room in
            unsafe head.withUnsafeBufferPointer { bytes in
                unsafe more.withUnsafeBufferPointer { moreBytes in
                    guard let base = bytes.baseAddress, let places = room.baseAddress
                    else { return false }
                    var list = unsafe FieldList(
                        bytes: base, fields: places, start: pseudoFields, room: room.count)
                    list.appendKept(fields, of: head)
                    list.prepend(":status", head, 9..<12)
                    if let moreBase = moreBytes.baseAddress, more.count > 0 {
                        unsafe list.bytes = unsafe moreBase
                        guard list.appendLines(more, from: 0) == .done else { return false }
                    }
                    unsafe body(list.first, list.count)
                    return true
                }
            }
        }
    }

    /// Calls `body` with the fields of trailer lines, at least one. False where they are no lines.
    static func withTrailers(
        _ lines: Span<UInt8>, _ body: (UnsafePointer<nghttp2_nv>, Int) -> Void
    ) -> Bool {
        withFields(lines, from: 0) { list in
            if list.count > 0 { unsafe body(list.first, list.count) }
        }
    }

    private static func withFields(
        _ head: Span<UInt8>, from start: Int, _ body: (inout FieldList) -> Void
    ) -> Bool {
        switch collect(head, from: start, room: usualFields, body) {
        case .done: return true
        case .badLine: return false
        case .noRoom:
            // A line has four bytes at least, so all of them have room.
            let room = head.count / 4 &+ pseudoFields
            return collect(head, from: start, room: room, body) == .done
        }
    }

    private static func collect(
        _ head: Span<UInt8>, from start: Int, room: Int, _ body: (inout FieldList) -> Void
    ) -> FieldList.Outcome {
        unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: room) { room in
            unsafe head.withUnsafeBufferPointer { bytes in
                guard let base = bytes.baseAddress, let fields = room.baseAddress
                else { return .badLine }
                var list = unsafe FieldList(
                    bytes: base, fields: fields, start: pseudoFields, room: room.count)
                let outcome = list.appendLines(head, from: start)
                if outcome == .done { body(&list) }
                return outcome
            }
        }
    }
}

/// Fields being collected: regular ones are appended, pseudo-header fields put in front.
@safe
private struct FieldList {
    /// How collecting ended.
    enum Outcome {
        case done
        /// A line is no field's.
        case badLine
        /// There are more fields than there is room for.
        case noRoom
    }

    /// The first byte of what ranges speak of; valid while the list is in use.
    var bytes: UnsafePointer<UInt8>
    /// `room` places: pseudo-header fields go before `start`, others from there.
    let fields: UnsafeMutablePointer<nghttp2_nv>
    let room: Int
    var start: Int
    var end: Int
    /// The value of `Host`.
    var host = 0..<0

    init(
        bytes: UnsafePointer<UInt8>, fields: UnsafeMutablePointer<nghttp2_nv>, start: Int, room: Int
    ) {
        unsafe self.bytes = unsafe bytes
        unsafe self.fields = unsafe fields
        self.room = room
        self.start = start
        end = start
    }

    var count: Int { end &- start }
    var first: UnsafePointer<nghttp2_nv> { unsafe UnsafePointer(fields + start) }

    /// Takes lines until the empty one or the end.
    mutating func appendLines(_ head: Span<UInt8>, from start: Int) -> Outcome {
        var offset = start
        while offset < head.count {
            if head[offset] == UInt8(ascii: "\r") { return .done }
            let nameEnd = head.endOfToken(from: offset)
            guard nameEnd > offset, nameEnd < head.count, head[nameEnd] == UInt8(ascii: ":")
            else { return .badLine }
            let lineEnd = head.endOfFieldValue(from: nameEnd &+ 1)
            guard lineEnd &+ 1 < head.count, head[lineEnd] == UInt8(ascii: "\r"),
                head[lineEnd &+ 1] == UInt8(ascii: "\n")
            else { return .badLine }
            if end == room { return .noRoom }
            var low = nameEnd &+ 1
            var high = lineEnd
            while low < high, ASCII.isBlank(head[low]) { low &+= 1 }
            while low < high, ASCII.isBlank(head[high &- 1]) { high &-= 1 }
            appendField(head, offset..<nameEnd, low..<high)
            offset = lineEnd &+ 2
        }
        return .done
    }

    /// Takes the lines of a head that are kept. There is room for all of them.
    mutating func appendKept(_ fields: FieldSection, of head: Span<UInt8>) {
        for index in 0..<fields.count {
            let line = fields[index]
            if line.isDropped { continue }
            precondition(end < room && Int(line.valueEnd) <= head.count, "outside of the head")
            switch line.kind {
            case .contentLength, .contentType, .date, .server, .via:
                put(line.name, line.value, flags: 0)
            default: appendField(head, line.name, line.value)
            }
        }
    }

    /// Leaves out what belongs to an HTTP/1.1 connection (RFC 9113, section 8.2.2).
    private mutating func appendField(
        _ head: Span<UInt8>, _ name: Range<Int>, _ value: Range<Int>
    ) {
        var flags: UInt8 = 0
        if FieldList.isJudged(length: name.count) {
            switch FieldKind(name: head.extracting(name)) {
            case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade: return
            case .te:
                guard head.extracting(value).isEqualIgnoringCase(to: "trailers") else { return }
            case .host:
                host = value
                return
            case .authorization, .proxyAuthorization, .xRequestID:
                flags = FieldList.neverIndexed
            case .other:
                if FieldList.isCookie(head.extracting(name)) { flags = FieldList.neverIndexed }
            default: break
            }
        }
        put(name, value, flags: flags)
    }

    /// The caller saw that there is room, and that both ranges lie within the head.
    private mutating func put(_ name: Range<Int>, _ value: Range<Int>, flags: UInt8) {
        unsafe fields[end] = unsafe nghttp2_nv(
            name: UnsafeMutablePointer(mutating: bytes + name.lowerBound),
            value: UnsafeMutablePointer(mutating: bytes + value.lowerBound),
            namelen: name.count, valuelen: value.count, flags: flags)
        end &+= 1
    }

    /// Whether a name of this length may be one that is treated apart here.
    private static func isJudged(length: Int) -> Bool {
        switch length {
        case 2, 4, 6, 7, 10, 12, 13, 16, 17, 19: true
        default: false
        }
    }

    /// A connection to an upstream carries many clients' requests: who could make it compress a
    /// guess against another's secret would learn it (RFC 7541, section 7.1). A request's own
    /// number would only push useful entries out.
    private static let neverIndexed = UInt8(truncatingIfNeeded: NGHTTP2_NV_FLAG_NO_INDEX.rawValue)

    private static func isCookie(_ name: Span<UInt8>) -> Bool {
        switch name.count {
        case 6: name.isEqualIgnoringCase(to: "cookie")
        case 10: name.isEqualIgnoringCase(to: "set-cookie")
        default: false
        }
    }

    mutating func prepend(_ name: StaticString, _ head: Span<UInt8>, _ value: Range<Int>) {
        precondition(value.lowerBound >= 0 && value.upperBound <= head.count, "outside of the head")
        unsafe prepend(name, bytes + value.lowerBound, value.count)
    }

    mutating func prepend(_ name: StaticString, _ value: StaticString) {
        unsafe prepend(name, value.utf8Start, value.utf8CodeUnitCount)
    }

    private mutating func prepend(
        _ name: StaticString, _ value: UnsafePointer<UInt8>, _ count: Int
    ) {
        precondition(start > 0, "more pseudo-header fields than there are")
        start &-= 1
        // Literals live for ever; nghttp2 copies both and writes to neither.
        unsafe fields[start] = unsafe nghttp2_nv(
            name: UnsafeMutablePointer(mutating: name.utf8Start),
            value: UnsafeMutablePointer(mutating: value),
            namelen: name.utf8CodeUnitCount, valuelen: count, flags: 0)
    }
}
