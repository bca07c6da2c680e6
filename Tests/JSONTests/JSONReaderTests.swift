import Bytes
import JSON
import Testing

/// Parses a text; the error where there is one.
func parse(_ text: String, maxDepth: Int = 32, maxBytes: Int = 1 << 20) throws -> JSONValue {
    try parse(Array(text.utf8), maxDepth: maxDepth, maxBytes: maxBytes)
}

func parse(_ bytes: [UInt8], maxDepth: Int = 32, maxBytes: Int = 1 << 20) throws -> JSONValue {
    try JSONValue(parsing: bytes.span, maxDepth: maxDepth, maxBytes: maxBytes)
}

@Suite struct JSONReaderTests {
    @Test func objectKeepsMembersInOrderWithOffsets() throws {
        let value = try parse(" {\"b\": [1, true], \"a\":\"x\"} ")
        let object = try #require(value.object)
        #expect(value.offset == 1)
        #expect(object.members.map(\.name) == ["b", "a"])
        #expect(object.members.map(\.nameOffset) == [2, 18])
        #expect(object.members.map(\.value.offset) == [7, 22])
        #expect(object["a"]?.string == "x")
        #expect(object["b"]?.array?.count == 2)
        #expect(object["b"]?.array?[1].offset == 11)
        #expect(object["c"] == nil)
    }

