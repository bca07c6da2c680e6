import Bytes
import HTTP
import Testing

@Suite struct RequestHeadTests {
    /// A head and what it says.
    struct Accepted: Sendable, CustomTestStringConvertible {
        let text: String
        var method = "GET"
        var path = "/"
        var query = ""
        var authority = "h"
        var form = RequestHead.TargetForm.origin
        var minorVersion: UInt8 = 1
        var framing = BodyFraming.none
        var keepsAlive = true
        var testDescription: String { text.debugDescription }
    }

    static let accepted = [
        Accepted(text: head("GET / HTTP/1.1", "Host: h")),
        Accepted(text: head("GET / HTTP/1.1", "hOST:h")),
        Accepted(text: head("GET / HTTP/1.1", "Host:\t h \t")),
        Accepted(
            text: head("GET /a/b?c=d?e/f HTTP/1.1", "Host: h"), path: "/a/b", query: "?c=d?e/f"),
        Accepted(text: head("GET /? HTTP/1.1", "Host: h"), query: "?"),
        // What a path may hold is judged by the canonical path, not here.
        Accepted(text: head("GET /a\\b#c;d HTTP/1.1", "Host: h"), path: "/a\\b#c;d"),
        Accepted(text: head("get / HTTP/1.1", "Host: h"), method: "get"),
        Accepted(text: head("!#$%&'*+-.^_`|~ / HTTP/1.1", "Host: h"), method: "!#$%&'*+-.^_`|~"),
        Accepted(text: head("GET / HTTP/1.0"), authority: "", minorVersion: 0, keepsAlive: false),
        Accepted(
            text: head("GET / HTTP/1.0", "Host: h", "Connection: Keep-Alive"), minorVersion: 0),
        Accepted(text: head("GET / HTTP/1.1", "Host: h", "Connection: close"), keepsAlive: false),
        Accepted(
            text: head("GET / HTTP/1.1", "Host: h", "Connection: keep-alive, CLOSE"),
            keepsAlive: false),
        Accepted(
            text: head("GET / HTTP/1.1", "Host: h", "Connection: ,,a,", "Connection: close"),
            keepsAlive: false),
        Accepted(
            text: head("GET http://h/p?q HTTP/1.1", "Host: h"), path: "/p", query: "?q",
            form: .absolute),
        Accepted(
            text: head("GET HTTP://H HTTP/1.1", "Host: h"), path: "", authority: "H",
            form: .absolute),
        Accepted(
            text: head("GET https://h?q HTTP/1.1", "Host: h"), path: "", query: "?q",
            form: .absolute),
        Accepted(
            text: head("GET http://x:80/ HTTP/1.0"), authority: "x:80", form: .absolute,
            minorVersion: 0, keepsAlive: false),
        Accepted(
            text: head("OPTIONS * HTTP/1.1", "Host: h"), method: "OPTIONS", path: "",
            form: .asterisk),
        Accepted(
            text: head("CONNECT h:443 HTTP/1.1", "Host: h"), method: "CONNECT", path: "",
            form: .authority),
        Accepted(
            text: head("POST / HTTP/1.1", "Host: h", "Content-Length: 5"), method: "POST",
            framing: .length(5)),
        Accepted(text: head("GET / HTTP/1.1", "Host: h", "Content-Length: 0")),
        Accepted(
            text: head("POST / HTTP/1.1", "Host: h", "Content-Length: 999999999999999999"),
            method: "POST", framing: .length(999_999_999_999_999_999)),
        Accepted(
            text: head("POST / HTTP/1.1", "Host: h", "Transfer-Encoding: Chunked"), method: "POST",
            framing: .chunked),
        Accepted(
            text: head("POST / HTTP/1.1", "transfer-encoding:\tchunked ", "Host: h"),
            method: "POST", framing: .chunked),
        Accepted(text: head("GET / HTTP/1.1", "Host: h", "X-Empty:", "X-Bytes: \u{e9}\u{ff}\t.")),
    ]

