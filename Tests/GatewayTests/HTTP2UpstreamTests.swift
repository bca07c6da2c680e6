import EventLoop
import HTTP2
import Testing

@testable import Gateway

/// Requests to an upstream of HTTP/2, from clients of HTTP/1.1 for the most part.
@Suite struct HTTP2UpstreamTests {
    /// A gateway with one client's request on its way to an upstream.
    private final class Case {
        let upstream: ScriptedUpstream
        let gateway: RunningGateway
        let client: Peer
        let connection: HTTP2Peer

        init(
            _ request: String = get(), streams: Int = 100, window: Int = 65535,
            settings: String = "", more: String = "", isLogging: Bool = false
        ) throws {
            upstream = try ScriptedUpstream()
            gateway = try h2cGateway(
                to: upstream, upstreamSettings: settings, more: more, isLogging: isLogging)
            client = try gateway.connect()
            client.send(request)
            connection = try upstream.acceptHTTP2(streams: streams, window: window)
        }

        /// A whole exchange, so that the connection has served one.
        func serveOne() throws {
            connection.answer(try connection.nextRequest())
            #expect(client.readMessage().status == 200)
        }
    }

    @Test("A request and its response are the same in either version")
    func exchange() throws {
        let test = try Case(get("/a?b", "X-A: 1\r\nTE: trailers\r\nConnection: TE\r\n"))
        let stream = try test.connection.nextRequest()
        let head = test.connection[stream].head
        #expect(head.hasPrefix("GET /a?b HTTP/1.1\r\nhost: a\r\n"))
        #expect(head.contains("x-a: 1\r\n"))
        #expect(head.contains("te: trailers\r\n"))
        #expect(!head.contains("connection:"))
        test.connection.answer(stream, "body")
        let response = test.client.readMessage()
        #expect(response.status == 200)
        #expect(response.hasSuffix("body"))
    }

