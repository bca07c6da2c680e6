/// Octet classes of RFC 9110 and RFC 3986, each as two 64-bit sets: no table to load, no lazy
/// global.
public enum ASCII {
    /// `tchar` (RFC 9110, section 5.6.2): what names of methods and fields are made of.
    @inlinable
    @inline(__always)
    public static func isTokenCharacter(_ byte: UInt8) -> Bool {
        isMember(byte, 0x03ff_6cfa_0000_0000, 0x57ff_ffff_c7ff_fffe)
    }

    /// `unreserved` (RFC 3986, section 2.3): letters, digits, `-`, `.`, `_`, `~`.
    @inlinable
    @inline(__always)
    public static func isUnreserved(_ byte: UInt8) -> Bool {
        isMember(byte, 0x03ff_6000_0000_0000, 0x47ff_fffe_87ff_fffe)
    }

    /// `0`–`9`.
    @inlinable
    @inline(__always)
    public static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// A visible character, `!`–`~`.
    @inlinable
    @inline(__always)
    public static func isVisible(_ byte: UInt8) -> Bool { byte &- 0x21 < 0x5e }

    /// Space or horizontal tab: the optional white space of RFC 9110, section 5.6.3.
    @inlinable
    @inline(__always)
    public static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// `A`–`Z` as `a`–`z`; every other byte as it is.
    @inlinable
    @inline(__always)
    public static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    /// The value of a hexadecimal digit in either case, or nil.
    @inlinable
    @inline(__always)
    public static func hexadecimalValue(_ byte: UInt8) -> UInt8? {
        let digit = byte &- 0x30
        if digit < 10 { return digit }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }

    /// Whether `byte` is in the set whose lower and upper 64 members are given as bits.
    @inlinable
    @inline(__always)
    public static func isMember(_ byte: UInt8, _ low: UInt64, _ high: UInt64) -> Bool {
        byte < 128 && ((byte < 64 ? low : high) &>> UInt64(byte & 63)) & 1 == 1
    }
}
