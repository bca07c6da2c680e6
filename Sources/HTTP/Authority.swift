internal import Bytes

/// `host[:port]` (RFC 9110, section 7.2; RFC 3986, section 3.2.2), without user information.
package enum Authority {
    /// Whether the bytes are a host with an optional port: a name of unreserved characters, an IPv4
    /// address, or a bracketed IPv6 one. Stricter than the RFC's grammar, whose percent-encoded and
    /// `sub-delims` names and empty labels no resolver knows and some parsers split at.
    package static func isValid(_ bytes: Span<UInt8>) -> Bool {
        let end = hostEnd(in: bytes)
        guard end > 0 else { return false }
        return end == bytes.count || isPort(bytes.extracting(end..<bytes.count))
    }

    /// The length of the host part, without port and without a final dot; 0 where there is none.
    /// The bytes are those of a valid authority.
    package static func hostLength(in bytes: Span<UInt8>) -> Int {
        let end = hostEnd(in: bytes)
        return end > 1 && bytes[end &- 1] == UInt8(ascii: ".") ? end &- 1 : end
    }

    private static func hostEnd(in bytes: Span<UInt8>) -> Int {
        guard !bytes.isEmpty, bytes.count <= 255 &+ 6 else { return 0 }
        return bytes[0] == UInt8(ascii: "[") ? addressEnd(in: bytes) : nameEnd(in: bytes)
    }

    private static func nameEnd(in bytes: Span<UInt8>) -> Int {
        let dot = UInt8(ascii: ".")
        var previous = dot
        for index in 0..<bytes.count {
            let byte = bytes[index]
            if byte == dot {
                // A label of nothing.
                if previous == dot { return 0 }
            } else if !ASCII.isUnreserved(byte) {
                return index
            }
            previous = byte
        }
        return bytes.count
    }

    private static func addressEnd(in bytes: Span<UInt8>) -> Int {
        var index = 1
        var colons = 0
        while index < bytes.count, isAddressCharacter(bytes[index]) {
            if bytes[index] == UInt8(ascii: ":") { colons &+= 1 }
            index &+= 1
        }
        // 45 characters are the longest textual form; two colons the fewest (`::`).
        guard colons >= 2, index <= 46, index < bytes.count, bytes[index] == UInt8(ascii: "]")
        else { return 0 }
        return index &+ 1
    }

    private static func isAddressCharacter(_ byte: UInt8) -> Bool {
        ASCII.hexadecimalValue(byte) != nil || byte == UInt8(ascii: ":")
            || byte == UInt8(ascii: ".")
    }

    /// `":" *DIGIT` of at most five digits and at most 65535.
    private static func isPort(_ bytes: Span<UInt8>) -> Bool {
        guard bytes[0] == UInt8(ascii: ":"), bytes.count <= 6 else { return false }
        var port = 0
        for index in 1..<bytes.count {
            guard ASCII.isDigit(bytes[index]) else { return false }
            port = port * 10 + Int(bytes[index] &- 0x30)
        }
        return bytes.count > 1 && port <= 65535
    }
}
