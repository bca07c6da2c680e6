import Configuration
import EventLoop
import Testing

@testable import Gateway

/// Which connection to which endpoint a request gets.
@Suite struct PoolTests {
    @Test("A connection is used again, by other clients too")
    func reuse() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let first = try gateway.connect()
        first.send(get("/1"))
        let connection = try upstream.accept()
        #expect(connection.readHead().hasPrefix("GET /1 "))
        connection.send(ok())
        #expect(first.readStatus() == 200)
        #expect(first.exchange(over: connection, get("/2")).status == 200)
        let second = try gateway.connect()
        #expect(second.exchange(over: connection, get("/3")).status == 200)
        #expect(try upstream.acceptIfAny(within: 0) == nil)
    }

    @Test(
        "A connection is not used again where its end or its next message is in doubt",
        arguments: [
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\nx",
        ])
    func noReuse(_ response: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(response)
        #expect(client.readMessage().status / 100 == 2)
        #expect(connection.waitForEnd() != .open)
        client.send(get("/2"))
        #expect(try upstream.accept().readHead().hasPrefix("GET /2"))
    }

    @Test("A connection that rests longer than upstreams.timeouts.idle is closed")
    func idleTimeout() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, upstreamSettings: #""timeouts":{"idle":"50ms"}"#)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
        #expect(connection.waitForEnd() == .closed)
    }

    @Test("Bytes that nobody asked for end a resting connection, and reach nobody")
    func unasked() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        #expect(connection.waitForEnd() != .open)
        client.send(get())
        let next = try upstream.accept()
        _ = next.readHead()
        next.send(ok("right"))
        #expect(client.readMessage().hasSuffix("right"))
    }

    // MARK: Dead connections

    /// How an upstream ends a connection that carried one exchange.
    enum Death: CaseIterable {
        case close, reset
    }

    /// What a request meets whose connection dies on it without a byte of a response.
    private func retry(
        _ request: String, _ death: Death, retries: Int = 1
    ) throws -> (upstream: ScriptedUpstream, client: Peer, gateway: RunningGateway) {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, upstreamSettings: "\"retries\":\(retries)")
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
        client.send(request)
        _ = connection.readHead()
        switch death {
        case .close: connection.close()
        case .reset: connection.reset()
        }
        return (upstream, client, gateway)
    }

    static let repeatable = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    ]

    @Test(
        "A request that can be repeated is, byte for byte, on a fresh connection",
        arguments: repeatable, Death.allCases)
    func staleRetry(_ request: String, _ death: Death) throws {
        let (upstream, client, gateway) = try retry(request, death)
        let fresh = try upstream.accept()
        #expect(fresh.readHead().hasPrefix(request.prefix(8)))
        fresh.send("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(client.readHead().status == 204)
        withExtendedLifetime(gateway) {}
    }

    static let unrepeatable = [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
    ]

    @Test(
        "A request that cannot be repeated is answered 502", arguments: unrepeatable, Death.allCases
    )
    func staleWithoutRetry(_ request: String, _ death: Death) throws {
        let (upstream, client, gateway) = try retry(request, death)
        #expect(client.readStatus() == 502)
        #expect(try upstream.acceptIfAny(within: 0) == nil)
        withExtendedLifetime(gateway) {}
    }

    @Test("No retry where there are none")
    func noRetries() throws {
        let (upstream, client, gateway) = try retry(get(), .close, retries: 0)
        #expect(client.readStatus() == 502)
        #expect(try upstream.acceptIfAny(within: 0) == nil)
        withExtendedLifetime(gateway) {}
    }

    @Test("No retry on a fresh connection: the upstream saw the request and chose to end")
    func freshIsNotRetried() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.close()
        #expect(client.readStatus() == 502)
        #expect(try upstream.acceptIfAny(within: 0) == nil)
    }

    @Test(
        "No retry once a byte of a response has come",
        arguments: [
            "H", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        ])
    func noRetryAfterResponse(_ begun: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
        client.send(get())
        _ = connection.readHead()
        connection.send(begun)
        connection.close()
        var status = client.readStatus()
        if status == 100 { status = client.readStatus() }
        #expect(status == 502)
        #expect(try upstream.acceptIfAny(within: 0) == nil)
    }

    @Test("Where one resting connection is dead, the others are not tried")
    func severalDead() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let clients = try (0..<4).map { _ in try gateway.connect() }
        var connections: [Peer] = []
        for client in clients {
            client.send(get())
            connections.append(try upstream.accept())
            _ = connections[connections.count - 1].readHead()
        }
        for (client, connection) in zip(clients, connections) {
            connection.send(ok())
            #expect(client.readStatus() == 200)
        }
        clients[0].send(get("/again"))
        // The connection used last is taken first.
        _ = connections[3].readHead()
        connections[3].reset()
        let fresh = try upstream.accept()
        #expect(fresh.readHead().hasPrefix("GET /again"))
        for connection in connections[0..<3] { #expect(connection.waitForEnd() == .closed) }
        fresh.send(ok())
        #expect(clients[0].readStatus() == 200)
    }

    @Test("A body that was held back during a retry follows the head")
    func bodyAfterRetry() throws {
        let (upstream, client, gateway) = try retry(
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", .close)
        let fresh = try upstream.accept()
        _ = fresh.readHead()
        client.send("hello")
        #expect(fresh.read(5) == "hello")
        fresh.send(ok())
        #expect(client.readStatus() == 200)
        withExtendedLifetime(gateway) {}
    }

    // MARK: Several endpoints

    /// Serves one exchange and says which of the upstreams got it.
    private func whoGets(
        _ client: Peer, _ upstreams: [ScriptedUpstream], _ open: inout [Int: Peer]
    ) throws -> Int {
        client.send(get())
        for _ in 0..<1000 {
            for (number, upstream) in upstreams.enumerated() {
                if let peer = try upstream.acceptIfAny(within: 1) { open[number] = peer }
                if let peer = open[number], peer.hasInput(within: 1) {
                    _ = peer.readHead()
                    peer.send(ok())
                    #expect(client.readStatus() == 200)
                    return number
                }
            }
        }
        return -1
    }

    @Test("Endpoints take turns")
    func roundRobin() throws {
        let upstreams = try (0..<3).map { _ in try ScriptedUpstream() }
        let gateway = try publicGateway(to: upstreams[0], upstreams[1], upstreams[2])
        let client = try gateway.connect()
        var open: [Int: Peer] = [:]
        let order = try (0..<9).map { _ in try whoGets(client, upstreams, &open) }
        #expect(Set(order[0..<3]) == [0, 1, 2])
        #expect(Array(order[3..<6]) == Array(order[0..<3]))
        #expect(Array(order[6..<9]) == Array(order[0..<3]))
    }

    @Test("With least-connections a busy endpoint is passed over")
    func leastConnections() throws {
        let upstreams = try (0..<2).map { _ in try ScriptedUpstream() }
        let gateway = try publicGateway(
            to: upstreams[0], upstreams[1],
            upstreamSettings: #""balance":"least-connections""#)
        // One request stays under way at one endpoint.
        let busy = try gateway.connect()
        busy.send(get("/busy"))
        var held: Peer?
        var busyNumber = 0
        while held == nil {
            busyNumber = 1 - busyNumber
            held = try upstreams[busyNumber].acceptIfAny(within: 10)
        }
        _ = held?.readHead()
        let client = try gateway.connect()
        var open: [Int: Peer] = [:]
        for _ in 0..<5 { #expect(try whoGets(client, upstreams, &open) == 1 - busyNumber) }
    }

    @Test(
        "Where an endpoint refuses, another one gets the request, with its own Host and body",
        arguments: [1, 2, 3, 4])
    func anotherEndpoint(_ requests: Int) throws {
        let dead = try ScriptedUpstream()
        dead.stopListening()
        let alive = try ScriptedUpstream()
        let gateway = try publicGateway(to: dead, alive, route: #""upstreamHost":"endpoint""#)
        for number in 0..<requests {
            let client = try gateway.connect()
            client.send(post(5))
            client.send("he")
            let connection = try alive.accept()
            #expect(connection.readHead().contains("\r\nHost: \(alive.authority)\r\n"))
            client.send("llo")
            #expect(connection.read(5) == "hello")
            connection.send(ok("\(number)", "Connection: close\r\n"))
            #expect(client.readMessage().hasSuffix("\(number)"))
        }
    }

    @Test(
        "Where every endpoint refuses, the answer is 502, and each was tried as often as allowed",
        arguments: [0, 1, 2])
    func allDead(_ retries: Int) throws {
        let dead = try (0..<2).map { _ in try ScriptedUpstream() }
        for upstream in dead { upstream.stopListening() }
        let gateway = try publicGateway(
            to: dead[0], dead[1], upstreamSettings: "\"retries\":\(retries)", isLogging: true)
        let client = try gateway.connect()
        client.send(get())
        let answer = client.readMessage()
        #expect(answer.status == 502)
        #expect(answer.contains("urn:bearward:problem:upstream_unreachable"))
        let lines = try gateway.logLines()
        #expect(lines.count == 1)
        #expect(lines.first?.contains("\"tries\":\(retries + 1)") == true)
    }

    @Test("A socket's path that leads nowhere is 502, and is taken up when somebody listens there")
    func missingSocket() throws {
        let folder = TemporaryFolder()
        let path = folder.path("up")
        let gateway = try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["unix:\#(path)"]}}"#,
                routes: #"[{"path":"/**","access":"public","upstream":"up"}]"#))
        let client = try gateway.connect()
        client.send(get())
        #expect(client.readStatus() == 502)
        let upstream = try ScriptedUpstream(at: .unix(path))
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test(
        "An endpoint that failed is passed over for twice as long each time, and forgiven at once")
    func ejection() {
        let endpoint = Endpoint(
            address: .unix("x"), target: .tcp(.http, host: "127.0.0.1", port: 1))
        func at(_ milliseconds: Int64) -> Instant {
            Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds)
        }
        #expect(endpoint.isHealthy(at: at(0)))
        var now: Int64 = 0
        for pause: Int64 in [1000, 2000, 4000, 8000, 16000, 30_000, 30_000] {
            endpoint.failedToConnect(now: at(now))
            #expect(!endpoint.isHealthy(at: at(now + pause - 1)))
            #expect(endpoint.isHealthy(at: at(now + pause)))
            now += pause
        }
        endpoint.connected()
        #expect(endpoint.isHealthy(at: at(0)))
        endpoint.failedToConnect(now: at(now))
        #expect(endpoint.isHealthy(at: at(now + 1000)))
    }

    @Test("While an endpoint is passed over, no request tries it")
    func passedOver() throws {
        let failing = try ScriptedUpstream()
        failing.stopListening()
        let alive = try ScriptedUpstream()
        let gateway = try publicGateway(to: failing, alive, isLogging: true)
        let client = try gateway.connect()
        client.send(get())
        let connection = try alive.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
        // Twice at least the turn comes to the one that failed.
        for _ in 0..<4 { #expect(client.exchange(over: connection).status == 200) }
        let tries = try gateway.logLines().map { $0.contains("\"tries\":1") }
        #expect(tries.dropFirst(2).allSatisfy { $0 })
    }

    // MARK: Names

    /// A gateway whose upstream is a name that nobody has resolved yet.
    private func named(_ settings: String = "") throws -> RunningGateway {
        try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["http://up.example:81"]\#(settings)}}"#,
                routes: """
                    [{"path":"/**","access":"public","upstream":"up","upstreamHost":"endpoint"}]
                    """))
    }

    @Test("Requests wait for a name to be resolved", arguments: [get(), post(5) + "hello"])
    func waitsForName(_ request: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try named()
        let client = try gateway.connect()
        client.send(request)
        #expect(!client.hasInput(within: 50))
        gateway.tellAll(.addresses(upstream: 0, endpoint: 0, [upstream.address]))
        let connection = try upstream.accept()
        #expect(connection.readHead().contains("\r\nHost: up.example:81\r\n"))
        if request.hasPrefix("POST") { #expect(connection.read(5) == "hello") }
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test(
        "A name that is not resolved within timeouts.connect is 503, and so is one without address")
    func unresolved() throws {
        let gateway = try named(#","timeouts":{"connect":"100ms"}"#)
        let client = try gateway.connect()
        client.send(get())
        #expect(client.readStatus() == 503)
        client.send(get())
        #expect(!client.hasInput(within: 20))
        gateway.tellAll(.addresses(upstream: 0, endpoint: 0, []))
        #expect(client.readStatus() == 503)
        client.send(get())
        #expect(client.readStatus() == 503)
    }

    @Test("An address that a name loses is used no more, one it keeps keeps its connections")
    func changedAddresses() throws {
        let (first, second) = (try ScriptedUpstream(), try ScriptedUpstream())
        let gateway = try named()
        gateway.tellAll(.addresses(upstream: 0, endpoint: 0, [first.address]))
        let (client, other) = (try gateway.connect(), try gateway.connect())
        client.send(get())
        let resting = try first.accept()
        _ = resting.readHead()
        other.send(get())
        let busy = try first.accept()
        _ = busy.readHead()
        resting.send(ok())
        #expect(client.readStatus() == 200)
        gateway.tellAll(.addresses(upstream: 0, endpoint: 0, [first.address]))
        #expect(client.exchange(over: resting).status == 200)
        gateway.tellAll(.addresses(upstream: 0, endpoint: 0, [second.address]))
        #expect(resting.waitForEnd() == .closed)
        busy.send(ok("late"))
        #expect(other.readMessage().hasSuffix("late"))
        #expect(busy.waitForEnd() == .closed)
        client.send(get())
        let next = try second.accept()
        _ = next.readHead()
        next.send(ok())
        #expect(client.readStatus() == 200)
        #expect(try first.acceptIfAny(within: 0) == nil)
    }

    @Test("What stands behind a response that ends its connection reaches nobody")
    func extraResponse() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok("right", "Connection: close\r\n") + ok("poison"))
        #expect(client.readMessage().hasSuffix("right"))
        client.send(get("/2"))
        let next = try upstream.accept()
        _ = next.readHead()
        next.send(ok("right"))
        #expect(client.readMessage().hasSuffix("right"))
    }
}
