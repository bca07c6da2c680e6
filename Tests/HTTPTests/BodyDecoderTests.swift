import Bytes
import HTTP
import Testing

@Suite struct BodyDecoderTests {
    /// A whole body and what it carries.
    struct Accepted: Sendable, CustomTestStringConvertible {
        let text: String
        var framing = BodyFraming.chunked
        let data: String
        var trailers = ""
        /// Bytes behind the body that are not its own.
        var rest = 0
        var testDescription: String { "\(framing) \(text.debugDescription)" }
    }

    static let accepted = [
        Accepted(text: "0\r\n\r\n", data: ""),
        Accepted(text: "3\r\nabc\r\n0\r\n\r\n", data: "abc"),
        Accepted(text: "003\r\nabc\r\n000\r\n\r\n", data: "abc"),
        Accepted(
            text: "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", data: "01234567890123456789"),
        Accepted(text: "1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", data: "\r\n"),
        Accepted(text: "5\r\n0\r\n\r\n\r\n0\r\n\r\n", data: "0\r\n\r\n"),
        Accepted(text: "1;a=b;c\r\nx\r\n0;d=\"e\"\r\n\r\n", data: "x"),
        Accepted(text: "1;\r\nx\r\n0\r\n\r\n", data: "x"),
        Accepted(text: "1; \t\u{e9}\r\nx\r\n0\r\n\r\n", data: "x"),
        Accepted(text: "1\r\nx\r\n0\r\nA: b\r\n\r\n", data: "x", trailers: "A: b\r\n"),
        Accepted(text: "0\r\nA: b\r\nC:\r\n\r\n", data: "", trailers: "A: b\r\nC:\r\n"),
        Accepted(text: "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n", data: "x", rest: 16),
        Accepted(text: "0\r\nA: b\r\n\r\n\r\n", data: "", trailers: "A: b\r\n", rest: 2),
        Accepted(text: "abc", framing: .length(3), data: "abc"),
        Accepted(text: "abcGET", framing: .length(3), data: "abc", rest: 3),
        Accepted(text: "GET", framing: .length(0), data: "", rest: 3),
        Accepted(text: "GET", framing: .none, data: "", rest: 3),
    ]