    @Test("A head that keeps the rules is read as what it says", arguments: accepted)
    func accepts(row: Accepted) throws {
        let bytes = Array(row.text.utf8)
        let head = RequestHead(maxFields: 10)
        #expect(head.outcome(bytes.span) == .complete)
        let facts = RequestFacts(head, bytes)
        #expect(facts.method == row.method)
        #expect(facts.path == row.path)
        #expect(facts.query == row.query)
        #expect(facts.authority == row.authority)
        #expect(facts.form == row.form)
        #expect(facts.minorVersion == row.minorVersion)
        #expect(facts.framing == row.framing)
        #expect(facts.wantsKeepAlive == row.keepsAlive)
        #expect(facts.length == bytes.count)
    }

    /// A head and what is wrong with it.
    struct Refused: Sendable, CustomTestStringConvertible {
        let text: String
        let error: MessageError
        var testDescription: String { "\(error) \(text.debugDescription)" }

        init(_ text: String, _ error: MessageError) {
            self.text = text
            self.error = error
        }
    }

    static let badStartLines = [
        "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 ", "GET /  HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET\t/ HTTP/1.1", "GET / HTTP/2.0", "GET / HTTP/1.2", "GET / HTTP/1.11", "GET / http/1.1",
        "GET / HTTP/01.1", "GET / HTTP/1,1", "GET /", "GET", "", "GET HTTP/1.1", "GET / ",
        "G(T / HTTP/1.1", "G\u{e9}T / HTTP/1.1", "GET:/ / HTTP/1.1", "GET /\u{0} HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET /\u{e9} HTTP/1.1", "GET /\r HTTP/1.1", "GET /\n HTTP/1.1", "GET / HTTP/1.1\r",
        // Targets of no form (HOSTILE row 17).
        "GET admin/ HTTP/1.1", "GET http:http://h/admin HTTP/1.1", "GET http:/h/ HTTP/1.1",
        "GET http:// HTTP/1.1", "GET https:// HTTP/1.1", "GET ftp://h/ HTTP/1.1",
        "GET //h HTTP/1.0x",
        "GET h:443 HTTP/1.1", "GET * HTTP/1.1", "POST * HTTP/1.1", "options * HTTP/1.1",
        "OPTIONS ** HTTP/1.1", "OPTIONS *?a HTTP/1.1", "GET ?a HTTP/1.1", "GET #a HTTP/1.1",
        "PRI * HTTP/2.0",
    ].map { Refused(head($0, "Host: h"), .startLine) }

    static let badFieldLines = [
        "A : b", "A\t: b", ": b", "A", "A b: c", " A: b", "\tA: b", "A: b\r\n folded",
        "A: b\r\n\tfolded", "A: \u{0}", "A: b\u{0}c", "A: b\rc", "A: b\nc", "A: b\r", "A: \u{1}",
        "A: \u{7f}", "A: \u{b}b", "A\u{0}: b", "A(: b", "A,B: c", "\"A\": b", "\u{e9}: b",
        "A[0]: b",
        "A: b\r\rB: c", "\u{feff}A: b",
    ].flatMap { line in
        [
            Refused(head("GET / HTTP/1.1", "Host: h", line), .fieldLine),
            Refused(head("GET / HTTP/1.1", line, "Host: h"), .fieldLine),
        ]
    }

    static let badHosts =
        [
            "", "a b", "a,b", "u@h", "u:p@h", "h/", "h/p", "h?q", "h#f", "h:", "h:a", "h:80a",
            "h:65536",
            "h:999999", "h:-1", "h:+1", "h:80:80", ":80", "http://h", "h\\a", "h%41", "[", "[]",
            "[::1", "::1",
            "[::1]a", "[::1]:", "[::1%25eth0]", "[g::]", "[1]", "[1.2.3.4]", "a..b", ".a", ".",
            "a..", "h;a",
            "\u{e9}", "h\u{ad}", "(h)", "'h'", "*.h",
        ].map { Refused(head("GET / HTTP/1.1", "Host: \($0)"), .host) } + [
            Refused(head("GET / HTTP/1.1"), .host),
            Refused(head("GET / HTTP/1.1", "Host: h", "Host: h"), .host),
            Refused(head("GET / HTTP/1.1", "Host: h", "hOsT: i"), .host),
            Refused(head("GET / HTTP/1.0", "Host: a b"), .host),
            Refused(head("GET http://h/ HTTP/1.1"), .host),
            Refused(head("GET http://i/ HTTP/1.1", "Host: h"), .host),
            Refused(head("GET http://h:80/ HTTP/1.1", "Host: h"), .host),
            Refused(head("GET http://u@h/ HTTP/1.1", "Host: h"), .host),
            Refused(head("GET http://u@h/ HTTP/1.1", "Host: u@h"), .host),
            Refused(head("GET http://u@h/ HTTP/1.0"), .host),
            Refused(head("GET http:///a HTTP/1.1", "Host: h"), .host),
            Refused(head("GET http:///a HTTP/1.0"), .host),
            Refused(head("GET http://h#a/ HTTP/1.1", "Host: h"), .host),
            Refused(head("GET http://h\\a/ HTTP/1.1", "Host: h"), .host),
            Refused(head("CONNECT h:443 HTTP/1.1"), .host),
        ]

