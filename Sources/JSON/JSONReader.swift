import Bytes

/// Reads a text into the records of a document: one value after the other, without recursion. The
/// text is passed along because spans are not stored.
struct JSONReader {
    private(set) var records: [JSONRecord] = []
    /// The strings that were written with escapes, without them; they will stand behind the text.
    private(set) var unescaped: [UInt8] = []
    /// What was let pass: JSON by its grammar, but not to be relied on.
    private(set) var faults: [JSONError] = []
    private var position = 0
    /// The innermost container that is open. Those around it are kept by their records.
    private var inner = OpenContainer()
    /// The name that the next value has.
    private var name = JSONMemberName()
    /// How many more containers may be opened.
    private var depthLeft: Int
    /// The names of objects that have many, by the object's record.
    private var manyNames: [Int: Set<[UInt8]>] = [:]

    private struct OpenContainer {
        /// Its record; -1 outside of all containers.
        var index = -1
        var isObject = false
        /// How many elements or members it has so far.
        var count: UInt32 = 0
        /// Of an object: one bit for each name it has, chosen by the name's key.
        var names: UInt32 = 0
    }

    /// Beyond so many names a set keeps an object of thousands from costing their square.
    private static let fewNames = 32

    /// Whether names that occur twice and lone surrogates are noted instead of thrown.
    private let keepsFaults: Bool

    init(maxDepth: Int, keepsFaults: Bool) {
        depthLeft = maxDepth
        self.keepsFaults = keepsFaults
    }

    mutating func read(_ text: Span<UInt8>) throws(JSONError) {
        try checkEncoding(text)
        // The members of most tokens have more than 24 bytes; where they have fewer, room is made
        // once more.
        records.reserveCapacity(text.count / 24 &+ 2)
        skipWhiteSpace(text)
        while true {
            if try readValue(text) { continue }
            if try !standsAtNextValue(text) { break }
        }
        guard position == text.count else { throw JSONError(.trailingBytes, at: position) }
    }

    private func checkEncoding(_ text: Span<UInt8>) throws(JSONError) {
        if text.isASCII { return }
        if text.count >= 3, text[0] == 0xef, text[1] == 0xbb, text[2] == 0xbf {
            throw JSONError(.byteOrderMark, at: 0)
        }
        do {
            _ = try UTF8Span(validating: text)
        } catch {
            throw JSONError(.invalidUTF8, at: error.byteOffsets.lowerBound)
        }
    }

    /// Reads a value, or of a container the bracket that opens it. Returns whether the reader
    /// stands at the first value in it.
    private mutating func readValue(_ text: Span<UInt8>) throws(JSONError) -> Bool {
        let start = position
        switch try byte(of: text) {
        case UInt8(ascii: "\""):
            let (first, count) = try readString(text)
            append(.string, first, count, at: start)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try readNumber(text)
            append(.number, start, position &- start, at: start)
        case UInt8(ascii: "{"): return try openContainer(.object, UInt8(ascii: "}"), text)
        case UInt8(ascii: "["): return try openContainer(.array, UInt8(ascii: "]"), text)
        case UInt8(ascii: "t"): try read("true", as: .bool, text)
        case UInt8(ascii: "f"): try read("false", as: .bool, text)
        case UInt8(ascii: "n"): try read("null", as: .null, text)
        default: throw JSONError(.unexpectedByte, at: start)
        }
        return false
    }

    /// After a value: closes the containers that end, and goes to the next value; false where the
    /// outermost value is over.
    private mutating func standsAtNextValue(_ text: Span<UInt8>) throws(JSONError) -> Bool {
        skipWhiteSpace(text)
        while inner.index >= 0 {
            let byte = try byte(of: text)
            if byte == UInt8(ascii: ",") {
                position &+= 1
                skipWhiteSpace(text)
                try readName(text)
                return true
            }
            guard byte == (inner.isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                throw JSONError(.unexpectedByte, at: position)
            }
            closeContainer()
            skipWhiteSpace(text)
        }
        return false
    }

    // MARK: Containers

