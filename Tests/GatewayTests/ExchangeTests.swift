import EventLoop
import Testing

@testable import Gateway

/// How a request and its response go together: who speaks first, who leaves, what is read past.
@Suite struct ExchangeTests {
    // MARK: Responses that come early

    @Test(
        "A response before the body's end is passed on; a short rest is read past",
        arguments: [
            1, 60_000,
        ])
    func earlyResponse(_ rest: Int) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(post(5 + rest) + "hello")
        let connection = try upstream.accept()
        _ = connection.readHead()
        #expect(connection.read(5) == "hello")
        connection.send(ok("early"))
        let response = client.readMessage()
        #expect(response.hasSuffix("early"))
        #expect(!response.contains("Connection: close"))
        // The upstream never gets the rest, so its connection cannot be used again.
        #expect(connection.waitForEnd() != .open)
        client.send([UInt8](repeating: 0x61, count: rest))
        client.send(get("/next"))
        let next = try upstream.accept()
        #expect(next.readHead().hasPrefix("GET /next "))
        next.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test(
        "A response before the body's end ends the connection where the rest is long",
        arguments: [
            post(1_000_000), post(65_542),
        ])
    func earlyResponseToLongBody(_ head: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(head + "hello")
        let connection = try upstream.accept()
        _ = connection.readHead()
        #expect(connection.read(5) == "hello")
        connection.send(ok("early"))
        let response = client.readMessage()
        #expect(response.hasSuffix("early") && response.contains("\r\nConnection: close\r\n"))
        #expect(client.waitForEnd() == .closed)
    }

