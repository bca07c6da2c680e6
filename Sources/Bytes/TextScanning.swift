extension Span where Element == UInt8 {
    /// The first byte at or after `start` that a JSON string cannot hold as it stands or that needs
    /// a look (RFC 8259, section 7): a control, `"`, `\`, DEL or a byte outside of ASCII; or
    /// `count`. Eight bytes a step.
    package func endOfPlainText(from start: Int) -> Int {
        precondition(start >= 0, "negative offset")
        let bytes = unsafe self.bytes
        let ones: UInt64 = 0x0101_0101_0101_0101
        var i = start
        while i &+ 8 <= count {
            // The loop's condition bounds the eight bytes read. Each term sets a byte's top bit
            // where the byte is below 0x20, `"`, `\` or DEL; a borrow only reaches bytes above a
            // hit, and the lowest hit is the one taken.
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let quote = word ^ 0x2222_2222_2222_2222
            let backslash = word ^ 0x5c5c_5c5c_5c5c_5c5c
            let delete = word ^ 0x7f7f_7f7f_7f7f_7f7f
            let hit =
                (((word &- 0x2020_2020_2020_2020) & ~word) | ((quote &- ones) & ~quote)
                    | ((backslash &- ones) & ~backslash) | ((delete &- ones) & ~delete) | word)
                & 0x8080_8080_8080_8080
            if hit != 0 { return i &+ (hit.trailingZeroBitCount &>> 3) }
            i &+= 8
        }
        while i < count {
            let byte = unsafe self[unchecked: i]
            if byte < 0x20 || byte >= 0x7f || byte == 0x22 || byte == 0x5c { return i }
            i &+= 1
        }
        return count
    }
}

extension String {
    /// Whether both have the same UTF-8. `==` would also take canonically equivalent texts for one
    /// another (the Kelvin sign for `K`), which no protocol here means.
    package func isExactly(_ other: String) -> Bool {
        utf8.count == other.utf8.count && utf8Span.span.isEqual(to: other.utf8Span.span)
    }

    /// Whether the text's UTF-8 is `bytes`.
    package func isExactly(_ bytes: Span<UInt8>) -> Bool {
        utf8Span.span.isEqual(to: bytes)
    }
}
