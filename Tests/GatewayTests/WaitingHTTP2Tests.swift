import EventLoop
import HTTP2
import JWT
import Testing

@testable import Gateway

/// Streams whose verdict waits for keys: each alone, and none holds up another.
@Suite struct WaitingHTTP2Tests {
    private static let head =
        "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(SignedToken.one)\r\n\r\n"

    @Test("A stream that waits holds up no other")
    func others() throws {
        let bench = try FetchingGateway(route: #""access": "optional""#)
        let client = try bench.gateway.connectHTTP2()
        let waiting = try client.request(authorized(SignedToken.one, "/waits"))
        _ = try bench.control.nextLook()
        let other = try client.request(get("/goes"))
        let connection = try bench.upstream.accept()
        #expect(connection.readHead().hasPrefix("GET /goes "))
        connection.send(ok("goes"))
        #expect(client.readMessage(other).body == "goes")
        #expect(client[waiting].head.isEmpty)
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        #expect(connection.readHead().hasPrefix("GET /waits "))
        connection.send(ok("waited"))
        #expect(client.readMessage(waiting).body == "waited")
    }

    @Test(
        "Body, end and trailers that come meanwhile go on behind the head",
        arguments: [true, false])
    func body(_ isEarly: Bool) throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connectHTTP2()
        let stream = try client.request(
            Self.head.replacing("\r\n\r\n", with: "\r\nTE: trailers\r\n\r\n"), isEnd: false)
        _ = try bench.control.nextLook()
        client.write(stream, "hello")
        if isEarly {
            client.end(stream, "X-Sum: 1\r\n")
            // Everything is there before there is a verdict.
            #expect(!client.wait(within: 50) { client[stream].isEnded })
        }
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        let connection = try bench.upstream.accept()
        #expect(connection.readHead().contains("Transfer-Encoding: chunked\r\n"))
        if !isEarly { client.end(stream, "X-Sum: 1\r\n") }
        #expect(connection.read(through: "0\r\n") == "5\r\nhello\r\n0\r\n")
        #expect(connection.read(through: "\r\n\r\n") == "x-sum: 1\r\n\r\n")
        connection.send(ok())
        #expect(client.readMessage(stream).head.status == 200)
    }

    @Test("A body is held within its window, and goes on whole")
    func window() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connectHTTP2()
        let stream = try client.request(Self.head, isEnd: false)
        _ = try bench.control.nextLook()
        let body = filler(200_000)
        client.write(stream, body)
        client.end(stream)
        client.wait(within: 50) { false }
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        let connection = try bench.upstream.accept()
        _ = connection.readHead()
        var received = 0
        while received < body.utf8.count {
            client.wait(within: 1) { false }
            guard let bytes = connection.readSome(within: 1000) else { break }
            received += bytes.count
        }
        #expect(received >= body.utf8.count)
        connection.send(ok())
        #expect(client.readMessage(stream).head.status == 200)
    }

    @Test("A body that is not what was announced is refused without a verdict")
    func wrongLength() throws {
        let bench = try FetchingGateway(isLogging: true)
        let client = try bench.gateway.connectHTTP2()
        let head = Self.head.replacing("\r\n\r\n", with: "\r\nContent-Length: 3\r\n\r\n")
        let stream = try client.request(head, isEnd: false)
        _ = try bench.control.nextLook()
        client.write(stream, "hello")
        client.wait { client[stream].isEnded || client[stream].code != nil }
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        #expect(try bench.upstream.acceptIfAny(within: 50) == nil)
        #expect(try bench.gateway.logLines().count == 1)
    }

    @Test("A body that outgrew maxBody meanwhile is refused once the route is known")
    func tooLarge() throws {
        let bench = try FetchingGateway(route: #""maxBody": "4B""#.replacing("4B", with: "1KiB"))
        let client = try bench.gateway.connectHTTP2()
        let stream = try client.request(Self.head, isEnd: false)
        _ = try bench.control.nextLook()
        client.write(stream, filler(2048))
        client.wait(within: 50) { false }
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        client.wait { !client[stream].head.isEmpty }
        #expect(client[stream].head.status == 413)
        #expect(try bench.upstream.acceptIfAny(within: 20) == nil)
    }

    @Test("Streams that are reset, and clients that go, are forgotten", arguments: [true, false])
    func gone(_ isReset: Bool) throws {
        let bench = try FetchingGateway(isLogging: true)
        let client = try bench.gateway.connectHTTP2()
        let stream = try client.request(authorized(SignedToken.one))
        _ = try bench.control.nextLook()
        if isReset {
            client.reset(stream, .cancel)
            // The answer to another stream shows that the reset was read.
            #expect(
                client.readMessage(try client.request("GET /x;y HTTP/1.1\r\nHost: a\r\n\r\n"))
                    .head.status == 400)
        } else {
            client.peer.reset()
            bench.gateway.tellAll(.drain)
            bench.gateway.join()
        }
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        #expect(try bench.upstream.acceptIfAny(within: 30) == nil)
        let lines = try bench.gateway.logLines()
        #expect(lines.contains { $0.contains("\"status\":499") })
    }

    @Test("A stream waits a second at most, and is answered")
    func patience() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connectHTTP2()
        let stream = try client.request(authorized(SignedToken.one))
        let start = Instant.now
        let message = client.readMessage(stream)
        #expect(message.head.status == 503 && message.head.contains("retry-after"))
        #expect(Instant.now.milliseconds(since: start) >= 900)
    }

    @Test("A stream that waits is answered before a draining connection ends")
    func drain() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connectHTTP2()
        let stream = try client.request(authorized(SignedToken.one))
        _ = try bench.control.nextLook()
        bench.gateway.tellAll(.drain)
        client.wait { !client.goAways.isEmpty }
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        try bench.serveNext()
        #expect(client.readMessage(stream).head.status == 200)
        client.wait { client.peer.waitForEnd(within: 0) == .closed }
        bench.gateway.join()
    }

    @Test("A hundred streams that wait for one look are all forwarded")
    func many() throws {
        let bench = try FetchingGateway(h2c: true)
        let client = try bench.gateway.connectHTTP2()
        let streams = try (0..<100).map {
            try client.request(authorized(SignedToken.one, "/\($0)"))
        }
        _ = try bench.control.nextLook()
        client.wait(within: 30) { false }
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        let connection = try bench.upstream.acceptHTTP2()
        for _ in streams { connection.answer(try connection.nextRequest()) }
        for stream in streams { #expect(client.readMessage(stream).body == "ok") }
        #expect(bench.control.lookIfAny(within: 20) == nil)
    }
}