    static let badFraming =
        [
            "+1", "-1", "0x1", "1_0", "1 0", "1,1", "1, 1", "", "a", "1a", "1.0", "1e1", "\u{ff11}",
            ";1", "\"1\"",
            "1000000000000000000", "18446744073709551617", "-0", "٣",
        ].map {
            Refused(head("POST / HTTP/1.1", "Host: h", "Content-Length: \($0)"), .contentLength)
        } + [
            Refused(
                head("POST / HTTP/1.1", "Host: h", "Content-Length: 1", "Content-Length: 1"),
                .contentLength),
            Refused(
                head("POST / HTTP/1.1", "Host: h", "Content-Length: 0", "content-length: 5"),
                .contentLength),
            Refused(
                head(
                    "POST / HTTP/1.1", "Host: h", "Content-Length: 0",
                    "Transfer-Encoding: chunked"),
                .contentLength),
            Refused(
                head(
                    "POST / HTTP/1.1", "Transfer-Encoding: chunked", "Host: h",
                    "Content-Length: 3"),
                .contentLength),
            Refused(
                head("POST / HTTP/1.1", "Transfer-Encoding: x", "Host: h", "Content-Length: 3"),
                .contentLength),
            Refused(
                head(
                    "POST / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked",
                    "Transfer-Encoding: chunked"), .transferEncoding),
            Refused(
                head(
                    "POST / HTTP/1.1", "Host: h", "Transfer-Encoding: identity",
                    "Transfer-Encoding: chunked"), .transferEncoding),
            Refused(
                head("POST / HTTP/1.0", "Host: h", "Transfer-Encoding: chunked"),
                .transferEncoding),
        ]
        + [
            "", ",", ",chunked", "chunked,", "chunked, chunked", "gzip, chunked, chunked",
            "chunked, gzip",
            "chunked, identity", "\"chunked\"", "chunked;q=1", "chun ked", "[chunked]",
            "gzip; chunked", "chunked=1",
        ].map {
            Refused(
                head("POST / HTTP/1.1", "Host: h", "Transfer-Encoding: \($0)"), .transferEncoding)
        }
        + ["gzip", "identity", "gzip, chunked", "xchunked", "chunke", "chunked1", "x, y"].map {
            Refused(
                head("POST / HTTP/1.1", "Host: h", "Transfer-Encoding: \($0)"),
                .unknownTransferCoding)
        }

    static let badOthers =
        [
            "Host", "authorization", "Content-Length", "TRANSFER-ENCODING", "close, host",
            "x, , host",
        ].map {
            Refused(head("GET / HTTP/1.1", "Host: h", "Connection: \($0)"), .connection)
        } + [
            Refused(
                head("GET / HTTP/1.1", "Host: h", "Connection: close", "Connection: a, Host"),
                .connection),
            Refused(
                head(
                    "GET / HTTP/1.1", "Host: h",
                    "Connection: " + String(repeating: "a,", count: 33)), .connection),
        ]
        + ["", "200-ok", "100-continue, x", "100-continue;a", "100 continue", "\"100-continue\""]
        .map {
            Refused(head("POST / HTTP/1.1", "Host: h", "Expect: \($0)"), .expectation)
        } + [
            Refused(
                head("POST / HTTP/1.1", "Host: h", "Expect: x", "Expect: 100-continue"),
                .expectation)
        ]