    @Test(arguments: [
        ("null", JSONValue(.null)), ("true", JSONValue(.bool(true))),
        ("false", JSONValue(.bool(false))), ("\t[\r\n]", JSONValue(.array([]))),
        ("{ }", JSONValue(.object(JSONObject()))), ("\"\"", JSONValue(.string(""))),
        (#""\"\\\/\b\f\n\r\t""#, JSONValue(.string("\"\\/\u{8}\u{c}\n\r\t"))),
        (#""\u0041\u00e9\u20AC\ud83d\uDE00""#, JSONValue(.string("Aé€😀"))),
        (#""\u0000""#, JSONValue(.string("\0"))),
        ("\"é€😀\u{7f}\"", JSONValue(.string("é€😀\u{7f}"))),
    ])
    func validTextGivesItsValue(text: String, expected: JSONValue) throws {
        #expect(try parse(text) == expected)
    }

    @Test(
        arguments: [
            ("", .unexpectedEnd, 0), ("  ", .unexpectedEnd, 2), ("[", .unexpectedEnd, 1),
            ("[1", .unexpectedEnd, 2), ("[1,", .unexpectedEnd, 3), ("{\"a\"", .unexpectedEnd, 4),
            ("{\"a\":", .unexpectedEnd, 5), ("{\"a\":1", .unexpectedEnd, 6),
            ("{\"a\":1,", .unexpectedEnd, 7), ("\"abc", .unexpectedEnd, 4),
            ("\"abcdefghijk", .unexpectedEnd, 12), ("\"a\\", .unexpectedEnd, 3),
            ("\"\\u00", .unexpectedEnd, 5),
            ("[1,]", .unexpectedByte, 3), ("[,1]", .unexpectedByte, 1),
            ("[1 2]", .unexpectedByte, 3),
            ("{,}", .unexpectedByte, 1), ("{\"a\":1,}", .unexpectedByte, 7),
            ("{a:1}", .unexpectedByte, 1), ("{\"a\" 1}", .unexpectedByte, 5),
            ("{1:1}", .unexpectedByte, 1), ("{\"a\":1]", .unexpectedByte, 6),
            ("[1}", .unexpectedByte, 2), ("'a'", .unexpectedByte, 0), ("/**/1", .unexpectedByte, 0),
            ("nul", .unexpectedByte, 0), ("True", .unexpectedByte, 0), ("NaN", .unexpectedByte, 0),
            ("Infinity", .unexpectedByte, 0), ("+1", .unexpectedByte, 0),
            (".5", .unexpectedByte, 0),
            ("\u{a0}1", .unexpectedByte, 0), ("\u{c}1", .unexpectedByte, 0),
            ("-", .invalidNumber, 0), ("-Infinity", .invalidNumber, 0), ("01", .invalidNumber, 0),
            ("-01", .invalidNumber, 0), ("00", .invalidNumber, 0), ("1.", .invalidNumber, 0),
            ("1.e1", .invalidNumber, 0), ("1e", .invalidNumber, 0), ("1e+", .invalidNumber, 0),
            ("-.5", .invalidNumber, 0), ("1e1234567890123456", .invalidNumber, 0),
            ("0x10", .trailingBytes, 1), ("1_0", .trailingBytes, 1), ("1 1", .trailingBytes, 2),
            ("{}{}", .trailingBytes, 2), ("nullx", .trailingBytes, 4),
            ("1\u{0}", .trailingBytes, 1),
            ("\"a\"\"", .trailingBytes, 3), ("[]//", .trailingBytes, 2),
            ("\"a\nb\"", .controlCharacter, 2), ("\"\u{0}\"", .controlCharacter, 1),
            ("\"abcdefghi\tj\"", .controlCharacter, 10), ("\"é\u{1f}\"", .controlCharacter, 3),
            (#""\a""#, .invalidEscape, 1), (#""\x41""#, .invalidEscape, 1),
            (#""\U0041""#, .invalidEscape, 1), (#""\u00g0""#, .invalidEscape, 1),
            (#""\u+041""#, .invalidEscape, 1), (#""\u 041""#, .invalidEscape, 1),
            (#""\ud800""#, .loneSurrogate, 1), (#""\udc00""#, .loneSurrogate, 1),
            (#""x\ud800y""#, .loneSurrogate, 2), (#""\ud800\ud800""#, .loneSurrogate, 1),
            (#""\ud800\n""#, .loneSurrogate, 1), (#""\udc00\ud800""#, .loneSurrogate, 1),
            (#""\ud800\u0041""#, .loneSurrogate, 1),
            (#"{"a":1,"a":1}"#, .duplicateName, 7), (#"{"a":1,"\u0061":2}"#, .duplicateName, 7),
            (#"{"":1,"":2}"#, .duplicateName, 6), (#"[{"x":{"y":1,"y":1}}]"#, .duplicateName, 13),
            ("\u{feff}{}", .byteOrderMark, 0),
        ] as [(String, JSONError.Kind, Int)])
    func invalidTextIsRefusedAtItsOffset(text: String, kind: JSONError.Kind, offset: Int) {
        #expect(throws: JSONError(kind, at: offset)) { try parse(text) }
    }

    @Test(
        arguments: [
            ([0x22, 0xff, 0x22], 1), ([0x22, 0xc0, 0xae, 0x22], 1),
            ([0x22, 0xed, 0xa0, 0x80, 0x22], 1),
            ([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], 1), ([0x22, 0x61, 0xe2, 0x82, 0x22], 2),
            ([0x22, 0x80, 0x22], 1), ([0xfe, 0xff, 0x00, 0x7b], 0), ([0xff, 0xfe, 0x7b, 0x00], 0),
        ] as [([UInt8], Int)])
    func bytesThatAreNotUTF8AreRefused(bytes: [UInt8], offset: Int) {
        #expect(throws: JSONError(.invalidUTF8, at: offset)) { try parse(bytes) }
    }

    @Test func utf16IsRefused() {
        #expect(throws: JSONError(.unexpectedByte, at: 0)) { try parse([0, 0x7b, 0, 0x7d]) }
        #expect(throws: JSONError(.unexpectedByte, at: 1)) { try parse([0x7b, 0, 0x7d, 0]) }
    }

    @Test func depthIsLimited() throws {
        func nested(_ levels: Int) -> String {
            String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        }
        _ = try parse(nested(32))
        #expect(throws: JSONError(.tooDeep, at: 32)) { try parse(nested(33)) }
        #expect(throws: JSONError(.tooDeep, at: 32)) { try parse(nested(20_000)) }
        #expect(throws: JSONError(.tooDeep, at: 5 * 256)) {
            try parse(String(repeating: "{\"a\":", count: 20_000), maxDepth: 256)
        }
        // Depth counts what is open, not what was.
        _ = try parse("[[],[],[[],{}]]", maxDepth: 3)
        #expect(throws: JSONError(.tooDeep, at: 0)) { try parse("[]", maxDepth: 0) }
    }

    @Test func lengthIsLimited() throws {
        _ = try parse("[1,2]", maxBytes: 5)
        #expect(throws: JSONError(.tooLarge, at: 4)) { try parse("[1,2]", maxBytes: 4) }
    }

    @Test func duplicatesAmongManyNamesAreFound() throws {
        let names = (0..<5000).map { "\"n\($0)\":0" }
        #expect(try parse("{\(names.joined(separator: ","))}").object?.members.count == 5000)
        for repeated in [0, 11, 12, 13, 4999] {
            let text = "{\((names + ["\"n\(repeated)\":1"]).joined(separator: ","))}"
            #expect(throws: JSONError.self) { try parse(text) }
        }
    }

    @Test func namesAndStringsAreComparedByBytes() throws {
        // U+212A KELVIN SIGN and "K" are canonically equivalent, so equal to Swift's `==`.
        let object = try #require(try parse("{\"\u{212a}\":1,\"K\":2}").object)
        #expect(object["K"]?.number == JSONNumber(2))
        #expect(JSONValue(.string("\u{e9}")) != JSONValue(.string("e\u{301}")))
    }

    @Test func positionsCountLinesAndCharacters() {
        let text = Array("{\n  \"é\": 1,\r\n x}".utf8)
        func at(_ offset: Int) -> [Int] {
            let position = JSONPosition(of: offset, in: text.span)
            return [position.line, position.column]
        }
        #expect(at(0) == [1, 1])
        #expect(at(1) == [1, 2])
        #expect(at(4) == [2, 3])
        #expect(at(10) == [2, 8])
        #expect(at(15) == [3, 2])
        #expect(at(999) == [3, 4])
    }
}
