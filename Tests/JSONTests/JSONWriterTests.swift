import Bytes
import JSON
import Testing

@Suite struct JSONWriterTests {
    private func written(_ body: (inout ByteBuffer) -> Void) -> String {
        var buffer = ByteBuffer()
        body(&buffer)
        return buffer.withBytes { String(decoding: [UInt8](copying: $0), as: UTF8.self) }
    }

    @Test func separatorsAreWrittenWhereDue() {
        let text = written { out in
            out.beginJSONObject()
            out.appendJSONMember("a", 1)
            out.appendJSONMember("b", "x{")
            out.appendJSONName("c")
            out.beginJSONArray()
            for word in ["p", "q["] {
                out.separateJSONElement()
                out.appendJSONString(word)
            }
            out.endJSONArray()
            out.appendJSONName("d")
            out.beginJSONObject()
            out.endJSONObject()
            out.appendJSONMember("e", true)
            out.appendJSONMember("f", literal: "y")
            out.endJSONObject()
        }
        #expect(text == #"{"a":1,"b":"x{","c":["p","q["],"d":{},"e":true,"f":"y"}"#)
    }

    @Test(arguments: [
        ("", ""), ("plain text, long enough for words", "plain text, long enough for words"),
        ("a\"b\\c", #"a\"b\\c"#), ("\n\r\t\u{0}\u{1f}\u{7f}", #"\n\r\t\u0000\u001f\u007f"#),
        ("é€😀 and more plain text", "é€😀 and more plain text"), ("12345678\"", #"12345678\""#),
        ("1234567\u{1}", #"1234567\u0001"#),
    ])
    func stringsAreEscaped(text: String, expected: String) throws {
        let result = written { $0.appendJSONString(text) }
        #expect(result == "\"\(expected)\"")
        #expect(try parse(result) == JSONValue(.string(text)))
    }

    @Test(
        arguments: [
            ([0xff], "\u{fffd}"), ([0x61, 0xc0, 0xae, 0x62], "a\u{fffd}\u{fffd}b"),
            ([0xe2, 0x82], "\u{fffd}\u{fffd}"), ([0xed, 0xa0, 0x80], "\u{fffd}\u{fffd}\u{fffd}"),
            ([0xf4, 0x90, 0x80, 0x80], "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ([0x80, 0xc3, 0xa9], "\u{fffd}é"),
        ] as [([UInt8], String)])
    func bytesThatAreNotUTF8AreReplaced(bytes: [UInt8], expected: String) throws {
        let result = written { $0.appendJSONString(bytes.span) }
        #expect(try parse(result) == JSONValue(.string(expected)))
    }

    @Test func everyByteGivesAValidTextAtEveryPlace() throws {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<10 {
                var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: 12)
                bytes[place] = byte
                let result = written { $0.appendJSONString(bytes.span) }
                let expected = String(decoding: bytes, as: UTF8.self)
                #expect(try parse(result) == JSONValue(.string(expected)))
            }
        }
    }
}
