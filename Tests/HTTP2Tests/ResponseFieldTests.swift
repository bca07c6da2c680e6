import Bytes
import Testing

@testable import HTTP2

/// What an upstream's header block becomes, or why it does not.
@Suite struct ResponseFieldTests {
    static let taken: [([(String, String)], String)] = [
        ([(":status", "200")], "HTTP/1.1 200 \r\n\r\n"),
        ([(":status", "404"), ("a", "b")], "HTTP/1.1 404 \r\na: b\r\n\r\n"),
        (
            [(":status", "200"), ("set-cookie", "a"), ("set-cookie", "b")],
            "HTTP/1.1 200 \r\nset-cookie: a\r\nset-cookie: b\r\n\r\n"
        ),
        // One field of that name has no meaning in a response, and is not joined.
        (
            [(":status", "200"), ("cookie", "a"), ("cookie", "b"), ("host", "h")],
            "HTTP/1.1 200 \r\ncookie: a\r\ncookie: b\r\nhost: h\r\n\r\n"
        ),
    ]

    @Test(arguments: taken.indices)
    func aWellFormedBlockIsAHeadOfHTTP1(row: Int) {
        let client = Peer.client()
        client.receive(headers(1, Self.taken[row].0, isEnd: false))
        #expect(client.takeSeen() == [.head(1, Self.taken[row].1, isEnd: false)])
    }

    static let malformed: [[(String, String)]] = [
        [], [("a", "b")], [(":status", "")], [(":status", "20")], [(":status", "2000")],
        [(":status", "abc")], [(":status", "2\r\n")], [(":status", "200"), (":status", "200")],
        [("a", "b"), (":status", "200")], [(":status", "101")],
        [(":status", "200"), (":path", "/")], [(":status", "200"), (":unknown", "a")],
        [(":status", "200"), ("A", "b")], [(":status", "200"), ("a b", "c")],
        [(":status", "200"), ("a", "b\r\nc: d")], [(":status", "200"), ("a", "b\u{0}")],
        [(":status", "200"), ("a", " b")],
        [(":status", "200"), ("transfer-encoding", "chunked")],
        [(":status", "200"), ("connection", "close")],
        [(":status", "200"), ("upgrade", "h2c")], [(":status", "200"), ("keep-alive", "a")],
        [(":status", "200"), ("content-length", "1"), ("content-length", "2")],
        [(":status", "200"), ("content-length", "x")],
        [(":status", "200"), ("a", String(repeating: "v", count: 16384))],
        [(":status", "200")] + (0..<101).map { ("f\($0)", "") },
    ]

    @Test(arguments: malformed.indices)
    func aMalformedBlockClosesTheStream(row: Int) {
        let client = Peer.client()
        client.receive(block(1, Self.malformed[row], isEnd: false))
        let seen = client.takeSeen()
        #expect(seen.count == 2, "\(Self.malformed[row])")
        if case .badHead(1, _, isEnd: false) = seen.first {} else { Issue.record("\(seen)") }
        #expect(seen.last == .closed(1, .protocolError))
        #expect(client.verdict() == .stream(.protocolError))
        #expect(client.isOpen)
        #expect(client.session.canOpenStream)
    }

    /// Bodies that are not what was announced are never whole (RFC 9113, section 8.1.1).
    @Test(arguments: [0, 4, 6])
    func aBodyOfAnotherLengthThanAnnouncedIsNoWholeBody(count: Int) {
        let client = Peer.client()
        client.receive(
            headers(1, [(":status", "200"), ("content-length", "5")], isEnd: false),
            RawFrame(.data, RawFrame.endStream, 1, [UInt8](repeating: 1, count: count)))
        _ = client.output()
        #expect(client.seen.last == .closed(1, .protocolError))
        #expect(!client.seen.contains(.end(1)))
    }