    /// Steps into a container, at its bracket, and out of it where it is empty. Returns whether the
    /// reader stands at the first value in it.
    private mutating func openContainer(
        _ kind: JSONKind, _ closing: UInt8, _ text: Span<UInt8>
    ) throws(JSONError) -> Bool {
        guard depthLeft > 0 else { throw JSONError(.tooDeep, at: position) }
        depthLeft &-= 1
        let around = inner
        inner = OpenContainer(index: records.count)
        if case .object = kind { inner.isObject = true }
        // Until the container is closed, its record keeps what is known of the one around it.
        if around.index >= 0 { records[around.index].count = around.count }
        records.append(
            JSONRecord(
                kind: kind, name: name, start: around.names, count: 0,
                end: UInt32(truncatingIfNeeded: around.index),
                offset: UInt32(truncatingIfNeeded: position)))
        position &+= 1
        skipWhiteSpace(text)
        if try byte(of: text) == closing {
            closeContainer()
            return false
        }
        try readName(text)
        return true
    }

    /// Steps out of the innermost container, at its bracket.
    private mutating func closeContainer() {
        if inner.count > JSONReader.fewNames { manyNames[inner.index] = nil }
        let record = records[inner.index]
        records[inner.index].count = inner.count
        records[inner.index].end = UInt32(truncatingIfNeeded: records.count)
        inner = OpenContainer(index: Int(Int32(bitPattern: record.end)), names: record.start)
        if inner.index >= 0 {
            if case .object = records[inner.index].kind { inner.isObject = true }
            inner.count = records[inner.index].count
        }
        depthLeft &+= 1
        position &+= 1
    }

    private mutating func append(_ kind: JSONKind, _ start: Int, _ count: Int, at offset: Int) {
        records.append(
            JSONRecord(
                kind: kind, name: name, start: UInt32(truncatingIfNeeded: start),
                count: UInt32(truncatingIfNeeded: count),
                end: UInt32(truncatingIfNeeded: records.count &+ 1),
                offset: UInt32(truncatingIfNeeded: offset)))
    }

    // MARK: Names

    /// Before a value in a container: reads its name and the colon, if that is an object.
    private mutating func readName(_ text: Span<UInt8>) throws(JSONError) {
        guard inner.isObject else {
            inner.count &+= 1
            name = JSONMemberName()
            return
        }
        let offset = position
        guard try byte(of: text) == UInt8(ascii: "\"") else {
            throw JSONError(.unexpectedByte, at: offset)
        }
        let (start, count) = try readString(text)
        let key =
            start < text.count
            ? JSONName.Key(text.extracting(start..<(start &+ count)))
            : JSONName.Key(unescaped.span.extracting(droppingFirst: start &- text.count))
        name = JSONMemberName(
            key: key, start: UInt32(truncatingIfNeeded: start),
            count: UInt32(truncatingIfNeeded: count), offset: UInt32(truncatingIfNeeded: offset))
        if !isNew(name, text) { try note(JSONError(.duplicateName, at: offset)) }
        inner.count &+= 1
        skipWhiteSpace(text)
        guard try byte(of: text) == UInt8(ascii: ":") else {
            throw JSONError(.unexpectedByte, at: position)
        }
        position &+= 1
        skipWhiteSpace(text)
    }

    /// Whether the object has no such name yet. Its bits spare most names a look at the others.
    private mutating func isNew(_ name: JSONMemberName, _ text: Span<UInt8>) -> Bool {
        if inner.count >= JSONReader.fewNames { return isNewAmongMany(name, text) }
        let bit = 1 as UInt32 &<< ((name.key.word &* 0x9e37_79b9) &>> 27)
        if inner.names & bit == 0 {
            inner.names |= bit
            return true
        }
        var i = inner.index &+ 1
        while i < records.count {
            if records[i].name.key == name.key {
                if name.key.isWhole { return false }
                if bytes(of: records[i].name, text) == bytes(of: name, text) { return false }
            }
            i = Int(records[i].end)
        }
        return true
    }

    private mutating func isNewAmongMany(_ name: JSONMemberName, _ text: Span<UInt8>) -> Bool {
        if manyNames[inner.index] == nil {
            var names: Set<[UInt8]> = []
            var i = inner.index &+ 1
            while i < records.count {
                names.insert(bytes(of: records[i].name, text))
                i = Int(records[i].end)
            }
            manyNames[inner.index] = names
        }
        let name = bytes(of: name, text)
        return manyNames[inner.index]?.insert(name).inserted ?? true
    }

