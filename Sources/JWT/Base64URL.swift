import Bytes

/// Base64 with the URL-safe alphabet (RFC 4648, section 5), as JOSE uses it: without padding.
package enum Base64URL {
    /// Decodes strictly: no padding, no other alphabet, no white space, no stray bits at the end,
    /// so that one value has one text. Nil for anything else.
    package static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        [UInt8](base64URL: text)
    }

    /// Decodes what real JWK Sets carry: either alphabet, padding or none. Keys are compared by
    /// their numbers afterwards, so several texts for one value do no harm there.
    static func decodeLeniently(_ text: Span<UInt8>) -> [UInt8]? {
        var end = text.count
        while end > 0, text.count - end < 2, text[end - 1] == UInt8(ascii: "=") { end -= 1 }
        guard end == text.count || text.count % 4 == 0 else { return nil }
        return decode(text.extracting(first: end), values: lenientValues)
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

    private static func decode(_ text: Span<UInt8>, values: [UInt8]) -> [UInt8]? {
        // A single character left over holds no whole byte.
        guard text.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for i in 0..<text.count {
            let value = values[Int(text[i])]
            guard value & invalid == 0 else { return nil }
            bits = bits &<< 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits &>> UInt32(count)))
            }
        }
        return bytes
    }

    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let invalid: UInt8 = 0xc0
    private static let lenientValues: [UInt8] = {
        var values = [UInt8](repeating: invalid, count: 256)
        for (value, character) in alphabet.enumerated() {
            values[Int(character)] = UInt8(value)
        }
        values[Int(UInt8(ascii: "+"))] = 62
        values[Int(UInt8(ascii: "/"))] = 63
        return values
    }()
}