    @Test("Requests that come while a connection is opened share it")
    func sharedDial() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try h2cGateway(to: upstream)
        let clients = try (0..<8).map { _ in try gateway.connect() }
        for (number, client) in clients.enumerated() { client.send(get("/\(number)")) }
        let connection = try upstream.acceptHTTP2()
        for _ in clients {
            let stream = try connection.nextRequest()
            let path = connection[stream].head.split(separator: " ")[1]
            connection.answer(stream, String(path))
        }
        for (number, client) in clients.enumerated() {
            #expect(client.readMessage().hasSuffix("\r\n\r\n/\(number)"))
        }
        #expect(try upstream.acceptIfAny(within: 0) == nil)
    }

    @Test("A body and its trailers cross both ways")
    func trailers() throws {
        let test = try Case(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
        let stream = try test.connection.nextRequest()
        let message = test.connection.readMessage(stream)
        #expect(!message.head.contains("transfer-encoding"))
        #expect(message.body == "hello")
        #expect(message.trailers == "x-sum: 1\r\n")
        test.connection.respond(stream)
        test.connection.write(stream, "ok")
        test.connection.end(stream, "x-end: y\r\n")
        #expect(test.client.readHead().contains("Transfer-Encoding: chunked\r\n"))
        #expect(test.client.read(through: "y\r\n\r\n") == "2\r\nok\r\n0\r\nx-end: y\r\n\r\n")
    }

    @Test("A response that is only a head says so to HTTP/1.1", arguments: ["GET", "HEAD"])
    func emptyResponse(_ method: String) throws {
        let test = try Case("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n")
        let stream = try test.connection.nextRequest()
        test.connection.respond(stream, isEnd: true)
        let head = test.client.readHead()
        #expect(head.contains("Content-Length: 0\r\n") == (method == "GET"))
        #expect(!head.contains("chunked"))
        test.client.send(get("/2"))
        test.connection.answer(try test.connection.nextRequest())
        #expect(test.client.readMessage().status == 200)
    }

    // MARK: What may be sent again

    @Test("What GOAWAY says was not looked at goes to another connection")
    func goAway() throws {
        let test = try Case()
        try test.serveOne()
        let other = try test.gateway.connect()
        test.client.send(get("/1"))
        let stream = try test.connection.nextRequest()
        other.send("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        _ = try test.connection.nextRequest()
        test.connection.sendGoAway(last: stream)
        let fresh = try test.upstream.acceptHTTP2()
        let again = try fresh.nextRequest()
        #expect(fresh[again].head.hasPrefix("POST /2 "))
        fresh.answer(again, "fresh")
        #expect(other.readMessage().hasSuffix("fresh"))
        // The one that was looked at is answered where it is.
        test.connection.answer(stream, "old")
        #expect(test.client.readMessage().hasSuffix("old"))
        #expect(test.connection.peer.waitForEnd() != .open)
    }

    @Test("A request that was refused is sent once more, and no more than that")
    func refused() throws {
        let test = try Case("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        test.connection.reset(try test.connection.nextRequest(), .refusedStream)
        test.connection.reset(try test.connection.nextRequest(), .refusedStream)
        #expect(test.client.readMessage().status == 503)
    }

    @Test(
        "A refused request whose body turned out empty is sent again",
        arguments: [
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length: 0\r\n\r\n",
        ])
    func refusedWithEmptyBody(_ rest: String) throws {
        let test = try Case("POST / HTTP/1.1\r\nHost: a\r\n" + rest)
        let stream = try test.connection.nextRequest()
        #expect(test.connection.readMessage(stream).isEnded)
        test.connection.reset(stream, .refusedStream)
        let again = try test.connection.nextRequest()
        #expect(test.connection.readMessage(again).isEnded)
        test.connection.answer(again)
        #expect(test.client.readMessage().status == 200)
    }

    @Test("A response that is overdue makes the gateway ask whether anybody is there")
    func overdue() throws {
        let test = try Case(settings: #""timeouts":{"response":"300ms"}"#)
        let stream = try test.connection.nextRequest()
        #expect(test.client.readMessage().status == 504)
        #expect(test.connection.readEnd(stream) == .cancel)
        // The answer to its PING keeps the connection.
        test.connection.wait(within: 100) { false }
        test.client.send(get("/2"))
        test.connection.answer(try test.connection.nextRequest())
        #expect(test.client.readMessage().status == 200)
    }

    @Test("A refused request whose body was sent is not sent again")
    func refusedWithBody() throws {
        let test = try Case(post(2) + "hi")
        let stream = try test.connection.nextRequest()
        #expect(test.connection.readMessage(stream).body == "hi")
        test.connection.reset(stream, .refusedStream)
        #expect(test.client.readMessage().status == 503)
    }

    @Test(
        "On a connection that dies, what can be repeated is, on a fresh one",
        arguments: ["GET", "PUT", "POST"])
    func deadConnection(_ method: String) throws {
        let test = try Case()
        try test.serveOne()
        test.client.send("\(method) / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        _ = try test.connection.nextRequest()
        test.connection.peer.close()
        if method == "POST" {
            #expect(test.client.readMessage().status == 502)
            return
        }
        let fresh = try test.upstream.acceptHTTP2()
        fresh.answer(try fresh.nextRequest())
        #expect(test.client.readMessage().status == 200)
    }

    // MARK: Responses that fail

    @Test(
        "A stream that is reset before its response is 502",
        arguments: [
            HTTP2ErrorCode.cancel, .internalError, .noError, .protocolError,
        ])
    func reset(_ code: HTTP2ErrorCode) throws {
        let test = try Case(isLogging: true)
        test.connection.reset(try test.connection.nextRequest(), code)
        #expect(test.client.readMessage().status == 502)
        let lines = try test.gateway.logLines()
        #expect(lines.count == 1)
        #expect(lines[0].contains("stream reset with code \(code.rawValue)"))
    }

    @Test("A response that is reset in its middle is cut short for the client, others go on")
    func resetInBody() throws {
        let test = try Case()
        let stream = try test.connection.nextRequest()
        let other = try test.gateway.connect()
        other.send(get("/2"))
        let second = try test.connection.nextRequest()
        test.connection.respond(stream)
        test.connection.write(stream, "part")
        _ = test.client.readHead()
        #expect(test.client.read(through: "part\r\n") == "4\r\npart\r\n")
        test.connection.reset(stream, .internalError)
        let end = test.client.readToEnd()
        #expect(end.text.isEmpty)
        #expect(end.ending == .reset)
        test.connection.answer(second)
        #expect(other.readMessage().status == 200)
    }

    @Test("A body of another length than named is never taken for whole", arguments: [1, 3])
    func wrongLength(_ length: Int) throws {
        let test = try Case()
        let stream = try test.connection.nextRequest()
        test.connection.respond(stream, "HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\n")
        test.connection.write(stream, "ab")
        test.connection.end(stream)
        let end = test.client.readToEnd()
        #expect(end.ending == .reset || end.text.status == 502)
        #expect(length == 3 || !end.text.contains("ab"))
    }

    @Test("A body where there can be none reaches nobody", arguments: ["HEAD", "204", "304"])
    func unexpectedBody(_ reason: String) throws {
        let method = reason == "HEAD" ? reason : "GET"
        let status = reason == "HEAD" ? "200" : reason
        let test = try Case("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n")
        let stream = try test.connection.nextRequest()
        test.connection.respond(stream, "HTTP/1.1 \(status) X\r\n\r\n")
        test.connection.write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        test.connection.end(stream)
        test.client.send(get("/next"))
        #expect(!test.client.readToEnd(within: 1000).text.contains("poison"))
    }

    // MARK: Bodies, windows, places

    @Test("A client that reads slowly holds back its own response only, and gets all of it")
    func slowClient() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try h2cGateway(to: upstream)
        let slow = try gateway.connect(receiveBuffer: 4096)
        slow.send(get("/slow"))
        let connection = try upstream.acceptHTTP2()
        let stream = try connection.nextRequest()
        let body = filler(8_000_000)
        connection.respond(
            stream, "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n")
        connection.write(stream, body)
        connection.end(stream)
        connection.wait(within: 200) { false }
        #expect(connection.session.buffered(try #require(connection.handle(stream))) > 1_000_000)
        let other = try gateway.connect()
        other.send(get("/fast"))
        connection.answer(try connection.nextRequest(), "fast")
        #expect(other.readMessage().hasSuffix("fast"))
        var received = 0
        while received < body.utf8.count {
            let more = slow.drain(for: 20)
            received += more
            connection.wait(within: 10) { false }
            if more == 0, !slow.hasInput(within: 2000) { break }
        }
        #expect(received >= body.utf8.count)
    }

    @Test("A request body waits for the stream's window, and no other request for it")
    func bodyWaits() throws {
        let body = filler(400_000)
        let test = try Case(post(body.utf8.count))
        test.connection.consumes = false
        let stream = try test.connection.nextRequest()
        _ = test.client.flood(Array(body.utf8), for: 300, atMost: 1)
        test.connection.wait(within: 200) { test.connection[stream].body.utf8.count == 65535 }
        let other = try test.gateway.connect()
        other.send(get("/2"))
        test.connection.answer(try test.connection.nextRequest())
        #expect(other.readMessage().status == 200)
    }

    @Test("Where streams and connections are used up, a request waits for its turn")
    func placesUsedUp() throws {
        let test = try Case(streams: 1, settings: #""maxConnections":1"#)
        let first = try test.connection.nextRequest()
        let other = try test.gateway.connect()
        other.send(get("/2"))
        test.connection.wait(within: 100) { false }
        test.connection.answer(first)
        #expect(test.client.readMessage().status == 200)
        test.connection.answer(try test.connection.nextRequest())
        #expect(other.readMessage().status == 200)
    }

    @Test("An upstream that takes no streams at all is not asked for ever")
    func noStreams() throws {
        let test = try Case(streams: 0, settings: #""timeouts":{"connect":"300ms"}"#)
        test.connection.wait { test.connection.hasSettings }
        #expect(test.client.readMessage().status == 503)
        #expect(try test.upstream.acceptIfAny(within: 0) == nil)
    }

    /// What a server that has no use for a connection says behind its settings.
    static let lastWords: [[UInt8]] = [
        // GOAWAY, of a server that shuts down.
        [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        // DATA on no stream, half a PING, a head that nobody asked for.
        [0, 0, 1, 0, 0, 0, 0, 0, 0, 1], [0, 0, 1, 6, 0, 0, 0, 0, 0, 1],
        [0, 0, 1, 1, 4, 0, 0, 0, 99, 0x88],
    ]

    @Test(
        "A connection that is over with its settings is one that could not be had",
        arguments: lastWords)
    func overWithItsSettings(_ words: [UInt8]) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try h2cGateway(to: upstream, upstreamSettings: #""retries":1"#)
        let client = try gateway.connect()
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        for _ in 0..<2 {
            let peer = try upstream.accept()
            peer.send([0, 0, 0, 4, 0, 0, 0, 0, 0] + words)
            #expect(peer.waitForEnd() != .open)
        }
        #expect(client.readMessage().status == 502)
        #expect(try upstream.acceptIfAny(within: 0) == nil)
    }

    @Test("A connection that is full is joined by another")
    func overflow() throws {
        let test = try Case(streams: 1)
        try test.serveOne()
        test.client.send(get("/1"))
        let stream = try test.connection.nextRequest()
        let other = try test.gateway.connect()
        other.send(get("/2"))
        let second = try test.upstream.acceptHTTP2(streams: 1)
        second.answer(try second.nextRequest(), "second")
        #expect(other.readMessage().hasSuffix("second"))
        test.connection.answer(stream, "first")
        #expect(test.client.readMessage().hasSuffix("first"))
    }

    @Test("A connection that went away gives its place to the next")
    func placeAfterGoAway() throws {
        let test = try Case(settings: #""maxConnections":1"#)
        try test.serveOne()
        test.connection.sendGoAway(last: 1)
        #expect(test.connection.peer.waitForEnd() != .open)
        test.client.send(get("/2"))
        let fresh = try test.upstream.acceptHTTP2()
        fresh.answer(try fresh.nextRequest())
        #expect(test.client.readMessage().status == 200)
    }

    @Test("An early response ends the request's body, and the client's connection goes on or ends")
    func earlyResponse() throws {
        let test = try Case(post(10) + "12345")
        let stream = try test.connection.nextRequest()
        test.connection.answer(stream, "early")
        #expect(test.client.readMessage().hasSuffix("early"))
        #expect(test.connection.readEnd(stream) != nil)
    }

    @Test("A client that goes takes its stream along, and no other")
    func clientGone() throws {
        let test = try Case()
        let stream = try test.connection.nextRequest()
        let other = try test.gateway.connect()
        other.send(get("/2"))
        let second = try test.connection.nextRequest()
        test.client.reset()
        #expect(test.connection.readEnd(stream) == .cancel)
        test.connection.answer(second)
        #expect(other.readMessage().status == 200)
    }

    @Test("A stream that is quiet in both directions behind its response's head lives on")
    func quietStream() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try h2cGateway(to: upstream, more: #""timeouts":{"body":"100ms"}"#)
        let client = try gateway.connectHTTP2()
        let stream = try client.request("POST /s HTTP/1.1\r\nHost: a\r\n\r\n", isEnd: false)
        client.write(stream, "a")
        let connection = try upstream.acceptHTTP2()
        let served = try connection.nextRequest()
        connection.wait { connection[served].body == "a" }
        connection.respond(served)
        connection.write(served, "b")
        client.wait { client[stream].body == "b" }
        #expect(!client.wait(within: 600) { client[stream].code != nil })
        client.write(stream, "c")
        client.end(stream)
        #expect(connection.readMessage(served).body == "ac")
        connection.end(served)
        #expect(client.readMessage(stream).isEnded)
    }

    @Test("Streams on both sides: bodies move as both take them")
    func bothSides() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try h2cGateway(to: upstream)
        let client = try gateway.connectHTTP2()
        let stream = try client.request(
            "POST /s HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTE: trailers\r\n\r\n",
            isEnd: false)
        let connection = try upstream.acceptHTTP2()
        let served = try connection.nextRequest()
        for round in 1...3 {
            client.write(stream, "ping \(round);")
            connection.wait { connection[served].body.hasSuffix("ping \(round);") }
            if round == 1 { connection.respond(served) }
            connection.write(served, "pong \(round);")
            client.wait { client[stream].body.hasSuffix("pong \(round);") }
        }
        client.end(stream)
        #expect(connection.readMessage(served).isEnded)
        connection.end(served, "grpc-status: 0\r\n")
        #expect(client.readMessage(stream).trailers == "grpc-status: 0\r\n")
        #expect(client[stream].body == "pong 1;pong 2;pong 3;")
    }
}
