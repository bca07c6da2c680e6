/// What the bytes at one place hold of a field line (RFC 9112, section 5).
package enum FieldLineScan: Equatable, Sendable {
    /// A whole line.
    case line(FieldLinePlaces)
    /// The beginning of one.
    case incomplete
    /// No name, white space before the colon, a control in the value, or a bare CR or LF.
    case malformed
}

/// Where the parts of a field line stand, counted from the first byte of the message.
package struct FieldLinePlaces: Equatable, Sendable, BitwiseCopyable {
    /// Just past the name.
    package let nameEnd: UInt32
    /// The value's first byte, white space trimmed.
    package let valueStart: UInt32
    /// Just past the value, white space trimmed.
    package let valueEnd: UInt32
    /// Just past the line's CRLF.
    package let end: UInt32
}

extension Span where Element == UInt8 {
    /// Reads `name ":" OWS value OWS CRLF` from `start` on, in one call: name and value take one
    /// vector each where they are short.
    package func fieldLine(at start: Int) -> FieldLineScan {
        var nameEnd = firstByte(from: start, where: isNoLetterOrHyphen)
        if nameEnd < count, unsafe self[unchecked: nameEnd] != UInt8(ascii: ":") {
            // The rare name with a digit or another sign, or none at all.
            nameEnd = endOfToken(from: nameEnd)
        }
        // Each place below was compared with `count`, so what is read lies within the span.
        guard nameEnd < count else { return .incomplete }
        guard nameEnd > start, unsafe self[unchecked: nameEnd] == UInt8(ascii: ":") else {
            return .malformed
        }
        let end = endOfFieldValue(from: nameEnd &+ 1)
        guard end < count else { return .incomplete }
        guard unsafe self[unchecked: end] == UInt8(ascii: "\r") else { return .malformed }
        guard end &+ 1 < count else { return .incomplete }
        guard unsafe self[unchecked: end &+ 1] == UInt8(ascii: "\n") else { return .malformed }
        let value = trimmingBlanks(from: nameEnd &+ 1, to: end)
        return .line(
            FieldLinePlaces(
                nameEnd: UInt32(truncatingIfNeeded: nameEnd),
                valueStart: UInt32(truncatingIfNeeded: value.start),
                valueEnd: UInt32(truncatingIfNeeded: value.end),
                end: UInt32(truncatingIfNeeded: end &+ 2)))
    }
}
