/// Base64 with the URL-safe alphabet (RFC 4648, section 5), as JOSE uses it: without padding.
package enum Base64URL {
    /// Decodes strictly: no padding, no other alphabet, no white space, no stray bits at the end,
    /// so that one value has one text. Nil for anything else.
    package static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        decode(text, values: strictValues, allowsStrayBits: false)
    }

    /// Decodes what real JWK Sets carry: either alphabet, padding or none. Keys are compared by
    /// their numbers afterwards, so several texts for one value do no harm there.
    static func decodeLeniently(_ text: Span<UInt8>) -> [UInt8]? {
        var end = text.count
        while end > 0, text.count - end < 2, text[end - 1] == UInt8(ascii: "=") { end -= 1 }
        guard end == text.count || text.count % 4 == 0 else { return nil }
        return decode(
            text.extracting(first: end), values: lenientValues, allowsStrayBits: true)
    }

    /// Encodes without padding.
    package static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[Int(bits >> UInt32(count) & 63)])
            }
        }
        if count > 0 { text.append(alphabet[Int(bits << UInt32(6 - count) & 63)]) }
        return text
    }

    private static func decode(
        _ text: Span<UInt8>, values: [UInt8], allowsStrayBits: Bool
    ) -> [UInt8]? {
        // A single character left over holds no whole byte.
        guard text.count % 4 != 1 else { return nil }
        let values = values.span
        // Every value has its two upper bits clear, so they show whether one was invalid.
        var seen: UInt8 = 0
        var strayBits: UInt32 = 0
        let bytes = [UInt8](capacity: text.count / 4 * 3 + 2) { output in
            var i = 0
            while i &+ 4 <= text.count {
                let a = values[Int(text[i])]
                let b = values[Int(text[i &+ 1])]
                let c = values[Int(text[i &+ 2])]
                let d = values[Int(text[i &+ 3])]
                seen |= a | b | c | d
                output.append(a &<< 2 | b &>> 4)
                output.append(b &<< 4 | c &>> 2)
                output.append(c &<< 6 | d)
                i &+= 4
            }
            guard i < text.count else { return }
            var bits: UInt32 = 0
            let rest = text.count &- i
            while i < text.count {
                let value = values[Int(text[i])]
                seen |= value
                bits = bits &<< 6 | UInt32(value)
                i &+= 1
            }
            // Two characters hold one byte and four bits, three hold two bytes and two bits.
            let spare = UInt32(rest == 2 ? 4 : 2)
            strayBits = bits & (1 &<< spare &- 1)
            bits &>>= spare
            if rest == 3 { output.append(UInt8(truncatingIfNeeded: bits &>> 8)) }
            output.append(UInt8(truncatingIfNeeded: bits))
        }
        guard seen & invalid == 0, allowsStrayBits || strayBits == 0 else { return nil }
        return bytes
    }

    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let invalid: UInt8 = 0xc0
    private static let strictValues = valueTable()
    private static let lenientValues: [UInt8] = {
        var values = valueTable()
        values[Int(UInt8(ascii: "+"))] = 62
        values[Int(UInt8(ascii: "/"))] = 63
        return values
    }()

    private static func valueTable() -> [UInt8] {
        var values = [UInt8](repeating: invalid, count: 256)
        for (value, character) in alphabet.enumerated() {
            values[Int(character)] = UInt8(value)
        }
        return values
    }
}