    private func bytes(of name: JSONMemberName, _ text: Span<UInt8>) -> [UInt8] {
        let range = name.range
        if range.lowerBound < text.count { return [UInt8](copying: text.extracting(range)) }
        let start = range.lowerBound &- text.count
        return [UInt8](unescaped[start..<(start &+ range.count)])
    }

    // MARK: Scalars

    private mutating func read(
        _ word: StaticString, as kind: JSONKind, _ text: Span<UInt8>
    ) throws(JSONError) {
        let (start, count) = (position, word.utf8CodeUnitCount)
        guard start &+ count <= text.count,
            text.extracting(start..<(start &+ count)).isEqual(to: word)
        else { throw JSONError(.unexpectedByte, at: start) }
        position &+= count
        append(kind, start, count, at: start)
    }

    /// Passes a number of RFC 8259's grammar (section 6).
    private mutating func readNumber(_ text: Span<UInt8>) throws(JSONError) {
        let start = position
        if text[position] == UInt8(ascii: "-") { position &+= 1 }
        let isZero = position < text.count && text[position] == UInt8(ascii: "0")
        let whole = skipDigits(text)
        guard whole > 0, whole == 1 || !isZero else { throw JSONError(.invalidNumber, at: start) }
        if take(UInt8(ascii: "."), text), skipDigits(text) == 0 {
            throw JSONError(.invalidNumber, at: start)
        }
        if take(UInt8(ascii: "e"), text) || take(UInt8(ascii: "E"), text) {
            if !take(UInt8(ascii: "+"), text) { _ = take(UInt8(ascii: "-"), text) }
            let exponent = position
            guard skipDigits(text) > 0 else { throw JSONError(.invalidNumber, at: start) }
            // More than 15 digits would need arithmetic that nobody's numbers need.
            var first = exponent
            while first < position, text[first] == UInt8(ascii: "0") { first &+= 1 }
            guard position &- first <= 15 else { throw JSONError(.invalidNumber, at: start) }
        }
    }

    /// Passes digits and tells how many there were.
    private mutating func skipDigits(_ text: Span<UInt8>) -> Int {
        let start = position
        var end = start
        while end < text.count, ASCII.isDigit(text[end]) { end &+= 1 }
        position = end
        return end &- start
    }

    private mutating func take(_ byte: UInt8, _ text: Span<UInt8>) -> Bool {
        guard position < text.count, text[position] == byte else { return false }
        position &+= 1
        return true
    }

    /// Passes the string that begins here; gives the place of its text, which for one with escapes
    /// is behind the source.
    private mutating func readString(
        _ text: Span<UInt8>
    ) throws(JSONError) -> (start: Int, count: Int) {
        let first = position &+ 1
        var end = text.endOfPlainText(from: first)
        if end < text.count, text[end] != UInt8(ascii: "\"") {
            end = try JSONText.endOfRun(text, from: end)
        }
        guard end < text.count else { throw JSONError(.unexpectedEnd, at: text.count) }
        if text[end] == UInt8(ascii: "\"") {
            position = end &+ 1
            return (first, end &- first)
        }
        let start = unescaped.count
        do {
            position = try JSONText.unescape(text, from: first, into: &unescaped)
        } catch  where error.kind == .loneSurrogate {
            try note(error)
            unescaped.removeLast(unescaped.count &- start)
            position = try JSONText.unescape(
                text, from: first, into: &unescaped, replacesLoneSurrogates: true)
        }
        return (text.count &+ start, unescaped.count &- start)
    }

    private mutating func note(_ fault: JSONError) throws(JSONError) {
        guard keepsFaults else { throw fault }
        faults.append(fault)
    }

    // MARK: Bytes

    /// The byte at the reader's place.
    private func byte(of text: Span<UInt8>) throws(JSONError) -> UInt8 {
        guard position < text.count else { throw JSONError(.unexpectedEnd, at: text.count) }
        return text[position]
    }

    private mutating func skipWhiteSpace(_ text: Span<UInt8>) {
        while position < text.count {
            switch text[position] {
            case 0x20, 0x09, 0x0a, 0x0d: position &+= 1
            default: return
            }
        }
    }
}