    @Test("A body gives its data and trailers however it is cut", arguments: accepted)
    func accepts(row: Accepted) {
        let bytes = Array(row.text.utf8)
        var expected = BodyReading(row.framing, [])
        expected.data = Array(row.data.utf8)
        expected.trailers = Array(row.trailers.utf8)
        expected.end = bytes.count - row.rest
        for cuts in cuttings(of: bytes) { #expect(BodyReading(row.framing, cuts) == expected) }
    }

    @Test("A body that is cut short is never complete", arguments: accepted)
    func cutShort(row: Accepted) {
        let bytes = Array(row.text.utf8)
        for count in 0..<(bytes.count - row.rest) {
            let reading = BodyReading(row.framing, [Array(bytes[..<count])])
            #expect(reading.end == nil)
            #expect(reading.error == nil)
            #expect(row.data.utf8.starts(with: reading.data))
        }
    }

    static let refused: [(String, MessageError)] =
        [
            "\r\n", "\n", ";a\r\n", "g\r\n", "-1\r\n", "+1\r\n", "0x1\r\nx\r\n", " 1\r\nx\r\n",
            "1 \r\nx\r\n",
            "1 ;a\r\nx\r\n", "1\t\r\n", "1_0\r\n", "1\nx\r\n0\r\n\r\n", "1\rx\r\n", "1\r\r\nx",
            "1\u{0}\r\n", "\u{0}1\r\n",
            "1,1\r\n", "1\r\nxy\r\n", "1\r\nx\n0\r\n\r\n", "1\r\nx\r0\r\n\r\n", "1\r\nx0\r\n\r\n",
            "1;a\nb\r\nx\r\n",
            "1;a\rb\r\nx\r\n", "1;a\u{0}\r\nx\r\n", "1;\u{7f}\r\n", "0000000000000000\r\n",
            "ffffffffffffffff\r\n",
            "7fffffffffffffff\r\n", "10000000000000000\r\n", "1\r\nx\r\n\r\n", "1\r\nx\r\n-\r\n",
            "\u{ff11}\r\n",
            "1;" + String(repeating: "a", count: 4097) + "\r\n",
        ].map { ($0, .chunk) } + [
            ("0\r\n\n", .trailers), ("0\r\nA: b\n\r\n", .trailers), ("0\r\nA: b\r\n\n", .trailers),
            ("0\r\nA: " + String(repeating: "b", count: 16384) + "\r\n\r\n", .trailers),
            (
                "0\r\n" + String(repeating: "A: b\r\n", count: 4000) + "\r\n", .trailers
            ),
        ]

    @Test("A body that breaks a rule is refused however it is cut", arguments: refused)
    func refuses(text: String, error: MessageError) {
        let bytes = Array(text.utf8)
        let cuts = bytes.count < 100 ? cuttings(of: bytes) : [[bytes], bytes.map { [$0] }]
        for pieces in cuts {
            let reading = BodyReading(.chunked, pieces)
            #expect(reading.error == error)
            #expect(reading.end == nil)
        }
    }

    @Test("The largest chunk size there may be is counted exactly")
    func largeChunk() {
        let reading = BodyReading(.chunked, [Array("fffffffffffffff\r\nabc".utf8)])
        #expect(reading.data == Array("abc".utf8))
        #expect(reading.error == nil)
    }

    @Test("Everything is data until the connection ends")
    func untilClose() {
        let decoder = BodyDecoder(.untilClose)
        #expect(decoder.endsWithConnection == true)
        #expect(decoder.isComplete == false)
        let reading = BodyReading(.untilClose, [Array("0\r\n\r\n".utf8), [], [0]])
        #expect(reading.data == Array("0\r\n\r\n".utf8) + [0])
        #expect(reading.end == nil)
    }

    @Test("The rest of a counted body is known at each step")
    func remaining() throws {
        var decoder = BodyDecoder(.length(5))
        #expect(decoder.remainingLength == 5)
        let step = try decoder.next([1, 2, 3].span, from: 1)
        #expect(step == .data(1..<3))
        #expect(decoder.remainingLength == 3)
        #expect(decoder.isComplete == false)
        let last = try decoder.next([1, 2, 3, 4].span, from: 0)
        #expect(last == .data(0..<3))
        #expect(decoder.remainingLength == nil)
        #expect(decoder.isComplete == true)
    }

    /// The bytes whole, byte by byte, and cut in two at every offset.
    private func cuttings(of bytes: [UInt8]) -> [[[UInt8]]] {
        [[bytes], bytes.map { [$0] }]
            + bytes.indices.map { [Array(bytes[..<$0]), Array(bytes[$0...])] }
    }
}

@Suite struct TrailerSectionTests {
    private func forwarded(_ lines: String, maxFields: Int = 10) throws(MessageError) -> String {
        var output = ByteBuffer()
        try TrailerSection.appendForwardable(
            Array(lines.utf8).span, maxFields: maxFields, to: &output
        ) { $0.isEqualIgnoringCase(to: "x-user") }
        return output.withBytes { String(decoding: Array(copying: $0), as: UTF8.self) }
    }

    @Test(
        "Trailers go on as they are, less what policy removes",
        arguments: [
            ("", ""), ("A: b\r\n", "A: b\r\n"),
            ("A: b\r\nX-User: root\r\nC:\r\n", "A: b\r\nC:\r\n"),
            ("x-USER:\r\n", ""), ("Date: d\r\nServer: s\r\n", "Date: d\r\nServer: s\r\n"),
        ])
    func forwards(given: String, expected: String) throws {
        #expect(try forwarded(given) == expected)
    }

    @Test(
        "A trailer that is malformed or may only stand in a head is refused",
        arguments: [
            "Authorization: Bearer a\r\n", "authorization:\r\n", "Host: h\r\n",
            "Content-Length: 1\r\n",
            "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "TE: a\r\n",
            "Trailer: a\r\n",
            "Upgrade: a\r\n", "Expect: a\r\n", "Keep-Alive: 1\r\n", "X-Forwarded-For: a\r\n",
            "Forwarded: a\r\n", "X-Request-Id: 1\r\n", "Proxy-Authorization: a\r\n", "A\r\n",
            "A : b\r\n", ": b\r\n",
            " A: b\r\n", "A: b\r\n c\r\n", "A: \u{0}\r\n", "A: b\rc\r\n", "A: b", "A: b\r",
            "A: b\r\nHost: h\r\n",
        ])
    func refuses(lines: String) {
        #expect(throws: MessageError.trailers) { try forwarded(lines) }
    }

    @Test("More trailers than allowed are refused")
    func count() throws {
        #expect(try forwarded("A:\r\nB:\r\n", maxFields: 2) == "A:\r\nB:\r\n")
        #expect(throws: MessageError.trailers) { try forwarded("A:\r\nB:\r\nC:\r\n", maxFields: 2) }
    }
}
