import Bytes
import HTTP
import Testing

@Suite struct ResponseHeadTests {
    /// A response and what it says.
    struct Accepted: Sendable, CustomTestStringConvertible {
        let text: String
        var status: UInt16 = 200
        var reason = "OK"
        var framing = BodyFraming.untilClose
        var keepsAlive = true
        var toHead = false
        var isInterim = false
        var testDescription: String { text.debugDescription }
    }

    static let accepted = [
        Accepted(text: head("HTTP/1.1 200 OK")),
        Accepted(text: head("HTTP/1.1 200 "), reason: ""),
        Accepted(text: head("HTTP/1.1 200"), reason: ""),
        Accepted(text: head("HTTP/1.1 200 a b\tc \u{e9}"), reason: "a b\tc \u{e9}"),
        Accepted(text: head("HTTP/1.0 200 OK"), keepsAlive: false),
        Accepted(
            text: head("HTTP/1.0 200 OK", "Connection: keep-alive", "Content-Length: 2"),
            framing: .length(2)),
        Accepted(text: head("HTTP/1.1 200 OK", "Connection: close"), keepsAlive: false),
        Accepted(text: head("HTTP/1.1 200 OK", "Content-Length: 0"), framing: .none),
        Accepted(text: head("HTTP/1.1 200 OK", "content-length: 12"), framing: .length(12)),
        Accepted(text: head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), framing: .chunked),
        Accepted(
            text: head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), framing: .none,
            toHead: true),
        Accepted(text: head("HTTP/1.1 200 OK", "Content-Length: 5"), framing: .none, toHead: true),
        Accepted(
            text: head("HTTP/1.1 304 N", "Content-Length: 5"), status: 304, reason: "N",
            framing: .none),
        Accepted(
            text: head("HTTP/1.1 304 N", "Transfer-Encoding: chunked"), status: 304, reason: "N",
            framing: .none),
        Accepted(text: head("HTTP/1.1 204 N"), status: 204, reason: "N", framing: .none),
        Accepted(
            text: head("HTTP/1.1 204 N", "Content-Length: 0"), status: 204, reason: "N",
            framing: .none),
        Accepted(
            text: head("HTTP/1.1 204 N", "Transfer-Encoding: chunked"), status: 204, reason: "N",
            framing: .none, keepsAlive: false),
        Accepted(
            text: head("HTTP/1.1 100 C"), status: 100, reason: "C", framing: .none,
            isInterim: true),
        Accepted(
            text: head("HTTP/1.1 103 E", "Link: a"), status: 103, reason: "E", framing: .none,
            isInterim: true),
        Accepted(
            text: head("HTTP/1.1 101 S", "Upgrade: w"), status: 101, reason: "S", framing: .none),
        Accepted(text: head("HTTP/1.1 599 X", "Expect: anything"), status: 599, reason: "X"),
    ]

    @Test("A response that keeps the rules is read as what it says", arguments: accepted)
    func accepts(row: Accepted) {
        let bytes = Array(row.text.utf8)
        let head = ResponseHead(maxFields: 10)
        #expect(head.outcome(bytes.span) == .complete)
        #expect(head.status == row.status)
        #expect(String(decoding: bytes[head.reason], as: UTF8.self) == row.reason)
        #expect(head.framing(toHead: row.toHead) == row.framing)
        #expect(head.wantsKeepAlive == row.keepsAlive)
        #expect(head.isInterim == row.isInterim)
        #expect(head.length == bytes.count)
    }

    static let refused: [(String, MessageError)] =
        [
            "HTTP/1.1  200 OK", " HTTP/1.1 200 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 2000 OK",
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2OO OK", "HTTP/1.1 200\tOK", "HTTP/1.1 099 X", "HTTP/1.1 600 X",
            "HTTP/1.1 999 X",
            "HTTP/1.1 000 X", "HTTP/2.0 200 OK", "HTTP/1.2 200 OK", "http/1.1 200 OK",
            "ICY 200 OK but long",
            "<html><body>hello", "HTTP/1.1 +20 OK", "HTTP/1.1 200 O\u{0}K", "HTTP/1.1 200 O\rK",
            "HTTP/1.1 200 O\nK", "HTTP/1.1 200 OK\r", "SSH-2.0-OpenSSH_9.2", "",
        ].map { (head($0, "A: b"), .startLine) } + [
            (head("HTTP/1.1 200 OK", "A : b"), .fieldLine),
            (head("HTTP/1.1 200 OK", "A: b\r\n c"), .fieldLine),
            (head("HTTP/1.1 200 OK", "A: b\nSet-Cookie: c"), .fieldLine),
            (head("HTTP/1.1 200 OK", "A: b\u{0}"), .fieldLine),
            (head("HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 1"), .contentLength),
            (head("HTTP/1.1 200 OK", "Content-Length: 1, 1"), .contentLength),
            (head("HTTP/1.1 200 OK", "Content-Length: +1"), .contentLength),
            (
                head("HTTP/1.1 200 OK", "Content-Length: 1", "Transfer-Encoding: chunked"),
                .contentLength
            ),
            (head("HTTP/1.1 204 N", "Content-Length: 1"), .contentLength),
            (head("HTTP/1.1 100 C", "Content-Length: 1"), .contentLength),
            (head("HTTP/1.1 101 S", "Content-Length: 1"), .contentLength),
            (head("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"), .transferEncoding),
            (head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked, chunked"), .transferEncoding),
            (head("HTTP/1.1 200 OK", "Transfer-Encoding: gzip"), .unknownTransferCoding),
            (head("HTTP/1.1 200 OK", "Connection: Content-Length"), .connection),
            (head("HTTP/1.1 200 OK", "A: 1", "B: 1", "C: 1", "D: 1", "E: 1"), .tooManyFields),
        ]

    @Test("A response that breaks a rule is refused for that rule", arguments: refused)
    func refuses(text: String, error: MessageError) {
        let bytes = Array(text.utf8)
        #expect(ResponseHead(maxFields: 4).outcome(bytes.span) == .refused(error))
    }
}
