import JSON
import Testing

@Suite struct JSONNameTests {
    /// Names that share a beginning, an end, a length, or all but the case.
    private static let names = [
        "", "a", "b", "A", "ab", "ba", "iss", "ISS", "sub", "aud", "\0", "\0\0", "abcdefg",
        "abcdefh", "Abcdefg", "abcdefgh", "abcdefgi", "preferred_username", "preferred_usernama",
        "é", "e\u{301}", "K", "\u{212a}", "https://example.com/claims/a",
        "https://example.com/claims/b", "\u{7f}", "😀",
    ]

    @Test("A member is found under its own name alone", arguments: names)
    func found(_ name: String) throws {
        let text =
            "{" + Self.names.map { "\(quoted($0)):\(quoted($0))" }.joined(separator: ",") + "}"
        let object = try #require(try parse(text).object)
        #expect(object.members.count == Self.names.count)
        let found = try #require(object[name]?.string)
        #expect(Array(found.utf8) == Array(name.utf8))
        let foundByName = try #require(object[JSONName(name)]?.string)
        #expect(Array(foundByName.utf8) == Array(name.utf8))

        let others = JSONObject(
            members: Self.names.filter { Array($0.utf8) != Array(name.utf8) }.map {
                .init(name: $0, value: JSONValue(.null))
            })
        #expect(others[name] == nil)
        #expect(others[JSONName(name)] == nil)
    }

    @Test("A name is the same however it is written, and not twice in an object", arguments: names)
    func twice(_ name: String) throws {
        let escaped = name.utf16.map { "\\u" + hexadecimal($0) }.joined()
        for second in [quoted(name), "\"\(escaped)\""] {
            #expect(throws: JSONError.self) { try parse("{\(quoted(name)):1,\(second):2}") }
            #expect(try parse("{\(second):2}").object?[JSONName(name)]?.number?.integer == 2)
        }
    }

    private func quoted(_ name: String) -> String {
        let characters = name.unicodeScalars.map { scalar in
            scalar.value < 0x20 ? "\\u" + hexadecimal(UInt16(scalar.value)) : String(scalar)
        }
        return "\"\(characters.joined())\""
    }

    private func hexadecimal(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return String(repeating: "0", count: 4 - digits.count) + digits
    }
}