    @Test("A connection that was said to end does, though the body came whole after that")
    func announcedCloseIsKept() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(post(200_000) + "hello")
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nea")
        #expect(client.readHead().contains("\r\nConnection: close\r\n"))
        client.send([UInt8](repeating: 0x61, count: 199_995))
        #expect(connection.read(200_000).utf8.count == 200_000)
        connection.send("rly")
        #expect(client.read(5) == "early")
        #expect(client.waitForEnd() == .closed)
    }

    @Test("A response goes on while its request goes on, both longer than timeouts.body")
    func bothDirections() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""timeouts":{"body":"1s"}"#)
        let client = try gateway.connect()
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        _ = client.readHead()
        // The client is silent for longer than its deadline, but its response is not.
        for _ in 0..<12 {
            connection.send("1\r\nx\r\n")
            #expect(client.read(6) == "1\r\nx\r\n")
            #expect(!client.hasInput(within: 150))
        }
        client.send("2\r\nhi\r\n0\r\n\r\n")
        #expect(connection.read(through: "0\r\n\r\n") == "2\r\nhi\r\n0\r\n\r\n")
        connection.send("0\r\n\r\n")
        #expect(client.read(through: "0\r\n\r\n") == "0\r\n\r\n")
        #expect(client.exchange(over: connection).status == 200)
    }

    @Test("A response that was sent before a reset arrives")
    func responseBeforeReset() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(post(50_000_000))
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.close()
        #expect(client.readMessage().status == 413)
    }

    // MARK: Interim responses

    @Test("100 (Continue) and other interim responses reach a client of HTTP/1.1")
    func interim() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(post(5, "Expect: 100-Continue\r\n"))
        let connection = try upstream.accept()
        #expect(connection.readHead().contains("\r\nExpect: 100-Continue\r\n"))
        connection.send("HTTP/1.1 100 Continue\r\nConnection: x-y\r\nX-Y: 1\r\nA: b\r\n\r\n")
        #expect(client.readHead() == "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n")
        client.send("hello")
        #expect(connection.read(5) == "hello")
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + ok())
        #expect(client.readHead() == "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        #expect(client.readHead() == "HTTP/1.1 102 P\r\n\r\n")
        #expect(client.readStatus() == 200)
        #expect(client.exchange(over: connection).status == 200)
    }

    @Test("A client of HTTP/1.0 gets no interim response, and its expectation goes no further")
    func interimForHTTP10() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(
            "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
        let connection = try upstream.accept()
        #expect(!connection.readHead().contains("Expect"))
        #expect(connection.read(5) == "hello")
        connection.send("HTTP/1.1 100 Continue\r\n\r\n" + ok())
        #expect(client.readMessage().status == 200)
    }

    @Test(
        "A client that waits for 100 and is refused keeps its body: the connection ends",
        arguments: [
            ("/nowhere", 404), ("/closed", 401), ("/%00", 400),
        ])
    func refusedExpectation(_ path: String, _ status: Int) throws {
        let gateway = try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["http://127.0.0.1:9"]}}"#,
                routes: #"[{"path":"/closed","upstream":"up"}]"#))
        let client = try gateway.connect()
        client.send(
            "POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        let answer = client.readMessage()
        #expect(answer.status == status)
        #expect(answer.contains("\r\nConnection: close\r\n"))
        #expect(client.waitForEnd() == .closed)
    }

    // MARK: Refused bodies

    /// A gateway where every path but `/open` is refused, and its upstream.
    private func refusing() throws -> (RunningGateway, ScriptedUpstream) {
        let upstream = try ScriptedUpstream()
        return (
            try RunningGateway(
                proxyJSON(
                    upstreams: #"{"up":{"endpoints":["\#(upstream.url)"]}}"#,
                    routes: #"[{"path":"/open","access":"public","maxBody":"8B","upstream":"up"}]"#)
            ),
            upstream
        )
    }

    @Test(
        "The body of a refused request is read past up to 64 KiB; the next request is served",
        arguments: [1, 1000, 65_535, 65_536])
    func shortRefusedBody(_ length: Int) throws {
        let (gateway, _) = try refusing()
        let client = try gateway.connect()
        client.send(post(length))
        let answer = client.readMessage()
        #expect(answer.status == 404)
        #expect(!answer.contains("Connection: close"))
        client.send([UInt8](repeating: 0x61, count: length))
        client.send(get("/next"))
        #expect(client.readStatus() == 404)
    }

    @Test(
        "A longer body ends the connection, in order, with the answer read before",
        arguments: [
            65_537, 500_000,
        ])
    func longRefusedBody(_ length: Int) throws {
        let (gateway, _) = try refusing()
        let client = try gateway.connect()
        client.send(post(length))
        client.send([UInt8](repeating: 0x61, count: length))
        client.send(get("/next"))
        let answer = client.readMessage()
        #expect(answer.status == 404)
        #expect(answer.contains("\r\nConnection: close\r\n"))
        #expect(client.readToEnd().text == "")
    }

    @Test("A refused chunked body is read past too, and ends the connection when it grows")
    func refusedChunks() throws {
        let (gateway, _) = try refusing()
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let short = try gateway.connect()
        short.send(head + "5\r\nhello\r\n0\r\nA: b\r\n\r\n" + get())
        #expect(short.readStatus() == 404)
        #expect(short.readStatus() == 404)
        let long = try gateway.connect()
        long.send(head + "10001\r\n")
        #expect(long.readStatus() == 404)
        long.send([UInt8](repeating: 0x61, count: 65_537))
        #expect(long.waitForEnd() != .open)
        let malformed = try gateway.connect()
        malformed.send(head + "x\r\n\r\n" + get())
        #expect(malformed.readStatus() == 404)
        #expect(malformed.readToEnd().text == "")
    }

    static let tooLong: [(String, isForwarded: Bool)] = [
        ("Content-Length: 9\r\n\r\n", false), ("Content-Length: 9\r\n\r\nninebytes", false),
        ("Content-Length: 999999999999999999\r\n\r\n", false),
        ("Transfer-Encoding: chunked\r\n\r\n9\r\nninebytes\r\n0\r\n\r\n", true),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n4\r\noooo\r\n", true),
    ]

    @Test(
        "A body above maxBody is 413, and a chunked one never whole at the upstream",
        arguments: tooLong)
    func maxBody(_ rest: String, _ isForwarded: Bool) throws {
        let (gateway, upstream) = try refusing()
        let client = try gateway.connect()
        client.send("POST /open HTTP/1.1\r\nHost: a\r\n" + rest)
        if isForwarded {
            let connection = try upstream.accept()
            #expect(!connection.readToEnd().text.contains("\r\n0\r\n\r\n"))
        }
        #expect(client.readStatus() == 413)
        #expect(try upstream.acceptIfAny(within: 0) == nil)
    }

    @Test(
        "A body of exactly maxBody passes",
        arguments: [
            "Content-Length: 8\r\n\r\neightoct",
            "Transfer-Encoding: chunked\r\n\r\n8\r\neightoct\r\n0\r\n\r\n",
        ])
    func exactlyMaxBody(_ rest: String) throws {
        let (gateway, upstream) = try refusing()
        let client = try gateway.connect()
        client.send("POST /open HTTP/1.1\r\nHost: a\r\n" + rest)
        let connection = try upstream.accept()
        #expect(connection.read(through: "eightoct").hasSuffix("eightoct"))
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    static let malformedChunks = [
        "x\r\n", "5\r\nhelloX", "5\nhello", "-1\r\n", "0x5\r\nhello\r\n", "ffffffffffffffff\r\n",
        "0\r\nA b\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n", "0\r\nAuthorization: x\r\n\r\n",
        "0\r\n a: b\r\n\r\n",
    ]

    @Test(
        "A malformed body is 400, ends both connections, and is never whole at the upstream",
        arguments: malformedChunks)
    func malformedBody(_ chunks: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        let connection = try upstream.accept()
        _ = connection.readHead()
        client.send(chunks + get("/smuggled"))
        #expect(client.readStatus() == 400)
        #expect(client.readToEnd().text == "")
        let received = connection.readToEnd()
        #expect(!received.text.contains("0\r\n\r\n") && !received.text.contains("smuggled"))
        #expect(try upstream.acceptIfAny(within: 0) == nil)
    }

    @Test("Trailers that may not come from clients stay behind")
    func requestTrailers() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
                + "X-A: b\r\nX_User: root\r\nX-Forwarded-User: root\r\nX-C: d\r\n\r\n")
        let connection = try upstream.accept()
        _ = connection.readHead()
        #expect(connection.read(through: "\r\n\r\n") == "0\r\nX-A: b\r\nX-C: d\r\n\r\n")
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    // MARK: Clients that leave

    @Test(
        "A client that leaves takes its request along",
        arguments: [
            get(), post(5), post(5) + "he",
        ])
    func clientLeaves(_ request: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, isLogging: true)
        let client = try gateway.connect()
        client.send(request)
        let connection = try upstream.accept()
        _ = connection.readHead()
        client.reset()
        #expect(connection.waitForEnd() != .open)
        let lines = try gateway.logLines()
        #expect(lines.count == 1)
        #expect(lines.first?.contains(#""status":0"#) == true)
        #expect(lines.first?.contains(#""reason":"client_closed""#) == true)
    }

    @Test("A client that ended its direction still gets its response")
    func halfClosedClient() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(post(5) + "hello")
        client.shutdownWriting()
        let connection = try upstream.accept()
        _ = connection.readHead()
        #expect(connection.read(5) == "hello")
        connection.send(ok("late"))
        let (text, ending) = client.readToEnd()
        #expect(text.hasSuffix("late") && ending == .closed)
    }

    @Test(
        "A body that ends too early never looks whole",
        arguments: [
            post(10) + "short",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        ])
    func truncatedRequest(_ request: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(request)
        let connection = try upstream.accept()
        _ = connection.readHead()
        #expect(connection.read(through: "short").hasSuffix("short"))
        client.shutdownWriting()
        #expect(!connection.readToEnd().text.contains("0\r\n\r\n"))
        #expect(client.waitForEnd() != .open)
    }

    // MARK: Slow peers

    @Test("A client that does not read stops its response; little of it is held")
    func slowReader() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect(receiveBuffer: 4096)
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        let total = 64 << 20
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
        let block = [UInt8](repeating: 0x61, count: 65_536)
        let taken = connection.flood(block, for: 300, atMost: total)
        #expect(taken < total / 2, "the proxy took everything")
        // What was taken beyond the kernel's buffers is the proxy's; then all of it goes on.
        _ = client.readHead()
        #expect(client.read(taken).utf8.count == taken)
        client.reset()
        #expect(connection.flood(block, for: 2000, atMost: total) < total - taken)
    }

    @Test("An upstream that does not read stops the request's body")
    func slowUpstream() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        let total = 64 << 20
        client.send(post(total))
        let connection = try upstream.accept()
        _ = connection.readHead()
        let block = [UInt8](repeating: 0x61, count: 65_536)
        let taken = client.flood(block, for: 300, atMost: total)
        #expect(taken < total / 2)
        #expect(connection.read(taken).utf8.count == taken)
        client.send([UInt8](repeating: 0x61, count: 1000))
        #expect(connection.read(1000).utf8.count == 1000)
    }
}
