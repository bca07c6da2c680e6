import Testing

@testable import Gateway

/// What arrives in two pieces is what would have arrived in one, wherever it is cut.
@Suite struct SplitTests {
    /// Sends a text in two pieces. The answer to the probe on another connection, which the same
    /// worker serves, shows that the first piece was read before the second came.
    private func send(
        _ text: String, cutAt offset: Int, from peer: Peer, _ probe: Peer
    ) {
        let bytes = Array(text.utf8)
        peer.send(Array(bytes[..<offset]))
        probe.send(get("/%00"))
        #expect(probe.readStatus() == 400)
        peer.send(Array(bytes[offset...]))
    }

    static let requests = [
        get("/x?y", "X-A: b\r\nX-Request-Id: r1\r\n"),
        "\r\n\r\n" + get("/x", "X-Request-Id: r1\r\n"),
        post(5, "X-Request-Id: r1\r\n") + "hello",
        "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: r1\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: t\r\n\r\n",
    ]

    @Test("A request is forwarded alike, wherever it is cut", arguments: requests)
    func request(_ request: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let (client, probe) = (try gateway.connect(), try gateway.connect())
        client.send(request)
        let connection = try upstream.accept()
        var whole = connection.readHead()
        let body = request.contains("chunked") ? "hello" : ""
        whole += request.hasPrefix("POST") ? self.body(connection, whole) : ""
        #expect(whole.contains(body))
        connection.send(ok())
        #expect(client.readStatus() == 200)
        for offset in 1..<request.utf8.count {
            send(request, cutAt: offset, from: client, probe)
            let head = connection.readHead()
            let received = head + (request.hasPrefix("POST") ? self.body(connection, head) : "")
            #expect(received == whole, "cut at \(offset)")
            connection.send(ok())
            #expect(client.readStatus() == 200, "cut at \(offset)")
        }
    }

    /// The body as data and trailers, since the pieces decide about the chunks.
    private func body(_ connection: Peer, _ head: String) -> String {
        if !head.contains("chunked") {
            return connection.read(Int(head.value(of: "Content-Length") ?? "") ?? 0)
        }
        return unchunked(connection)
    }

    private func unchunked(_ peer: Peer) -> String {
        var data = ""
        while let size = Int(peer.read(through: "\r\n").dropLast(), radix: 16), size > 0 {
            data += peer.read(size)
            #expect(peer.read(2) == "\r\n")
        }
        var line = peer.read(through: "\r\n")
        while line != "\r\n", !line.isEmpty {
            data += line
            line = peer.read(through: "\r\n")
        }
        return data
    }

    static let responses = [
        ok("hello", "X-A: b\r\n"),
        "HTTP/1.1 200\r\nDate: d\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok("hello"),
        "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: t\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n",
    ]

    @Test("A response is passed on alike, wherever it is cut", arguments: responses)
    func response(_ response: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let (client, probe) = (try gateway.connect(), try gateway.connect())
        var connection: Peer?
        var whole: String?
        for offset in 0..<response.utf8.count {
            client.send(get())
            let upstreamPeer = try connection ?? upstream.accept()
            connection = upstreamPeer
            _ = upstreamPeer.readHead()
            send(response, cutAt: offset, from: upstreamPeer, probe)
            var received = client.readHead()
            var last = received
            if received.status == 103 {
                last = client.readHead()
                received += last
            }
            if last.contains("chunked") {
                received += unchunked(client)
            } else {
                received += client.read(Int(last.value(of: "Content-Length") ?? "") ?? 0)
            }
            if let whole {
                #expect(received == whole, "cut at \(offset)")
            } else {
                whole = received
            }
        }
        #expect(whole?.contains("Date: d") == true)
        #expect(try upstream.acceptIfAny(within: 0) == nil)
    }

