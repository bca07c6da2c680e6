extension Span where Element == UInt8 {
    /// The first byte at or after `start` that a JSON string cannot hold as it stands or that needs
    /// a look (RFC 8259, section 7): a control, `"`, `\`, DEL or a byte outside of ASCII; or
    /// `count`.
    package func endOfPlainText(from start: Int) -> Int {
        firstByte(from: start) { lanes in
            .!lanes.isIn(0x20, 0x7e) .| lanes.isEqual(to: 0x22) .| lanes.isEqual(to: 0x5c)
        }
    }

    /// Whether no byte is above 0x7f.
    package var isASCII: Bool {
        firstByte(from: 0) { $0 .>= Lanes(repeating: 0x80) } == count
    }

    /// Whether all bytes are `ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/"`, what a b64token
    /// (RFC 6750, section 2.1) is made of before its padding.
    package var isBase64Text: Bool {
        let end = firstByte(from: 0) { lanes in
            let letters = (lanes | Lanes(repeating: 0x20)).isIn(0x61, 0x7a)
            // `-`, `.`, `/` and the digits stand one behind the other.
            let others =
                lanes.isIn(0x2d, 0x39) .| lanes.isEqual(to: 0x2b) .| lanes.isEqual(to: 0x5f)
                .| lanes.isEqual(to: 0x7e)
            return .!(letters .| others)
        }
        return end == count
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
