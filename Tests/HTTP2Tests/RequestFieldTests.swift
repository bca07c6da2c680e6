import Bytes
import HTTP
import Testing

@testable import HTTP2

/// What a client's header block becomes, or why it does not.
@Suite struct RequestFieldTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let fields: [(String, String)]
        let head: String
        var testDescription: String { "\(fields)" }

        init(_ fields: [(String, String)], _ head: String) {
            self.fields = fields
            self.head = head
        }
    }

    static let taken: [Row] = [
        Row(get(), "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        Row(get("/a/b?c=d&e"), "GET /a/b?c=d&e HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        Row(get("/", [("a", "b")]), "GET / HTTP/1.1\r\nhost: a.example\r\na: b\r\n\r\n"),
        Row(get("/", [("a", "")]), "GET / HTTP/1.1\r\nhost: a.example\r\na: \r\n\r\n"),
        Row(
            get("/", [("a", "1"), ("b", "2"), ("a", "3")]),
            "GET / HTTP/1.1\r\nhost: a.example\r\na: 1\r\nb: 2\r\na: 3\r\n\r\n"),
        Row(
            get("/", [("a", "x \t y: z")]),
            "GET / HTTP/1.1\r\nhost: a.example\r\na: x \t y: z\r\n\r\n"),
        Row(
            get("/", [("a", "gr\u{fc}n")]),
            "GET / HTTP/1.1\r\nhost: a.example\r\na: gr\u{fc}n\r\n\r\n"),
        Row(
            get("/", [("te", "trailers")]),
            "GET / HTTP/1.1\r\nhost: a.example\r\nte: trailers\r\n\r\n"),
        // The order of pseudo-header fields is free.
        Row(
            [(":path", "/x"), (":authority", "a:1"), (":scheme", "https"), (":method", "PUT")],
            "PUT /x HTTP/1.1\r\nhost: a:1\r\n\r\n"),
        Row(
            [(":path", "*"), (":authority", "a"), (":scheme", "http"), (":method", "OPTIONS")],
            "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
        // Only Host.
        Row(
            [(":path", "/"), (":scheme", "http"), (":method", "GET"), ("a", "1"), ("host", "h:8")],
            "GET / HTTP/1.1\r\na: 1\r\nhost: h:8\r\n\r\n"),
        // Both, the same.
        Row(
            get("/", [("a", "1"), ("host", "A.EXAMPLE")]),
            "GET / HTTP/1.1\r\nhost: a.example\r\na: 1\r\n\r\n"),
        // CONNECT has no scheme and no path (RFC 9113, section 8.5).
        Row(
            [(":method", "CONNECT"), (":authority", "a.example:443")],
            "CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n"),
        // Crumbs (RFC 9113, section 8.2.3).
        Row(
            get("/", [("cookie", "a=1"), ("b", "2"), ("cookie", "c=3"), ("cookie", "d=4; e=5")]),
            "GET / HTTP/1.1\r\nhost: a.example\r\nb: 2\r\ncookie: a=1; c=3; d=4; e=5\r\n\r\n"),
        Row(
            get("/", [("cookie", "a=1")]),
            "GET / HTTP/1.1\r\nhost: a.example\r\ncookie: a=1\r\n\r\n"),
        // What policy judges arrives as it was sent.
        Row(get("/a#b"), "GET /a#b HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        Row(get("/a\\b"), "GET /a\\b HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        Row(get("//a/%2e%2e"), "GET //a/%2e%2e HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        Row(
            get("/", [("authorization", "a"), ("authorization", "b")]),
            "GET / HTTP/1.1\r\nhost: a.example\r\nauthorization: a\r\nauthorization: b\r\n\r\n"),
    ]

    @Test(arguments: taken)
    func aWellFormedBlockIsAHeadOfHTTP1(row: Row) {
        let server = Peer.server()
        server.receive(headers(1, row.fields))
        #expect(server.takeSeen() == [.head(1, row.head, isEnd: true)])
    }

    struct BadRow: CustomTestStringConvertible, Sendable {
        let fields: [(String, String)]
        let fault: MessageError
        var testDescription: String { "\(fields)" }

        init(_ fields: [(String, String)], _ fault: MessageError) {
            self.fields = fields
            self.fault = fault
        }
    }

    static let refused: [BadRow] = [
        BadRow(get("/", [("host", "b.example")]), .host),
        BadRow(get("/", [("host", "a.example:80")]), .host),
        BadRow(get("/\u{fc}"), .startLine),
        // nghttp2 asks for a path's slash in `http` and `https` only.
        BadRow(
            [(":path", "x"), (":authority", "a"), (":scheme", "ftp"), (":method", "GET")],
            .startLine),
        BadRow(
            [
                (":path", "http://b/"), (":authority", "a"), (":scheme", "ftp"),
                (":method", "GET"),
            ], .startLine),
        BadRow(
            [(":path", "*"), (":authority", "a"), (":scheme", "ftp"), (":method", "GET")],
            .startLine),
        BadRow(get("/", (0..<101).map { ("f\($0)", "v") }), .tooManyFields),
        BadRow(get("/", [("a", String(repeating: "v", count: 16384))]), .headTooLarge),
        BadRow(get("/" + String(repeating: "v", count: 16384)), .headTooLarge),
        BadRow(
            get("/", (0..<9).map { ("f\($0)", String(repeating: "v", count: 2048)) }),
            .headTooLarge),
        BadRow(
            get("/", (0..<500).map { ("cookie", "c=\($0)") }), .headTooLarge),
    ]

    @Test(arguments: refused)
    func aBlockThatIsNoRequestOfOursIsToldWithItsFault(row: BadRow) {
        let server = Peer.server()
        server.receive(block(1, row.fields, isEnd: false))
        #expect(server.takeSeen() == [.badHead(1, row.fault, isEnd: false)])
        // It can be answered.
        server.session.respond(
            server.handles[1] ?? HTTP2StreamHandle(id: 0, slot: 0),
            "HTTP/1.1 400 Bad Request\r\n\r\n", isEnd: true)
        #expect(server.frames().first?.kind == .headers)
    }

    @Test func largestHeadsAllowedAreTaken() {
        let server = Peer.server(headBytes: 4096, fields: 10)
        // `:authority` becomes a line of its own.
        let nine = (0..<9).map { ("f\($0)", "v") }
        server.receive(headers(1, get("/", nine)))
        #expect(server.takeSeen().count == 1)
        server.receive(headers(3, get("/", nine + [("g", "")])))
        #expect(server.takeSeen() == [.badHead(3, .tooManyFields, isEnd: true)])
        // (RFC 9113, section 6.5.2)
        let used = get("/").reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count + 32 }
        let rest = 4096 - used - 32 - 1
        server.receive(headers(5, get("/", [("a", String(repeating: "v", count: rest))])))
        guard case .head = server.takeSeen().first else { return #expect(Bool(false)) }
        server.receive(headers(7, get("/", [("a", String(repeating: "v", count: rest + 1))])))
        #expect(server.takeSeen() == [.badHead(7, .headTooLarge, isEnd: true)])
    }

    static let malformed: [[(String, String)]] = [
        // Names.
        get("/", [("A", "upper case")]),
        get("/", [("", "empty")]),
        get("/", [("a b", "space")]),
        get("/", [("a:", "colon")]),
        get("/", [("a\r\nb", "line")]),
        get("/", [("a\u{0}", "zero")]),
        get("/", [("\u{fc}", "not ASCII")]),
        // Values.
        get("/", [("a", "x\r\nadmin: 1")]),
        get("/", [("a", "x\ny")]),
        get("/", [("a", "x\ry")]),
        get("/", [("a", "x\u{0}y")]),
        get("/", [("a", "x\u{7f}y")]),
        get("/", [("a", "x\u{1}")]),
        get("/", [("a", " x")]),
        get("/", [("a", "x\t")]),
        get("/", [("cookie", "a=1\r\nadmin: 1")]),
        // Pseudo-header fields.
        [(":method", "GET"), (":scheme", "http"), (":authority", "a")],
        [(":method", "GET"), (":path", "/"), (":authority", "a")],
        [(":scheme", "http"), (":path", "/"), (":authority", "a")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/")],
        get("/", [(":path", "/b")]),
        get("/", [(":method", "POST")]),
        get("/", [("a", "1"), (":path", "/b")]),
        [("a", "1")] + get("/"),
        get("/", [(":status", "200")]),
        get("/", [(":unknown", "1")]),
        get("/", [(":protocol", "websocket")]),
        [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
            (":path", "/"), (":authority", "a"),
        ],
        [(":method", "CONNECT"), (":scheme", "http"), (":path", "/"), (":authority", "a")],
        get(""), get("a"), get("http://b.example/"), get("*"), get("/a b"),
        get("/ HTTP/1.1\r\nhost: b\r\n\r\n"), get("/\u{0}"), get("/\r\n"),
        [
            (":method", "GET /admin HTTP/1.1\r\nx:"), (":scheme", "http"), (":path", "/"),
            (":authority", "a"),
        ],
        [(":method", ""), (":scheme", "http"), (":path", "/"), (":authority", "a")],
        [(":method", "G T"), (":scheme", "http"), (":path", "/"), (":authority", "a")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a\r\nb: c")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a b")],
        [(":path", "/"), (":authority", ""), (":scheme", "http"), (":method", "GET")],
        get("/", [("host", "a.example"), ("host", "a.example")]),
        get("/", [("host", "")]),
        // Fields of connections (RFC 9113, section 8.2.2).
        get("/", [("connection", "close")]),
        get("/", [("connection", "a")]),
        get("/", [("keep-alive", "timeout=5")]),
        get("/", [("proxy-connection", "keep-alive")]),
        get("/", [("transfer-encoding", "chunked")]),
        get("/", [("upgrade", "h2c")]),
        get("/", [("te", "gzip")]),
        get("/", [("te", "trailers, gzip")]),
        // Lengths.
        get("/", [("content-length", "1")]),
        get("/", [("content-length", "-1")]),
        get("/", [("content-length", "0"), ("content-length", "0")]),
        get("/", [("content-length", "99999999999999999999")]),
        get("/", [("content-length", "a")]),
    ]

    @Test(arguments: malformed.indices)
    func aMalformedBlockEndsItsStreamUntold(row: Int) {
        let server = Peer.server()
        server.receive(headers(1, Self.malformed[row]))
        #expect(server.takeSeen() == [], "\(Self.malformed[row])")
        #expect(server.verdict() == .stream(.protocolError), "\(Self.malformed[row])")
        #expect(server.takeSeen() == [])
        #expect(server.session.openStreams == 0)
        // The connection goes on.
        server.receive(headers(3, get()))
        #expect(server.takeSeen().count == 1)
    }

    @Test func trailersAreLinesWithoutAHead() {
        let server = Peer.server()
        server.receive(
            headers(1, get(), isEnd: false), RawFrame(.data, 0, 1, [1, 2]),
            headers(1, [("a", "1"), ("b", "")]))
        #expect(
            server.takeSeen().dropFirst() == [.data(1, [1, 2]), .trailers(1, "a: 1\r\nb: \r\n")])
    }

    static let badTrailers: [[(String, String)]] = [
        [(":path", "/admin")], [(":status", "200")], [("a", "1"), (":method", "GET")],
        [("A", "1")], [("a", "1\r\n")], [("connection", "close")],
        [("transfer-encoding", "chunked")],
        [("a", String(repeating: "v", count: 17000))], (0..<101).map { ("f\($0)", "") },
    ]

    @Test(arguments: badTrailers.indices)
    func badTrailersEndTheStream(row: Int) {
        let server = Peer.server()
        server.receive(headers(1, get(), isEnd: false))
        server.seen = []
        server.receive(block(1, Self.badTrailers[row]))
        #expect(server.takeSeen() == [.closed(1, .protocolError)])
        #expect(server.verdict() == .stream(.protocolError))
    }

    @Test func trailersWithoutAnEndAreAFault() {
        let server = Peer.server()
        server.receive(
            headers(1, get(), isEnd: false), headers(1, [("a", "1")], isEnd: false))
        #expect(server.takeSeen().last == .closed(1, .protocolError))
        #expect(server.verdict() == .stream(.protocolError))
    }

    @Test func aHeadThatComesInPiecesIsOne() {
        let block = HPACK.block(get("/", [("a", "1"), ("cookie", "x"), ("cookie", "y")]))
        let cut = block.count / 2
        let bytes =
            RawFrame(.headers, RawFrame.endStream, 1, Array(block[..<cut])).bytes
            + RawFrame(.continuation, 0, 1, []).bytes
            + RawFrame(.continuation, RawFrame.endHeaders, 1, Array(block[cut...])).bytes
        let server = Peer.server()
        for (index, byte) in bytes.enumerated() {
            #expect(server.session.isMidFrame == (index > 0))
            #expect(server.receive([byte]))
        }
        #expect(!server.session.isMidFrame)
        let head = "GET / HTTP/1.1\r\nhost: a.example\r\na: 1\r\ncookie: x; y\r\n\r\n"
        #expect(server.takeSeen() == [.head(1, head, isEnd: true)])
    }

    @Test func severalHeadsInOneInputEachHaveTheirRange() {
        let server = Peer.server()
        server.receive(
            headers(1, get("/1")), headers(3, get("/2", [("host", "b")])), headers(5, get("/3")))
        #expect(
            server.takeSeen() == [
                .head(1, "GET /1 HTTP/1.1\r\nhost: a.example\r\n\r\n", isEnd: true),
                .badHead(3, .host, isEnd: true),
                .head(5, "GET /3 HTTP/1.1\r\nhost: a.example\r\n\r\n", isEnd: true),
            ])
    }
}