    static let refused = badStartLines + badFieldLines + badHosts + badFraming + badOthers

    @Test("A head that breaks a rule is refused for that rule", arguments: refused)
    func refuses(row: Refused) {
        let bytes = Array(row.text.utf8)
        #expect(RequestHead(maxFields: 40).outcome(bytes.span) == .refused(row.error))
    }

    @Test("An obs-text octet is kept in a value and refused elsewhere")
    func rawBytes() {
        for byte in UInt8(0x80)...UInt8.max {
            let value =
                Array("GET / HTTP/1.1\r\nHost: h\r\nA: ".utf8) + [byte] + Array("\r\n\r\n".utf8)
            #expect(RequestHead(maxFields: 4).outcome(value.span) == .complete)
            let name =
                Array("GET / HTTP/1.1\r\nHost: h\r\nA".utf8) + [byte] + Array(": b\r\n\r\n".utf8)
            #expect(RequestHead(maxFields: 4).outcome(name.span) == .refused(.fieldLine))
            let target = Array("GET /".utf8) + [byte] + Array(" HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
            #expect(RequestHead(maxFields: 4).outcome(target.span) == .refused(.startLine))
        }
    }

    @Test("As many fields as there is room for pass, one more does not")
    func fieldCount() {
        for count in 1...6 {
            let lines = (1..<count).map { "A\($0): b\r\n" }.joined()
            let bytes = Array("GET / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n".utf8)
            let expected = count <= 4 ? Outcome.complete : .refused(.tooManyFields)
            #expect(RequestHead(maxFields: 4).outcome(bytes.span) == expected)
        }
    }

    @Test("One head object reads message after message without remembering the last")
    func reuse() {
        let head = RequestHead(maxFields: 10)
        for row in Self.accepted + Self.accepted.reversed() {
            let bytes = Array(row.text.utf8)
            let busy = Array(
                HTTPTests.head(
                    "POST http://z/?q HTTP/1.1", "Host: z", "Transfer-Encoding: chunked",
                    "Connection: close, upgrade, a", "Expect: 100-continue", "Upgrade: w",
                    "Authorization: x", "Via: y", "X-Request-Id: 1"
                ).utf8)
            #expect(head.outcome(busy.span) == .complete)
            #expect(head.outcome(bytes.span) == .complete)
            let fresh = RequestHead(maxFields: 10)
            #expect(fresh.outcome(bytes.span) == .complete)
            #expect(RequestFacts(head, bytes) == RequestFacts(fresh, bytes))
            #expect(head.fields.saysUpgrade == fresh.fields.saysUpgrade)
            #expect(head.fields.authorization == fresh.fields.authorization)
            #expect(head.fields.authorizationCount == fresh.fields.authorizationCount)
            #expect(head.fields.upgrade == fresh.fields.upgrade)
            #expect(head.fields.requestID == fresh.fields.requestID)
            #expect(head.fields.expectsContinue == fresh.fields.expectsContinue)
            #expect(head.fields.hasForwardingFields == fresh.fields.hasForwardingFields)
        }
    }

    @Test("What follows the head is not looked at")
    func pipelined() {
        let first = head("GET /a HTTP/1.1", "Host: h")
        for rest in ["\0\r\n\r\n", "GET /b HTTP/1.1\r\nHost: h\r\n\r\n", "\n", " "] {
            let bytes = Array((first + rest).utf8)
            let head = RequestHead(maxFields: 4)
            #expect(head.outcome(bytes.span) == .complete)
            #expect(head.length == first.utf8.count)
        }
    }

    @Test(
        "HEAD is known by its exact name",
        arguments: [("HEAD", true), ("head", false), ("HEADS", false), ("GET", false)])
    func isHead(method: String, expected: Bool) {
        let bytes = Array(head("\(method) / HTTP/1.1", "Host: h").utf8)
        let head = RequestHead(maxFields: 4)
        #expect(head.outcome(bytes.span) == .complete)
        let isHead = head.isHead(bytes.span)
        #expect(isHead == expected)
    }
}
