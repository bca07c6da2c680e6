package import Bytes

/// Writing JSON straight into a buffer, for log lines and problem documents.
///
/// A separator is written where the byte before calls for one, so the writer has no state: a
/// finished value never ends in `{`, `[` or `:`.
extension ByteBuffer {
    /// Opens an object, as an element or after a name.
    package mutating func beginJSONObject() {
        append(byte: UInt8(ascii: "{"))
    }

    /// Closes an object.
    package mutating func endJSONObject() {
        append(byte: UInt8(ascii: "}"))
    }

    /// Opens an array, after a name.
    package mutating func beginJSONArray() {
        append(byte: UInt8(ascii: "["))
    }

    /// Closes an array.
    package mutating func endJSONArray() {
        append(byte: UInt8(ascii: "]"))
    }

    /// Writes the comma between elements of an array, except before the first.
    package mutating func separateJSONElement() {
        if !isEmpty, self[count &- 1] != UInt8(ascii: "[") { append(byte: UInt8(ascii: ",")) }
    }

    /// Writes a member that is an array; `write` writes each element.
    package mutating func appendJSONMember<Element>(
        _ name: StaticString, arrayOf elements: [Element],
        _ write: (Element, inout ByteBuffer) -> Void
    ) {
        appendJSONName(name)
        beginJSONArray()
        for element in elements {
            separateJSONElement()
            write(element, &self)
        }
        endJSONArray()
    }

    /// Writes a member's name and the comma before it where one is due. The name needs no escapes.
    package mutating func appendJSONName(_ name: StaticString) {
        if !isEmpty, self[count &- 1] != UInt8(ascii: "{") { append(byte: UInt8(ascii: ",")) }
        append(byte: UInt8(ascii: "\""))
        append(name)
        append("\":")
    }

    /// Writes a member with a string.
    package mutating func appendJSONMember(_ name: StaticString, _ bytes: Span<UInt8>) {
        appendJSONName(name)
        appendJSONString(bytes)
    }

    /// Writes a member with a string.
    package mutating func appendJSONMember(_ name: StaticString, _ text: String) {
        appendJSONName(name)
        appendJSONString(text)
    }

    /// Writes a member with a literal that needs no escapes.
    package mutating func appendJSONMember(_ name: StaticString, literal: StaticString) {
        appendJSONName(name)
        append(byte: UInt8(ascii: "\""))
        append(literal)
        append(byte: UInt8(ascii: "\""))
    }

    /// Writes a member with a whole number.
    package mutating func appendJSONMember(_ name: StaticString, _ number: Int) {
        appendJSONName(name)
        append(decimal: number)
    }

    /// Writes a member with a Boolean.
    package mutating func appendJSONMember(_ name: StaticString, _ value: Bool) {
        appendJSONName(name)
        append(value ? "true" : "false")
    }

    /// Writes a string in its quotes.
    package mutating func appendJSONString(_ text: String) {
        appendJSONString(text.utf8Span.span)
    }

    /// Writes bytes as a string in its quotes. Controls are escaped; a byte that is no part of
    /// valid UTF-8 becomes U+FFFD, so any bytes give a valid text on one line.
    package mutating func appendJSONString(_ bytes: Span<UInt8>) {
        append(byte: UInt8(ascii: "\""))
        appendJSONText(bytes)
        append(byte: UInt8(ascii: "\""))
    }

    /// Writes what stands between a string's quotes, for callers that write these themselves.
    package mutating func appendJSONText(_ bytes: Span<UInt8>) {
        var start = bytes.endOfPlainText(from: 0)
        // Nearly all texts are plain to their end.
        if start == bytes.count { return append(bytes) }
        append(bytes, 0..<start)
        while start < bytes.count {
            start = appendSpecial(bytes, at: start)
            let end = bytes.endOfPlainText(from: start)
            append(bytes, start..<end)
            start = end
        }
    }

    /// Writes the character at `offset`, which is not plain; returns the offset after it.
    private mutating func appendSpecial(_ bytes: Span<UInt8>, at offset: Int) -> Int {
        let byte = bytes[offset]
        switch byte {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x0a: append("\\n")
        case 0x0d: append("\\r")
        case 0x09: append("\\t")
        case 0..<0x20, 0x7f:
            append("\\u00")
            append(byte: byte &>> 4 &+ 0x30)
            append(byte: byte & 15 < 10 ? byte & 15 &+ 0x30 : byte & 15 &+ 0x57)
        default:
            let length = lengthOfCharacter(bytes, at: offset)
            if length > 0 {
                append(bytes, offset..<(offset &+ length))
                return offset &+ length
            }
            append("\\ufffd")
        }
        return offset &+ 1
    }
}

/// The length of the valid UTF-8 sequence of several bytes at `offset`; 0 where there is none
/// (RFC 3629, section 4).
private func lengthOfCharacter(_ bytes: Span<UInt8>, at offset: Int) -> Int {
    let length =
        switch bytes[offset] {
        case 0xc2...0xdf: 2
        case 0xe0...0xef: 3
        case 0xf0...0xf4: 4
        default: 0
        }
    guard length > 0, length <= bytes.count &- offset else { return 0 }
    let sequence = bytes.extracting(offset..<(offset &+ length))
    return (try? UTF8Span(validating: sequence)) == nil ? 0 : length
}
