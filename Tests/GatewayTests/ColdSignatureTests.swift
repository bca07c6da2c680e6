import EventLoop
import HTTP2
import JWT
import Testing

@testable import Gateway

/// Tokens that nobody has seen: many at once are all judged rightly, and known ones pass them by.
@Suite struct ColdSignatureTests {
    private static let noCache = #""tokenCache": { "entries": 0 }"#

    /// Answers everything that comes to the upstream over one connection.
    private func serve(_ upstream: ScriptedUpstream, _ count: Int) throws {
        var connections: [Peer] = []
        var served = 0
        while served < count {
            if let connection = try upstream.acceptIfAny(within: connections.isEmpty ? 5000 : 0) {
                connections.append(connection)
            }
            for connection in connections where connection.hasInput(within: 1) {
                guard !connection.readHead().isEmpty else { return }
                connection.send(ok())
                served += 1
            }
        }
    }

    @Test("A hundred streams that come at once are all judged, each by its own signature")
    func streams() throws {
        let bench = try FetchingGateway(more: Self.noCache)
        bench.control.publish(try keySet("one"))
        let client = try bench.gateway.connectHTTP2()
        var good: [Int32] = []
        var bad: [Int32] = []
        for number in 0..<90 {
            let isGood = number % 3 != 0
            let token = isGood ? SignedToken.one : forged(kid: "one")
            let stream = try client.request(authorized(token, "/\(number)"))
            if isGood { good.append(stream) } else { bad.append(stream) }
        }
        try serve(bench.upstream, good.count)
        for stream in good { #expect(client.readMessage(stream).head.status == 200) }
        for stream in bad { #expect(client.readMessage(stream).head.status == 401) }
    }

    @Test("What the pool does not do in time, the worker does")
    func deadPool() throws {
        let bench = try FetchingGateway(more: Self.noCache)
        bench.control.publish(try keySet("one"))
        bench.gateway.stopPool()
        // More than a worker keeps for itself.
        let clients = try (0..<4).map { _ in try bench.gateway.connectHTTP2() }
        let streams = try clients.map { client in
            try (0..<60).map { try client.request(authorized(forged(kid: "one"), "/\($0)")) }
        }
        for (client, own) in zip(clients, streams) {
            for stream in own { #expect(client.readMessage(stream).head.status == 401) }
        }
    }

    @Test("A worker whose key is busy gets a table from the pool, and judges as before")
    func busyKey() throws {
        let bench = try FetchingGateway(more: Self.noCache)
        bench.control.publish(try keySet("one"))
        let client = try bench.gateway.connect()
        let shelf = bench.gateway.shelf
        // A key asks after a thousand signatures.
        for number in 0..<1010 {
            client.send(authorized(forged(kid: "one"), "/\(number)"))
            #expect(client.readStatus() == 401)
        }
        let end = Instant.now.advanced(byMilliseconds: Int64(Peer.patience))
        let loop = try EventLoop()
        while shelf.count == 0, Instant.now < end { loop.turn(maxWait: 1) }
        #expect(shelf.count == 1)
        client.send(authorized(SignedToken.one))
        try serve(bench.upstream, 1)
        #expect(client.readStatus() == 200)
        client.send(authorized(forged(kid: "one")))
        #expect(client.readStatus() == 401)
    }

    @Test("Requests on many connections at once are all judged")
    func connections() throws {
        let bench = try FetchingGateway(more: Self.noCache)
        bench.control.publish(try keySet("one"))
        let clients = try (0..<60).map { _ in try bench.gateway.connect() }
        for (number, client) in clients.enumerated() {
            client.send(authorized(number % 2 == 0 ? SignedToken.one : forged(kid: "one")))
        }
        try serve(bench.upstream, 30)
        for (number, client) in clients.enumerated() {
            #expect(client.readStatus() == (number % 2 == 0 ? 200 : 401))
        }
    }

    @Test("Pipelined requests that wait for their signatures are answered in order")
    func pipelined() throws {
        let bench = try FetchingGateway(more: Self.noCache)
        bench.control.publish(try keySet("one"))
        let clients = try (0..<20).map { _ in try bench.gateway.connect() }
        for client in clients {
            client.send(
                authorized(SignedToken.one, "/1") + authorized(forged(kid: "one"), "/2")
                    + authorized(SignedToken.one, "/3"))
        }
        try serve(bench.upstream, 40)
        for client in clients {
            for status in [200, 401, 200] { #expect(client.readStatus() == status) }
        }
    }

    @Test("Clients that go while their tokens wait leave the others to be judged")
    func gone() throws {
        let bench = try FetchingGateway(more: Self.noCache, isLogging: true)
        bench.control.publish(try keySet("one"))
        let clients = try (0..<80).map { _ in try bench.gateway.connect() }
        for client in clients { client.send(authorized(forged(kid: "one"))) }
        for (number, client) in clients.enumerated() where number % 2 == 0 { client.reset() }
        for (number, client) in clients.enumerated() where number % 2 == 1 {
            #expect(client.readStatus() == 401)
        }
        let lines = try bench.gateway.logLines()
        #expect(lines.count >= 40)
        #expect(lines.allSatisfy { $0.contains("\"status\":401") || $0.contains("\"status\":499") })
    }

    @Test("A key that is withdrawn takes along the tokens that wait for their signatures")
    func withdrawn() throws {
        let bench = try FetchingGateway(more: Self.noCache)
        bench.control.publish(try keySet("one"))
        let clients = try (0..<60).map { _ in try bench.gateway.connect() }
        for client in clients { client.send(authorized(forged(kid: "one"))) }
        bench.control.publish(try keySet("two"))
        for _ in clients {
            guard bench.control.lookIfAny(within: 1) != nil else { continue }
            bench.control.endLook()
        }
        for client in clients { #expect(client.readStatus() == 401) }
    }

    @Test("A server that stops ends those whose signatures wait")
    func stop() throws {
        let bench = try FetchingGateway(more: Self.noCache, isLogging: true)
        bench.control.publish(try keySet("one"))
        let clients = try (0..<60).map { _ in try bench.gateway.connect() }
        // A connection that the server has not accepted when it stops is nobody's to end.
        for client in clients {
            client.send(get("/"))
            #expect(client.readMessage().hasPrefix("HTTP/1.1 401 "))
        }
        for client in clients { client.send(authorized(forged(kid: "one"))) }
        _ = try bench.gateway.logLines()
        for client in clients { #expect(client.waitForEnd() != .open) }
    }
}
