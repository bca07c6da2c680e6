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

    /// Whether no byte is above 0x7f. Eight bytes a step.
    package var isASCII: Bool {
        let bytes = unsafe self.bytes
        var seen: UInt64 = 0
        var i = 0
        while i &+ 8 <= count {
            // The loop's condition bounds the eight bytes read.
            seen |= unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            i &+= 8
        }
        while i < count {
            seen |= UInt64(unsafe self[unchecked: i])
            i &+= 1
        }
        return seen & 0x8080_8080_8080_8080 == 0
    }

    /// Whether all bytes are `ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/"`, what a b64token
    /// (RFC 6750, section 2.1) is made of before its padding. Eight bytes a step where they are of
    /// base64url and dots.
    package var isBase64Text: Bool {
        let bytes = unsafe self.bytes
        var i = 0
        while i < count {
            if i &+ 8 <= count {
                // The condition bounds the eight bytes read.
                let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
                if isBase64URLOrDots(word) {
                    i &+= 8
                    continue
                }
            }
            let byte = unsafe self[unchecked: i]
            guard
                ASCII.isUnreserved(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/")
            else { return false }
            i &+= 1
        }
        return true
    }

    /// Whether a path needs no second look: `!`–`~` alone, none of `#`, `%`, `;`, `\`, and no `/`
    /// before another `/` or a `.`. Eight bytes a step.
    package var isPlainPath: Bool {
        let bytes = unsafe self.bytes
        var i = 0
        var slashBefore: UInt64 = 0
        while i &+ 8 <= count {
            // The loop's condition bounds the eight bytes read.
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let below = (word &- 0x2121_2121_2121_2121) & ~word
            let special =
                below | word | marks(word, 0x7f) | marks(word, UInt8(ascii: "#"))
                | marks(word, UInt8(ascii: "%")) | marks(word, UInt8(ascii: ";"))
                | marks(word, UInt8(ascii: "\\"))
            if special & 0x8080_8080_8080_8080 != 0 { return false }
            let slashes = marks(word, UInt8(ascii: "/"))
            let dots = marks(word, UInt8(ascii: "."))
            // The first byte in memory is the lowest of the word.
            if (slashes &<< 8 | slashBefore) & (slashes | dots) != 0 { return false }
            slashBefore = slashes &>> 56
            i &+= 8
        }
        var isAfterSlash = slashBefore != 0
        while i < count {
            let byte = unsafe self[unchecked: i]
            let isSlash = byte == UInt8(ascii: "/")
            // `!`–`~` without `#`, `%`, `;` and `\`.
            guard ASCII.isMember(byte, 0xf7ff_ffd6_0000_0000, 0x7fff_ffff_efff_ffff) else {
                return false
            }
            if isAfterSlash, isSlash || byte == UInt8(ascii: ".") { return false }
            isAfterSlash = isSlash
            i &+= 1
        }
        return true
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

/// The top bit of each byte of `word` that is `byte`, and nothing else.
@inline(__always)
private func marks(_ word: UInt64, _ byte: UInt8) -> UInt64 {
    let other = word ^ (UInt64(byte) &* 0x0101_0101_0101_0101)
    let low = (other & 0x7f7f_7f7f_7f7f_7f7f) &+ 0x7f7f_7f7f_7f7f_7f7f
    return ~(low | other | 0x7f7f_7f7f_7f7f_7f7f)
}

/// Whether each of eight bytes is a letter, a digit, `-`, `.` or `_`.
@inline(__always)
private func isBase64URLOrDots(_ word: UInt64) -> Bool {
    let low7 = word & 0x7f7f_7f7f_7f7f_7f7f
    let folded = low7 | 0x2020_2020_2020_2020
    // The top bit of each byte: at least the first of a range, and beyond its last. No sum carries.
    let letters = (folded &+ 0x1f1f_1f1f_1f1f_1f1f) & ~(folded &+ 0x0505_0505_0505_0505)
    let digits = (low7 &+ 0x5050_5050_5050_5050) & ~(low7 &+ 0x4646_4646_4646_4646)
    let hyphenOrDot = (low7 &+ 0x5353_5353_5353_5353) & ~(low7 &+ 0x5151_5151_5151_5151)
    let lines = marks(word, UInt8(ascii: "_"))
    return (letters | digits | hyphenOrDot | lines) & ~word & 0x8080_8080_8080_8080
        == 0x8080_8080_8080_8080
}
