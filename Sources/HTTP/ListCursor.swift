internal import Bytes

/// Walks the members of a comma-separated field value (RFC 9110, section 5.6.1), empty ones
/// skipped.
package struct ListCursor {
    private var offset: Int
    private let end: Int

    /// A cursor over a range of the message's bytes.
    package init(_ range: Range<Int>) {
        offset = range.lowerBound
        end = range.upperBound
    }

    /// The next member without the white space around it, or nil behind the last.
    package mutating func next(in bytes: Span<UInt8>) -> Range<Int>? {
        while offset < end {
            let start = offset
            while offset < end, bytes[offset] != UInt8(ascii: ",") { offset &+= 1 }
            let item = bytes.trimmingBlanks(start..<offset)
            offset = min(offset &+ 1, end)
            if !item.isEmpty { return item }
        }
        return nil
    }
}
