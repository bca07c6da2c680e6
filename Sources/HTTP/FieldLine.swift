/// Where one field line lies in the bytes of its message: offsets, no copies.
package struct FieldLine: Equatable, Sendable, BitwiseCopyable {
    /// Offset of the name's first byte.
    package var start: UInt32
    /// Offset just past the name.
    package var nameEnd: UInt32
    /// Offset of the value's first byte, white space trimmed.
    package var valueStart: UInt32
    /// Offset just past the value, white space trimmed.
    package var valueEnd: UInt32
    /// Offset just past the line's CRLF.
    package var end: UInt32
    /// What the name means to the proxy.
    package var kind: FieldKind
    /// Whether the line is left out when the head is forwarded.
    package var isDropped = false

    /// The name's range.
    package var name: Range<Int> { Int(start)..<Int(nameEnd) }
    /// The value's range.
    package var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
    /// The whole line's range, CRLF included.
    package var line: Range<Int> { Int(start)..<Int(end) }

    static let none = FieldLine(
        start: 0, nameEnd: 0, valueStart: 0, valueEnd: 0, end: 0, kind: .other)
}

extension FieldLine {
    /// A line that was written at `start` as `name: value` with its CRLF.
    package init(writtenAt start: Int, nameCount: Int, valueCount: Int, kind: FieldKind) {
        let value = start &+ nameCount &+ 2
        self.init(
            start: UInt32(truncatingIfNeeded: start),
            nameEnd: UInt32(truncatingIfNeeded: start &+ nameCount),
            valueStart: UInt32(truncatingIfNeeded: value),
            valueEnd: UInt32(truncatingIfNeeded: value &+ valueCount),
            end: UInt32(truncatingIfNeeded: value &+ valueCount &+ 2), kind: kind)
    }
}