    @Test func theAnswerToHeadHasNoBodyWhateverItsLengthSays() {
        let client = Peer.client(method: "HEAD")
        client.receive(headers(1, [(":status", "200"), ("content-length", "5")]))
        #expect(
            client.takeSeen() == [
                .head(1, "HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\n", isEnd: true),
                .closed(1, .noError),
            ])
    }

    @Test func trailersComeAfterTheBody() {
        let client = Peer.client()
        client.receive(
            headers(1, [(":status", "200")], isEnd: false), RawFrame(.data, 0, 1, [1]),
            headers(1, [("grpc-status", "0")]))
        #expect(
            client.takeSeen() == [
                .head(1, "HTTP/1.1 200 \r\n\r\n", isEnd: false), .data(1, [1]),
                .trailers(1, "grpc-status: 0\r\n"), .closed(1, .noError),
            ])
    }

    @Test func interimHeadsMayComeSeveralTimes() {
        let client = Peer.client()
        client.receive(
            headers(1, [(":status", "100")], isEnd: false),
            headers(1, [(":status", "103"), ("a", "b")], isEnd: false),
            headers(1, [(":status", "200")]))
        #expect(
            client.takeSeen() == [
                .head(1, "HTTP/1.1 100 \r\n\r\n", isEnd: false),
                .head(1, "HTTP/1.1 103 \r\na: b\r\n\r\n", isEnd: false),
                .head(1, "HTTP/1.1 200 \r\n\r\n", isEnd: true), .closed(1, .noError),
            ])
    }

    static let pushes: [[RawFrame]] = [
        [RawFrame(.pushPromise, RawFrame.endHeaders, 1, octets(2) + HPACK.block(get()))],
        [
            RawFrame(.pushPromise, RawFrame.endHeaders, 1, octets(2) + HPACK.block(get())),
            headers(2, [(":status", "200")]),
        ],
    ]

    @Test(arguments: pushes.indices, [true, false])
    func pushedStreamsAreRefused(row: Int, isAcknowledged: Bool) {
        let client = Peer(.client)
        client.receive(RawFrame(.settings))
        if isAcknowledged { client.receive(RawFrame(.settings, RawFrame.ack)) }
        _ = client.session.request("GET / HTTP/1.1\r\nHost: x\r\n\r\n", isEnd: true)
        _ = client.output()
        client.seen = []
        client.receive(Self.pushes[row].flatMap(\.bytes))
        #expect(client.takeSeen() == [])
        if isAcknowledged {
            #expect(client.verdict() == .connection(.protocolError))
        } else {
            guard case .stream = client.verdict() else { return #expect(Bool(false)) }
        }
    }

    static let noHeads = [
        "", "GET", "GET /", "GET / HTTP/1.1", " / HTTP/1.1\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA\r\n\r\n", "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b", "GET / HTTP/1.1\r\nA: b\n\r\n", "GET / HTTP/1.1\r\nA : b\r\n\r\n",
    ]

    @Test(arguments: noHeads)
    func whatIsNoHeadIsNotSent(head: String) {
        let client = Peer(.client)
        #expect(client.session.request(head, isEnd: true) == nil)
        #expect(client.session.openStreams == 0)
        let server = Peer.server()
        server.receive(headers(1, get()))
        let stream = server.handles[1] ?? HTTP2StreamHandle(id: 0, slot: 0)
        server.session.respond(stream, head, isEnd: false)
        #expect(server.verdict() == .stream(.internalError))
    }

    @Test func secretsAreNeverIndexed() throws {
        let client = Peer(.client)
        let head = """
            GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nCookie: b\r\nAccept: c\r\n\r

            """
        _ = client.session.request(head, isEnd: true)
        _ = client.output()
        _ = client.session.request(head, isEnd: true)
        let second = try #require(client.frames().first { $0.kind == .headers })
        // Never indexed, name 23 (`authorization`) and 32 (`cookie`) of the static table (RFC
        // 7541, section 6.2.3).
        #expect(second.payload.contains([0x1f, 8]))
        #expect(second.payload.contains([0x1f, 17]))
    }
}
