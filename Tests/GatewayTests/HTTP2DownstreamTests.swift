import EventLoop
import HTTP2
import Testing

@testable import Gateway

/// Requests on streams, to an upstream of HTTP/1.1.
@Suite struct HTTP2DownstreamTests {
    @Test("A request without a body gets its response")
    func exchange() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let stream = try client.request(get("/a?b", "X-A: 1\r\n"))
        let connection = try upstream.accept()
        let head = connection.readHead()
        #expect(head.hasPrefix("GET /a?b HTTP/1.1\r\nHost: a\r\n"))
        #expect(head.contains("x-a: 1\r\n"))
        #expect(head.contains("Via: 2.0 bearward\r\n"))
        #expect(!head.lowercased().contains("transfer-encoding"))
        connection.send(ok("body"))
        let message = client.readMessage(stream)
        #expect(message.head.hasPrefix("HTTP/1.1 200 \r\n"))
        #expect(message.body == "body")
    }

    @Test("Streams are answered in whatever order their upstreams answer")
    func order() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let first = try client.request(get("/1"))
        let second = try client.request(get("/2"))
        var connections: [String: Peer] = [:]
        for _ in 0..<2 {
            let connection = try upstream.accept()
            connections[String(connection.readHead().prefix(6))] = connection
        }
        connections["GET /2"]?.send(ok("two"))
        #expect(client.readMessage(second).body == "two")
        #expect(client[first].head.isEmpty)
        connections["GET /1"]?.send(ok("one"))
        #expect(client.readMessage(first).body == "one")
    }

    @Test("A body and its trailers go on in chunks, and come back as such")
    func trailers() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let stream = try client.request(
            "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n", isEnd: false)
        client.write(stream, "hello")
        client.end(stream, "X-Sum: 1\r\nX-User: mallory\r\n")
        let connection = try upstream.accept()
        let head = connection.readHead()
        #expect(head.contains("Transfer-Encoding: chunked\r\n"))
        #expect(head.contains("TE: trailers\r\nConnection: TE\r\n"))
        #expect(connection.read(through: "0\r\n") == "5\r\nhello\r\n0\r\n")
        #expect(connection.read(through: "\r\n\r\n") == "x-sum: 1\r\n\r\n")
        connection.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-End: y\r\n\r\n")
        let message = client.readMessage(stream)
        #expect(message.body == "ok")
        #expect(message.trailers == "x-end: y\r\n")
    }

    @Test("A refusal does not wait for the body, and leaves its client the time to read it")
    func refusal() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try guardedGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let stream = try client.request(post(100), isEnd: false)
        #expect(client.readMessage(stream).head.status == 401)
        let next = try client.request(get("/", "Authorization: Bearer \(token())\r\n"))
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readMessage(next).head.status == 200)
        // A reset would have come first.
        #expect(client[stream].code == nil)
        client.write(stream, String(repeating: "x", count: 100))
        client.end(stream)
        #expect(client.readEnd(stream) == .noError)
    }

    @Test("The rest of a refused request is not waited for without end")
    func unendedRefusal() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try guardedGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let stream = try client.request(post(100_000), isEnd: false)
        client.write(stream, String(repeating: "x", count: 100_000))
        #expect(client.readMessage(stream).head.status == 401)
        #expect(client.readEnd(stream) == .noError)
    }

    /// A gateway that wants a token for every path.
    private func guardedGateway(to upstream: ScriptedUpstream) throws -> RunningGateway {
        try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["\#(upstream.url)"]}}"#,
                routes: #"[{"path":"/**","upstream":"up"}]"#))
    }

    @Test("A body of another length than announced never looks whole to the upstream")
    func shortBody() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let stream = try client.request(post(10), isEnd: false)
        let connection = try upstream.accept()
        #expect(connection.readHead().contains("Content-Length: 10\r\n"))
        client.write(stream, "12345")
        client.end(stream)
        #expect(client.readEnd(stream) == .protocolError)
        #expect(connection.readToEnd().text == "12345")
    }

    @Test(
        "Trailers that say anew what was checked end the request",
        arguments: ["authorization: Bearer x\r\n", "content-length: 1\r\n", "trailer: a\r\n"])
    func forbiddenTrailers(_ line: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let stream = try client.request("POST / HTTP/1.1\r\nHost: a\r\n\r\n", isEnd: false)
        let connection = try upstream.accept()
        _ = connection.readHead()
        client.write(stream, "x")
        client.end(stream, line)
        client.wait { client[stream].head.status == 400 || client[stream].code != nil }
        #expect(client[stream].head.status == 400 || client[stream].code != 0)
        #expect(!connection.readToEnd().text.contains("0\r\n\r\n"))
    }

    @Test("A stream that its client resets takes its upstream connection along, and no other")
    func reset() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, isLogging: true)
        let client = try gateway.connectHTTP2()
        let first = try client.request(get("/1"))
        let one = try upstream.accept()
        _ = one.readHead()
        let second = try client.request(get("/2"))
        let two = try upstream.accept()
        _ = two.readHead()
        client.reset(first, .cancel)
        #expect(one.waitForEnd() != .open)
        two.send(ok())
        #expect(client.readMessage(second).body == "ok")
        let lines = try gateway.logLines()
        #expect(lines.count == 2)
        #expect(lines[0].contains(#""reason":"client_closed""#))
        #expect(lines[1].contains(#""status":200"#))
    }

    @Test("A response cut short at the upstream is reset, not ended")
    func cutShort() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let stream = try client.request(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        client.wait { client[stream].body == "12345" }
        connection.close()
        #expect(client.readEnd(stream) != .noError)
        #expect(!client[stream].isEnded)
    }

    // MARK: Bodies and windows

    @Test("A body that its upstream does not take is held within the stream's window")
    func heldBody() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, upstreamSettings: #""maxConnections":1"#)
        let client = try gateway.connectHTTP2()
        let first = try client.request(get("/1"))
        let connection = try upstream.accept()
        _ = connection.readHead()
        // Waits for the only connection.
        let second = try client.request(post(200_000), isEnd: false)
        let body = filler(200_000)
        client.write(second, body)
        client.end(second)
        client.wait(within: 100) { false }
        #expect(client.session.buffered(try #require(client.handle(second))) == 200_000 - 65535)
        connection.send(ok())
        #expect(client.readMessage(first).body == "ok")
        client.wait(within: 1000) { connection.hasInput(within: 0) }
        #expect(connection.readHead().contains("Content-Length: 200000\r\n"))
        var received = ""
        while received.utf8.count < 200_000 {
            client.wait(within: 50) { connection.hasInput(within: 0) }
            guard connection.hasInput(within: 1000), let some = connection.readSome(within: 0)
            else { break }
            received += String(decoding: some, as: UTF8.self)
        }
        #expect(received == body)
        connection.send(ok("done"))
        #expect(client.readMessage(second).body == "done")
    }

    @Test("A request that waits for a connection is refused in time, though its body trickles in")
    func waitWithBody() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream,
            upstreamSettings: #""maxConnections":1,"timeouts":{"connect":"300ms"}"#)
        let client = try gateway.connectHTTP2()
        _ = try client.request(get("/1"))
        let connection = try upstream.accept()
        _ = connection.readHead()
        let second = try client.request(post(100), isEnd: false)
        client.write(second, "x")
        client.wait(within: 3000) { !client[second].head.isEmpty }
        #expect(client[second].head.status == 503)
        connection.close()
    }

    @Test(
        "A client that leaves the rest of a response lying is reset alone",
        arguments: [false, true])
    func restLeftLying(isLastPart: Bool) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""timeouts":{"body":"1s"}"#)
        let client = try gateway.connectHTTP2(window: 65535)
        client.consumes = false
        let stream = try client.request(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok(filler(160_000)))
        client.wait { client[stream].body.utf8.count == 65535 }
        if isLastPart {
            // Down to the last bytes, which are below the mark at which more would be made.
            client.consume(stream, 65535)
            client.wait { client[stream].body.utf8.count == 131_070 }
            client.consume(stream, 16384)
            client.wait(within: 100) { client[stream].body.utf8.count > 140_000 }
        }
        #expect(client.readEnd(stream) == (isLastPart ? .cancel : .internalError))
        client.consumes = true
        let next = try client.request(get("/2"))
        let other = try upstream.acceptIfAny(within: 200) ?? connection
        _ = other.readHead()
        other.send(ok())
        #expect(client.readMessage(next).body == "ok")
    }

    // MARK: The connection

    @Test("A preface may come in pieces", arguments: [1, 2, 3])
    func splitPreface(_ count: Int) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let peer = try gateway.connect()
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        peer.send(String(preface.prefix(count)))
        #expect(!peer.hasInput(within: 50))
        peer.send(String(preface.dropFirst(count)))
        peer.send([0, 0, 0, 4, 0, 0, 0, 0, 0])
        #expect(peer.hasInput(within: Peer.patience))
    }

    @Test(
        "A client that ends in the middle of the preface is let go of at once", arguments: [1, 3])
    func endInPreface(_ count: Int) throws {
        let gateway = try publicGateway(to: try ScriptedUpstream())
        let peer = try gateway.connect()
        peer.send(String("PRI".prefix(count)))
        peer.shutdownWriting()
        #expect(peer.waitForEnd(within: 3000) != .open)
    }

    @Test("A connection that says goodbye still counts until it is gone")
    func lingering() throws {
        let gateway = try publicGateway(
            to: try ScriptedUpstream(), more: #""limits":{"connections":1}"#)
        let first = try gateway.connect()
        // DATA on no stream.
        first.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0])
        first.send([0, 0, 1, 0, 0, 0, 0, 0, 0, 1])
        #expect(first.waitForEnd() == .closed)
        let second = try gateway.connect()
        #expect(second.readHead().status == 503)
        first.close()
        var third = try gateway.connect()
        for _ in 0..<100 where third.hasInput(within: 20) { third = try gateway.connect() }
        #expect(!third.hasInput(within: 20))
    }

    @Test("A draining server says so, answers what is under way, and ends")
    func drain() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let stream = try client.request(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        gateway.tellAll(.drain)
        client.wait { client.goAways.count == 2 }
        #expect(client.goAways == [.max, stream])
        connection.send(ok())
        #expect(client.readMessage(stream).body == "ok")
        #expect(client.peer.waitForEnd() == .closed)
        client.peer.close()
        gateway.join()
        #expect(gateway.endedWorkers == 1)
    }

    @Test("A request that was on its way as the server began to drain is answered")
    func drainRace() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        client.wait { client.hasSettings }
        gateway.tellAll(.drain)
        // Sent before the GOAWAY was read.
        #expect(client.peer.hasInput(within: Peer.patience))
        let stream = try client.request(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readMessage(stream).body == "ok")
        client.peer.close()
        gateway.join()
        #expect(gateway.endedWorkers == 1)
    }
}
