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
    /// The record of the innermost container that is open; -1 outside of all. While one is open,
    /// its `link` is the one around it, and its `start` tells of its names: see `isNew`.
    private var innermost = -1
    /// How many more containers may be opened.
    private var depthLeft: Int
    /// The names of objects that have many, by the object's record.
    private var manyNames: [Int: Set<[UInt8]>] = [:]

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
        // A name and its value have about 30 bytes together in a token.
        records.reserveCapacity(text.count &>> 4 &+ 1)
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
        case UInt8(ascii: "{"):
            try openContainer(.object)
            skipWhiteSpace(text)
            if try byte(of: text) == UInt8(ascii: "}") {
                closeContainer()
                return false
            }
            try readName(text)
            return true
        case UInt8(ascii: "["):
            try openContainer(.array)
            skipWhiteSpace(text)
            if try byte(of: text) == UInt8(ascii: "]") {
                closeContainer()
                return false
            }
            records[innermost].count &+= 1
            return true
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
        while innermost >= 0 {
            let byte = try byte(of: text)
            let isObject = records[innermost].kind == .object
            if byte == UInt8(ascii: ",") {
                position &+= 1
                skipWhiteSpace(text)
                if isObject { try readName(text) } else { records[innermost].count &+= 1 }
                return true
            }
            guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                throw JSONError(.unexpectedByte, at: position)
            }
            closeContainer()
            skipWhiteSpace(text)
        }
        return false
    }

    // MARK: Containers

    /// Steps into a container, at its bracket.
    private mutating func openContainer(_ kind: JSONKind) throws(JSONError) {
        guard depthLeft > 0 else { throw JSONError(.tooDeep, at: position) }
        depthLeft &-= 1
        records.append(
            JSONRecord(
                kind: kind, start: 0, count: 0, link: UInt32(truncatingIfNeeded: innermost),
                offset: UInt32(truncatingIfNeeded: position)))
        innermost = records.count &- 1
        position &+= 1
    }

    /// Steps out of the innermost container, at its bracket.
    private mutating func closeContainer() {
        if records[innermost].count > JSONReader.fewNames { manyNames[innermost] = nil }
        let around = Int32(bitPattern: records[innermost].link)
        records[innermost].link = UInt32(truncatingIfNeeded: records.count)
        innermost = Int(around)
        depthLeft &+= 1
        position &+= 1
    }

    private mutating func append(_ kind: JSONKind, _ start: Int, _ count: Int, at offset: Int) {
        records.append(
            JSONRecord(
                kind: kind, start: UInt32(truncatingIfNeeded: start),
                count: UInt32(truncatingIfNeeded: count),
                link: UInt32(truncatingIfNeeded: records.count &+ 1),
                offset: UInt32(truncatingIfNeeded: offset)))
    }

    // MARK: Names

    /// Reads a member's name and the colon behind it.
    private mutating func readName(_ text: Span<UInt8>) throws(JSONError) {
        let offset = position
        guard try byte(of: text) == UInt8(ascii: "\"") else {
            throw JSONError(.unexpectedByte, at: offset)
        }
        let (start, count) = try readString(text)
        let key =
            start < text.count
            ? JSONName.Key(text.extracting(start..<(start &+ count)))
            : JSONName.Key(unescaped.span.extracting(droppingFirst: start &- text.count))
        let name = JSONRecord(
            kind: .string, start: UInt32(truncatingIfNeeded: start),
            count: UInt32(truncatingIfNeeded: count), link: key.word,
            offset: UInt32(truncatingIfNeeded: offset))
        if !isNew(name, text) { try note(JSONError(.duplicateName, at: offset)) }
        records[innermost].count &+= 1
        records.append(name)
        skipWhiteSpace(text)
        guard try byte(of: text) == UInt8(ascii: ":") else {
            throw JSONError(.unexpectedByte, at: position)
        }
        position &+= 1
        skipWhiteSpace(text)
    }

    /// Whether the open object has no such name yet. One bit of 32 for each name it has, chosen by
    /// the name's key, spares most names a look at the others.
    private mutating func isNew(_ name: JSONRecord, _ text: Span<UInt8>) -> Bool {
        if records[innermost].count >= JSONReader.fewNames { return isNewAmongMany(name, text) }
        let bit = 1 as UInt32 &<< ((name.link &* 0x9e37_79b9) &>> 27)
        if records[innermost].start & bit == 0 {
            records[innermost].start |= bit
            return true
        }
        var i = innermost &+ 1
        while i < records.count {
            if records[i].link == name.link {
                let isWhole = JSONName.Key(word: name.link).isWhole
                if isWhole || bytes(of: records[i], text) == bytes(of: name, text) { return false }
            }
            i = Int(records[i &+ 1].link)
        }
        return true
    }

    private mutating func isNewAmongMany(_ name: JSONRecord, _ text: Span<UInt8>) -> Bool {
        if manyNames[innermost] == nil {
            var names: Set<[UInt8]> = []
            var i = innermost &+ 1
            while i < records.count {
                names.insert(bytes(of: records[i], text))
                i = Int(records[i &+ 1].link)
            }
            manyNames[innermost] = names
        }
        let name = bytes(of: name, text)
        return manyNames[innermost]?.insert(name).inserted ?? true
    }

    private func bytes(of name: JSONRecord, _ text: Span<UInt8>) -> [UInt8] {
        let (start, count) = (Int(name.start), Int(name.count))
        if start < text.count { return [UInt8](copying: text.extracting(start..<(start &+ count))) }
        let own = start &- text.count
        return [UInt8](unescaped[own..<(own &+ count)])
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
        while position < text.count, ASCII.isDigit(text[position]) { position &+= 1 }
        return position &- start
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
        let end = try JSONText.endOfRun(text, from: first)
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
