import Bytes

extension JSONValue {
    /// Reads a whole text, strictly as RFC 8259 has it and I-JSON (RFC 7493) narrows it: UTF-8
    /// without a byte order mark, no name twice, no lone surrogates, nothing after the value.
    ///
    /// - Parameters:
    ///   - maxDepth: how many containers may stand in one another; at most 256, since the reader
    ///     recurses.
    ///   - maxBytes: how long the text may be.
    package init(
        parsing text: Span<UInt8>, maxDepth: Int = 32, maxBytes: Int = 1 << 20
    ) throws(JSONError) {
        precondition(maxDepth >= 0 && maxDepth <= 256, "deeper than the stack is meant for")
        guard text.count <= maxBytes else { throw JSONError(.tooLarge, at: maxBytes) }
        if text.count >= 3, text[0] == 0xef, text[1] == 0xbb, text[2] == 0xbf {
            throw JSONError(.byteOrderMark, at: 0)
        }
        do {
            _ = try UTF8Span(validating: text)
        } catch {
            throw JSONError(.invalidUTF8, at: error.byteOffsets.lowerBound)
        }
        var reader = JSONReader(maxDepth: maxDepth)
        reader.skipWhiteSpace(text)
        self = try reader.readValue(text)
        reader.skipWhiteSpace(text)
        guard reader.position == text.count else {
            throw JSONError(.trailingBytes, at: reader.position)
        }
    }
}

/// The reader's place in a text, which is passed along because spans are not stored.
private struct JSONReader {
    var position = 0
    /// How many more containers may be opened inside the present one.
    var depthLeft: Int
    private let maxDepth: Int

    init(maxDepth: Int) {
        self.maxDepth = maxDepth
        depthLeft = maxDepth
    }

    private var isOutermost: Bool { depthLeft &+ 1 == maxDepth }

    mutating func readValue(_ text: Span<UInt8>) throws(JSONError) -> JSONValue {
        let start = position
        switch try byte(of: text) {
        case UInt8(ascii: "{"):
            return JSONValue(.object(try readObject(text)), at: start)
        case UInt8(ascii: "["):
            return JSONValue(.array(try readArray(text)), at: start)
        case UInt8(ascii: "\""):
            return JSONValue(.string(try readString(text)), at: start)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return JSONValue(.number(try readNumber(text)), at: start)
        case UInt8(ascii: "t"):
            return JSONValue(try read("true", as: .bool(true), text), at: start)
        case UInt8(ascii: "f"):
            return JSONValue(try read("false", as: .bool(false), text), at: start)
        case UInt8(ascii: "n"):
            return JSONValue(try read("null", as: .null, text), at: start)
        default:
            throw JSONError(.unexpectedByte, at: start)
        }
    }

    // MARK: Containers

    private mutating func readObject(_ text: Span<UInt8>) throws(JSONError) -> JSONObject {
        try open()
        var members: [JSONObject.Member] = []
        var names = MemberNames()
        if try closes(UInt8(ascii: "}"), text) { return JSONObject() }
        // A claims set has about as many; what stands inside of it seldom does.
        if isOutermost { members.reserveCapacity(8) }
        while true {
            let nameOffset = position
            guard try byte(of: text) == UInt8(ascii: "\"") else {
                throw JSONError(.unexpectedByte, at: position)
            }
            let (name, key, end) = try JSONText.readName(text, from: position)
            position = end
            guard names.insert(name, key, after: members) else {
                throw JSONError(.duplicateName, at: nameOffset)
            }
            skipWhiteSpace(text)
            guard try byte(of: text) == UInt8(ascii: ":") else {
                throw JSONError(.unexpectedByte, at: position)
            }
            position &+= 1
            skipWhiteSpace(text)
            members.append(
                .init(name: name, key: key, nameOffset: nameOffset, value: try readValue(text)))
            if try ends(with: UInt8(ascii: "}"), text) { return JSONObject(members: members) }
        }
    }

    private mutating func readArray(_ text: Span<UInt8>) throws(JSONError) -> [JSONValue] {
        try open()
        var elements: [JSONValue] = []
        if try closes(UInt8(ascii: "]"), text) { return elements }
        while true {
            elements.append(try readValue(text))
            if try ends(with: UInt8(ascii: "]"), text) { return elements }
        }
    }

    /// Steps into a container, at its bracket.
    private mutating func open() throws(JSONError) {
        guard depthLeft > 0 else { throw JSONError(.tooDeep, at: position) }
        depthLeft &-= 1
        position &+= 1
    }

    /// Whether an opened container closes at once; else stands at its first element.
    private mutating func closes(_ bracket: UInt8, _ text: Span<UInt8>) throws(JSONError) -> Bool {
        skipWhiteSpace(text)
        guard try byte(of: text) == bracket else { return false }
        position &+= 1
        depthLeft &+= 1
        return true
    }

    /// After an element: whether the container ends; else stands at the next element.
    private mutating func ends(
        with bracket: UInt8, _ text: Span<UInt8>
    ) throws(JSONError) -> Bool {
        if try closes(bracket, text) { return true }
        guard text[position] == UInt8(ascii: ",") else {
            throw JSONError(.unexpectedByte, at: position)
        }
        position &+= 1
        skipWhiteSpace(text)
        return false
    }

    // MARK: Scalars

    private mutating func read(
        _ word: StaticString, as kind: JSONValue.Kind, _ text: Span<UInt8>
    ) throws(JSONError) -> JSONValue.Kind {
        let end = position &+ word.utf8CodeUnitCount
        guard end <= text.count, text.extracting(position..<end).isEqual(to: word) else {
            throw JSONError(.unexpectedByte, at: position)
        }
        position = end
        return kind
    }

    private mutating func readNumber(_ text: Span<UInt8>) throws(JSONError) -> JSONNumber {
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
        guard let number = String(validating: text.extracting(start..<position)) else {
            throw JSONError(.invalidUTF8, at: start)
        }
        return JSONNumber(checked: number)
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

    private mutating func readString(_ text: Span<UInt8>) throws(JSONError) -> String {
        let result = try JSONText.read(text, from: position)
        position = result.end
        return result.text
    }

    // MARK: Bytes

    /// The byte at the reader's place.
    private func byte(of text: Span<UInt8>) throws(JSONError) -> UInt8 {
        guard position < text.count else { throw JSONError(.unexpectedEnd, at: text.count) }
        return text[position]
    }

    mutating func skipWhiteSpace(_ text: Span<UInt8>) {
        while position < text.count {
            switch text[position] {
            case 0x20, 0x09, 0x0a, 0x0d: position &+= 1
            default: return
            }
        }
    }
}

/// The names an object has so far. Beyond a few names a set keeps an object of many thousand from
/// costing their square.
private struct MemberNames {
    private var set: Set<[UInt8]> = []
    private static let fewNames = 32

    /// Whether `name` is new beside those of `members`.
    mutating func insert(
        _ name: String, _ key: JSONName.Key, after members: [JSONObject.Member]
    ) -> Bool {
        if members.count < Self.fewNames {
            for i in members.indices where members[i].isNamed(name, key) { return false }
            return true
        }
        if set.isEmpty { set = Set(members.map { [UInt8]($0.name.utf8) }) }
        return set.insert([UInt8](name.utf8)).inserted
    }
}
