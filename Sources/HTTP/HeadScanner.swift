internal import Bytes

/// Finds the end of a head that arrives in pieces, each byte looked at once.
///
/// The parser itself starts over when it is called again; without this mark a head sent byte by
/// byte would cost the square of its length.
package struct HeadScanner: Sendable {
    /// Bytes already looked at.
    private var scanned = 0

    /// A scanner at the start of a head.
    package init() {}

    /// Whether the parser should look at `bytes`, the head from its first byte on: it is complete,
    /// or holds a line ending that no head has. Remembers how far it looked.
    package mutating func isWorthParsing(_ bytes: Span<UInt8>) -> Bool {
        var offset = min(scanned, bytes.count)
        while let newline = bytes.firstIndex(of: UInt8(ascii: "\n"), from: offset) {
            if newline == 0 || bytes[newline &- 1] != UInt8(ascii: "\r") { return true }
            if newline >= 3, bytes[newline &- 2] == UInt8(ascii: "\n") { return true }
            offset = newline &+ 1
        }
        scanned = bytes.count
        return false
    }
}
