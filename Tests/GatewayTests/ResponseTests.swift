import EventLoop
import Testing

@testable import Gateway

/// Responses: how they are delimited on both sides, and what happens to those that are not right.
@Suite struct ResponseTests {
    /// The whole of what a client gets for a request that is answered with `response` and, where
    /// `closes`, the connection's end.
    private func relayed(
        _ request: String, _ response: String, closes: Bool = false
    ) throws -> (text: String, ending: Peer.Ending) {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(request)
        client.shutdownWriting()
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(response)
        if closes { connection.close() }
        return client.readToEnd()
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let rule: String
        let request: String
        let response: String
        var closes = false
        let expected: String
        var testDescription: String { rule }
    }

    private static let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let old = "GET / HTTP/1.0\r\nHost: a\r\n\r\n"
    private static let oldKeepAlive = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"

    static let rows = [
        Row(
            rule: "a length passes", request: get(),
            response: "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nok",
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nok"),
        Row(
            rule: "chunks are written anew, extensions left out", request: get(),
            response: "HTTP/1.1 200 OK\r\nDate: d\r\ntransfer-encoding: Chunked\r\n\r\n"
                + "002;a=b\r\nok\r\n0;c\r\nX-T: 1\r\n\r\n",
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"),
        Row(
            rule: "a body that ends with the connection is chunked", request: get(),
            response: "HTTP/1.0 200 OK\r\nDate: d\r\n\r\nok", closes: true,
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2\r\nok\r\n0\r\n\r\n"),
        Row(
            rule: "an empty body that ends with the connection is chunked", request: get(),
            response: "HTTP/1.1 200 OK\r\nDate: d\r\n\r\n", closes: true,
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        Row(
            rule: "a client of HTTP/1.0 gets chunks unchunked, and the end", request: oldKeepAlive,
            response: "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\nConnection: close\r\n\r\nok"),
        Row(
            rule: "a client of HTTP/1.0 is told of the end", request: old,
            response: ok(),
            expected:
                "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
        Row(
            rule: "a client of HTTP/1.0 that keeps alive is told so", request: oldKeepAlive,
            response: ok(),
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n"
                + "Connection: keep-alive\r\n\r\nok"),
        Row(
            rule: "HEAD keeps the length and has no body", request: head,
            response: "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 500\r\n\r\n",
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 500\r\n\r\n"),
        Row(
            rule: "HEAD has no chunks", request: head,
            response: "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n",
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\n\r\n"),
        Row(
            rule: "HEAD without framing has no body", request: head,
            response: "HTTP/1.1 200 OK\r\nDate: d\r\n\r\n",
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\n\r\n"),
        Row(
            rule: "204 has no body", request: get(),
            response: "HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n",
            expected: "HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n"),
        Row(
            rule: "304 keeps the length and has no body", request: get(),
            response: "HTTP/1.1 304 Not Modified\r\nDate: d\r\nContent-Length: 9\r\n\r\n",
            expected: "HTTP/1.1 304 Not Modified\r\nDate: d\r\nContent-Length: 9\r\n\r\n"),
        Row(
            rule: "a length of zero passes", request: get(),
            response: "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 0\r\n\r\n",
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 0\r\n\r\n"),
        Row(
            rule: "hop-by-hop fields stay behind", request: get(),
            response: "HTTP/1.1 200 OK\r\nDate: d\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"
                + "Keep-Alive: 5\r\nUpgrade: h2c\r\nContent-Length: 2\r\nSet-Cookie: a\r\n"
                + "Set-Cookie: b\r\n\r\nok",
            expected: "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\nSet-Cookie: a\r\n"
                + "Set-Cookie: b\r\n\r\nok"),
        Row(
            rule: "the reason phrase passes, empty too", request: get(),
            response: "HTTP/1.1 299 \r\nDate: d\r\nContent-Length: 0\r\n\r\n",
            expected: "HTTP/1.1 299 \r\nDate: d\r\nContent-Length: 0\r\n\r\n"),
    ]

    @Test("A response is passed on byte for byte, delimited for its client", arguments: rows)
    func golden(_ row: Row) throws {
        let (text, ending) = try relayed(row.request, row.response, closes: row.closes)
        #expect(text == row.expected)
        #expect(ending == .closed)
    }

    @Test("A date is added where there is none")
    func date() throws {
        let text = try relayed(get(), "HTTP/1.1 204 No Content\r\n\r\n").text
        let date = try #require(text.value(of: "Date"))
        #expect(date.wholeMatch(of: /\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/) != nil)
    }

    @Test("A client of HTTP/1.0 is served again where it asks for that, refusals among it")
    func keepAliveForHTTP10() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(Self.oldKeepAlive)
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
        client.send("GET /%00 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        let refusal = client.readMessage()
        #expect(refusal.status == 400)
        #expect(refusal.contains("\r\nConnection: keep-alive\r\n"))
        #expect(client.exchange(over: connection, Self.old).status == 200)
        #expect(client.waitForEnd() == .closed)
    }

    static let truncated: [(response: String, body: String)] = [
        ("Content-Length: 10\r\n\r\nhalf", "half"),
        ("Content-Length: 10\r\n\r\n", ""),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "half"),
        ("Transfer-Encoding: chunked\r\n\r\na\r\nhalf", "half"),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", "half"),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nA: b\r\n", "half"),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n\r\n", "half"),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalfX", "half"),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nContent-Length: 4\r\n\r\n", "half"),
    ]

    @Test(
        "A response that is cut short or malformed ends by a reset, never as if it were whole",
        arguments: truncated, [get(), oldKeepAlive])
    func truncation(_ row: (response: String, body: String), _ request: String) throws {
        let (text, ending) = try relayed(
            request, "HTTP/1.1 200 OK\r\n\(row.response)", closes: true)
        #expect(ending == .reset)
        // A reset may overtake what was sent, and nothing but what was sent may be there.
        #expect(!text.hasSuffix("0\r\n\r\n"))
        #expect(text.isEmpty || text.status == 200)
    }

    @Test("A reset upstream is no end of a body", arguments: [get(), old])
    func resetUpstream(_ request: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(request)
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 200 OK\r\n\r\nhalf")
        #expect(client.read(through: "half").hasSuffix("half"))
        connection.reset()
        let (text, ending) = client.readToEnd()
        #expect(ending == .reset && !text.contains("0\r\n\r\n"))
    }

    static let malformed = [
        "x", "HTTP/1.1 200 OK\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 99 X\r\n\r\n",
        "HTTP/1.1 600 X\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\u{0}\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nA: " + filler(70_000) + "\r\n\r\n",
        String(repeating: "A: b\r\n", count: 300),
        "HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 300) + "\r\n",
    ]

    @Test(
        "A malformed or ambiguous head is 502, and its connection is not used again",
        arguments: malformed)
    func malformedHead(_ response: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, isLogging: true)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(response)
        let answer = client.readMessage()
        #expect(answer.status == 502)
        #expect(answer.contains("urn:bearward:problem:upstream_invalid"))
        #expect(connection.waitForEnd() != .open)
        client.send(get("/%00"))
        #expect(client.readStatus() == 400)
        #expect(try gateway.logLines().first?.contains(#""reason":"upstream_invalid""#) == true)
    }

    static let ended = ["", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"]

    @Test("A connection that ends before a head is 502 upstream_incomplete", arguments: ended)
    func endedEarly(_ response: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(response)
        connection.close()
        var answer = client.readMessage()
        if answer.status == 103 { answer = client.readMessage() }
        #expect(answer.status == 502)
        #expect(answer.contains("urn:bearward:problem:upstream_incomplete"))
    }

    @Test("A large response passes whole", arguments: [65_535, 65_536, 65_537, 3_000_000])
    func large(_ length: Int) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\n")
        let half = length / 2
        connection.send(Array(repeating: 0x61, count: half))
        _ = client.readHead()
        #expect(client.read(half).utf8.count == half)
        connection.send(Array(repeating: 0x62, count: length - half))
        #expect(client.read(length - half).utf8.allSatisfy { $0 == 0x62 })
        #expect(client.exchange(over: connection).status == 200)
    }
}
