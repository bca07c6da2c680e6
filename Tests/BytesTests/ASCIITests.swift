import Bytes
import Testing

@Suite struct ASCIITests {
    private static let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    private static let digits = "0123456789"

    /// A class of octets and all of its members.
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let members: String
        let contains: @Sendable (UInt8) -> Bool
        var testDescription: String { name }
    }

    static let rows = [
        Row(name: "tchar", members: "!#$%&'*+-.^_`|~" + digits + letters) {
            ASCII.isTokenCharacter($0)
        },
        Row(name: "unreserved", members: "-._~" + digits + letters) { ASCII.isUnreserved($0) },
        Row(name: "digit", members: digits) { ASCII.isDigit($0) },
        Row(name: "blank", members: " \t") { ASCII.isBlank($0) },
        Row(name: "hexadecimal", members: digits + "abcdefABCDEF") {
            ASCII.hexadecimalValue($0) != nil
        },
        Row(name: "visible", members: String(decoding: UInt8(0x21)...0x7e, as: UTF8.self)) {
            ASCII.isVisible($0)
        },
    ]

    @Test("A class has exactly the members its grammar names", arguments: rows)
    func classes(row: Row) {
        let members = Set(row.members.utf8)
        for byte in UInt8.min...UInt8.max {
            #expect(row.contains(byte) == members.contains(byte), "\(byte)")
        }
    }

    @Test("Only A to Z change when lowercased")
    func lowercasing() {
        for byte in UInt8.min...UInt8.max {
            let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            #expect(ASCII.lowercased(byte) == (isUpper ? byte + 32 : byte))
        }
    }

    @Test("Hexadecimal digits have their values")
    func hexadecimal() {
        for (value, digit) in "0123456789abcdef".utf8.enumerated() {
            #expect(ASCII.hexadecimalValue(digit) == UInt8(value))
        }
        for (value, digit) in "0123456789ABCDEF".utf8.enumerated() {
            #expect(ASCII.hexadecimalValue(digit) == UInt8(value))
        }
    }
}