    static let badRequests: [(String, Int)] = [
        ("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417),
    ]

    @Test("A refusal is the same, wherever the request is cut", arguments: badRequests)
    func refusal(_ request: String, _ status: Int) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let probe = try gateway.connect()
        for offset in 0..<request.utf8.count {
            let client = try gateway.connect()
            send(request, cutAt: offset, from: client, probe)
            #expect(client.readStatus() == status, "cut at \(offset)")
        }
        #expect(try upstream.acceptIfAny(within: 0) == nil)
    }

    @Test(
        "A response's head may be as long as 64 KiB, whatever the limit of requests, cut or not",
        arguments: [0, 500, 1023, 1024, 1025, 3000])
    func longResponseHead(_ offset: Int) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, more: #""limits":{"requestHead":"1KiB","requestFields":10}"#)
        let (client, probe) = (try gateway.connect(), try gateway.connect())
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        let cookies = (0..<40).map { "Set-Cookie: c\($0)=\(filler(96))\r\n" }.joined()
        send(ok("ok", cookies), cutAt: offset, from: connection, probe)
        #expect(client.readMessage().hasSuffix("\(cookies)\r\nok"))
    }

    // MARK: Several requests at once

    @Test("Pipelined requests are answered in order, each by its own rules")
    func pipelining() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["\#(upstream.url)"]}}"#,
                routes: """
                    [{"path":"/open/**","access":"public","upstream":"up"},
                     {"path":"/closed/**","upstream":"up"}]
                    """))
        let client = try gateway.connect()
        client.send(
            get("/open/1") + get("/closed/2") + get("/nowhere")
                + "POST /open/3 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                + "POST /closed/4 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                + get("/open/5", "Connection: close\r\n") + get("/open/6"))
        let connection = try upstream.accept()
        #expect(connection.readHead().hasPrefix("GET /open/1 "))
        #expect(!connection.hasInput(within: 20))
        connection.send(ok("1"))
        #expect(connection.readHead().hasPrefix("POST /open/3 "))
        #expect(connection.read(3) == "abc")
        connection.send(ok("3"))
        #expect(connection.readHead().hasPrefix("GET /open/5 "))
        connection.send(ok("5"))
        #expect(client.readMessage().hasSuffix("1"))
        #expect(client.readStatus() == 401)
        #expect(client.readStatus() == 404)
        #expect(client.readMessage().hasSuffix("3"))
        #expect(client.readStatus() == 401)
        let last = client.readMessage()
        #expect(last.contains("\r\nConnection: close\r\n") && last.hasSuffix("5"))
        #expect(client.waitForEnd() == .closed)
        #expect(!connection.hasInput(within: 20))
    }

    @Test("Pipelined requests are answered though the client has ended its direction")
    func pipeliningHalfClosed() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get("/1") + get("/2") + get("/3"))
        client.shutdownWriting()
        let connection = try upstream.accept()
        for number in 1...3 {
            #expect(connection.readHead().hasPrefix("GET /\(number) "))
            connection.send(ok("\(number)"))
            #expect(client.readMessage().hasSuffix("\(number)"))
        }
        #expect(client.waitForEnd() == .closed)
    }

    @Test(
        "A client that pipelines and does not read is answered in full when it reads",
        arguments: [false, true])
    func pipeliningWithoutReading(_ endsItsDirection: Bool) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, more: #""limits":{"requestHead":"1KiB","requestFields":10}"#)
        let client = try gateway.connect(receiveBuffer: 4096)
        let request = Array(get("/%00", "X-Pad: \(filler(896))\r\n").utf8)
        let block = Array(repeatElement(request, count: 64).joined())
        // The proxy stops reading once its answers are not taken: not everything goes in.
        let most = 64 << 20
        let sent = client.flood(block, for: 200, atMost: most)
        #expect(sent < most)
        if endsItsDirection { client.shutdownWriting() }
        for number in 0..<sent / request.count {
            let status = client.readStatus()
            try #require(status == 400, "answer \(number) of \(sent / request.count)")
        }
        if endsItsDirection {
            #expect(client.readToEnd() == ("", .closed))
        } else {
            client.send(Array(request[(sent % request.count)...]))
            #expect(client.readStatus() == 400)
        }
    }
}
