/// A place in a text as editors count: lines and columns from 1, columns in characters (Unicode
/// scalars).
package struct JSONPosition: Equatable, Sendable {
    /// The line, from 1.
    package let line: Int
    /// The column, from 1.
    package let column: Int

    /// The place of the byte at `offset`; an offset beyond the text is its end.
    package init(of offset: Int, in text: Span<UInt8>) {
        var line = 1
        var column = 1
        for i in 0..<max(0, min(offset, text.count)) {
            let byte = text[i]
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xc0 != 0x80 {
                // A continuation byte belongs to the character already counted.
                column += 1
            }
        }
        self.line = line
        self.column = column
    }
}
