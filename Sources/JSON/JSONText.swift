import Bytes

/// Strings (RFC 8259, section 7): what stands between the quotes.
enum JSONText {
    /// Appends the string that begins at `start`, behind its quote, without its escapes; returns
    /// the offset after its closing quote. `replacesLoneSurrogates`: by U+FFFD, instead of failing.
    static func unescape(
        _ text: Span<UInt8>, from start: Int, into bytes: inout [UInt8],
        replacesLoneSurrogates: Bool = false
    ) throws(JSONError) -> Int {
        var position = start
        while true {
            let end = try endOfRun(text, from: position)
            for i in position..<end { bytes.append(text[i]) }
            if text[end] == UInt8(ascii: "\"") { return end &+ 1 }
            position = try unescape(text, at: end, into: &bytes, replacesLoneSurrogates)
        }
    }

    /// The offset of the quote or backslash that ends a run of plain characters.
    static func endOfRun(_ text: Span<UInt8>, from start: Int) throws(JSONError) -> Int {
        var i = text.endOfPlainText(from: start)
        while i < text.count {
            switch text[i] {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): return i
            case 0..<0x20: throw JSONError(.controlCharacter, at: i)
            default: i = text.endOfPlainText(from: i &+ 1)
            }
        }
        throw JSONError(.unexpectedEnd, at: text.count)
    }

    /// Appends what the escape at `start` stands for; returns the offset after it.
    private static func unescape(
        _ text: Span<UInt8>, at start: Int, into bytes: inout [UInt8],
        _ replacesLoneSurrogates: Bool
    ) throws(JSONError) -> Int {
        guard start &+ 1 < text.count else { throw JSONError(.unexpectedEnd, at: text.count) }
        switch text[start &+ 1] {
        case UInt8(ascii: "\""): bytes.append(UInt8(ascii: "\""))
        case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "/"): bytes.append(UInt8(ascii: "/"))
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0c)
        case UInt8(ascii: "n"): bytes.append(0x0a)
        case UInt8(ascii: "r"): bytes.append(0x0d)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            do {
                return try unescapeUnicode(text, at: start, into: &bytes)
            } catch  where error.kind == .loneSurrogate && replacesLoneSurrogates {
                bytes.append(contentsOf: [0xef, 0xbf, 0xbd])
                return start &+ 6
            }
        default: throw JSONError(.invalidEscape, at: start)
        }
        return start &+ 2
    }

    private static func unescapeUnicode(
        _ text: Span<UInt8>, at start: Int, into bytes: inout [UInt8]
    ) throws(JSONError) -> Int {
        let unit = try codeUnit(text, at: start)
        var value = UInt32(unit)
        var end = start &+ 6
        if (0xd800..<0xdc00).contains(unit) {
            guard end &+ 1 < text.count, text[end] == UInt8(ascii: "\\"),
                text[end &+ 1] == UInt8(ascii: "u")
            else { throw JSONError(.loneSurrogate, at: start) }
            let low = try codeUnit(text, at: end)
            guard (0xdc00..<0xe000).contains(low) else {
                throw JSONError(.loneSurrogate, at: start)
            }
            value = 0x10000 &+ (UInt32(unit &- 0xd800) &<< 10 | UInt32(low &- 0xdc00))
            end &+= 6
        }
        guard let scalar = Unicode.Scalar(value) else { throw JSONError(.loneSurrogate, at: start) }
        bytes.append(contentsOf: scalar.utf8)
        return end
    }

    /// The code unit of the `\uXXXX` at `start`.
    private static func codeUnit(_ text: Span<UInt8>, at start: Int) throws(JSONError) -> UInt16 {
        guard start &+ 6 <= text.count else { throw JSONError(.unexpectedEnd, at: text.count) }
        var unit: UInt16 = 0
        for i in (start &+ 2)..<(start &+ 6) {
            guard let digit = ASCII.hexadecimalValue(text[i]) else {
                throw JSONError(.invalidEscape, at: start)
            }
            unit = unit &<< 4 | UInt16(digit)
        }
        return unit
    }
}
