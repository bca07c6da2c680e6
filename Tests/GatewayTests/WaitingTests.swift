import EventLoop
import JWT
import Testing

@testable import Gateway

/// Requests on HTTP/1.1 whose verdict waits for keys.
@Suite struct WaitingTests {
    @Test("A first request waits for the first keys, and is forwarded when they come")
    func firstKeys() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one, "/a?b"))
        #expect(try bench.control.nextLook() == KeyPlace(issuer: 0))
        #expect(!client.hasInput(within: 50))
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        let connection = try bench.upstream.accept()
        #expect(connection.readHead().hasPrefix("GET /a?b HTTP/1.1\r\n"))
        connection.send(ok())
        #expect(client.readStatus() == 200)
        // Known now.
        #expect(client.exchange(over: connection, authorized(SignedToken.one)).status == 200)
        #expect(bench.control.lookIfAny(within: 20) == nil)
    }

    @Test("Keys that cannot be had are 503 once the look has ended, and at once before another")
    func noKeys() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one))
        _ = try bench.control.nextLook()
        bench.control.endLook(didSucceed: false)
        let answer = client.readMessage()
        #expect(answer.status == 503)
        #expect(answer.contains("Retry-After: ") && !answer.contains("WWW-Authenticate"))
        #expect(answer.contains("keys_unavailable"))
        client.send(authorized(SignedToken.one))
        #expect(client.readStatus() == 503)
        #expect(bench.control.lookIfAny(within: 20) == nil)
    }

    @Test("A token of a rotated-in key is forwarded on its first request")
    func rotation() throws {
        let bench = try FetchingGateway()
        bench.control.publish(try keySet("one"))
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.two))
        _ = try bench.control.nextLook()
        bench.control.publish(try keySet("one", "two"))
        // The set alone is enough: the look's end need not be waited for.
        let connection = try bench.upstream.accept()
        _ = connection.readHead()
        bench.control.endLook()
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test("A kid that the look did not find is 401, and asks for no other look for a while")
    func unknown() throws {
        let bench = try FetchingGateway()
        bench.control.publish(try keySet("one"))
        let client = try bench.gateway.connect()
        client.send(authorized(forged(kid: "x")))
        _ = try bench.control.nextLook()
        bench.control.endLook(nextIn: 0)
        let answer = client.readMessage()
        #expect(answer.status == 401 && answer.contains("error=\"invalid_token\""))
        // Absent for a cool-down; another kid may ask.
        client.send(authorized(forged(kid: "x")))
        #expect(client.readStatus() == 401)
        #expect(bench.control.lookIfAny(within: 20) == nil)
        client.send(authorized(forged(kid: "y")))
        _ = try bench.control.nextLook()
        bench.control.endLook()
        #expect(client.readStatus() == 401)
        // A changed set empties the memory, though the cool-down stands.
        client.send(authorized(forged(kid: "z")))
        #expect(client.readStatus() == 401)
        #expect(bench.control.lookIfAny(within: 20) == nil)
    }

    @Test("A kid that is missing from a changed set may be looked for again")
    func changedSet() throws {
        let bench = try FetchingGateway()
        bench.control.publish(try keySet("one"))
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.two))
        _ = try bench.control.nextLook()
        bench.control.endLook(nextIn: 0)
        #expect(client.readStatus() == 401)
        bench.control.publish(try keySet("one", "three"))
        client.send(authorized(SignedToken.two))
        _ = try bench.control.nextLook()
        bench.control.publish(try keySet("two"))
        bench.control.endLook()
        try bench.serveNext()
        #expect(client.readStatus() == 200)
    }

    @Test("A look that was refused says nothing about a kid")
    func refusedLook() throws {
        let bench = try FetchingGateway()
        bench.control.publish(try keySet("one"))
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.two))
        _ = try bench.control.nextLook()
        bench.control.endLook(didSucceed: false, nextIn: 0)
        // Asked once more for the same request, and then it is decided.
        _ = try bench.control.nextLook()
        bench.control.endLook(didSucceed: false, nextIn: 0)
        #expect(client.readStatus() == 401)
        client.send(authorized(SignedToken.two))
        _ = try bench.control.nextLook()
        bench.control.publish(try keySet("two"))
        bench.control.endLook()
        try bench.serveNext()
        #expect(client.readStatus() == 200)
    }

    @Test("A request waits a second at most, and its connection goes on")
    func patience() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connect()
        let start = Instant.now
        client.send(authorized(SignedToken.one))
        #expect(client.readStatus() == 503)
        let waited = Instant.now.milliseconds(since: start)
        #expect(waited >= 990 && waited < 3000)
        _ = try bench.control.nextLook()
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        client.send(authorized(SignedToken.one))
        try bench.serveNext()
        #expect(client.readStatus() == 200)
    }

    @Test("Requests behind one that waits are kept, and answered in order")
    func pipelined() throws {
        let bench = try FetchingGateway(route: #""access": "optional""#)
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one, "/1") + get("/2") + get("/3"))
        _ = try bench.control.nextLook()
        #expect(try bench.upstream.acceptIfAny(within: 30) == nil)
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        let connection = try bench.upstream.accept()
        for path in ["/1", "/2", "/3"] {
            #expect(connection.readHead().hasPrefix("GET \(path) "))
            connection.send(ok(path))
        }
        for path in ["/1", "/2", "/3"] { #expect(client.readMessage().hasSuffix(path)) }
    }

    @Test("A body that came behind a head that waits goes on whole")
    func body() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connect()
        client.send(post(10, "Authorization: Bearer \(SignedToken.one)\r\n") + "01234")
        _ = try bench.control.nextLook()
        client.send("56789" + authorized(SignedToken.one, "/next"))
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        let connection = try bench.upstream.accept()
        #expect(connection.readHead().contains("Content-Length: 10\r\n"))
        #expect(connection.read(10) == "0123456789")
        connection.send(ok())
        #expect(client.readStatus() == 200)
        #expect(connection.readHead().hasPrefix("GET /next "))
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test("A client that waits for 100 (Continue) hears it from the upstream, after the keys came")
    func expectation() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connect()
        client.send(
            post(2, "Authorization: Bearer \(SignedToken.one)\r\nExpect: 100-continue\r\n"))
        _ = try bench.control.nextLook()
        #expect(!client.hasInput(within: 30))
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        let connection = try bench.upstream.accept()
        #expect(connection.readHead().lowercased().contains("expect: 100-continue"))
        connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        #expect(client.readHead().hasPrefix("HTTP/1.1 100 "))
        client.send("hi")
        #expect(connection.read(2) == "hi")
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test("A body whose request is refused after waiting is read past")
    func refusedBody() throws {
        let bench = try FetchingGateway(route: #""access": "optional""#)
        let client = try bench.gateway.connect()
        client.send(post(5, "Authorization: Bearer \(forged(kid: "x"))\r\n") + "01234" + get("/2"))
        _ = try bench.control.nextLook()
        bench.control.endLook(didSucceed: false)
        #expect(client.readStatus() == 503)
        let connection = try bench.upstream.accept()
        #expect(connection.readHead().hasPrefix("GET /2 "))
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test(
        "A client that goes while it waits leaves nothing but its line", arguments: [true, false])
    func clientGone(_ withReset: Bool) throws {
        let bench = try FetchingGateway(isLogging: true)
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one))
        _ = try bench.control.nextLook()
        withReset ? client.reset() : client.close()
        // Another one, to know that the first one's end was seen.
        let other = try bench.gateway.connect()
        other.send(authorized(SignedToken.one))
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        try bench.serveNext()
        if withReset { #expect(other.readStatus() == 200) }
        let lines = try bench.gateway.logLines()
        #expect(lines.count == 2)
        if withReset { #expect(lines.contains { $0.contains("\"status\":499") }) }
    }

    @Test("A client that has ended its direction still gets its answer")
    func halfClosed() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one))
        client.shutdownWriting()
        _ = try bench.control.nextLook()
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        try bench.serveNext()
        #expect(client.readStatus() == 200)
        #expect(client.waitForEnd() == .closed)
    }

    @Test("Draining lets those who wait be answered first")
    func drain() throws {
        let bench = try FetchingGateway()
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one))
        _ = try bench.control.nextLook()
        bench.gateway.tellAll(.drain)
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        try bench.serveNext()
        let answer = client.readMessage()
        #expect(answer.status == 200 && answer.contains("Connection: close\r\n"))
        bench.gateway.join()
        #expect(bench.gateway.endedWorkers == 1)
    }

    @Test("A server that stops ends those who wait")
    func stop() throws {
        let bench = try FetchingGateway(isLogging: true)
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one))
        _ = try bench.control.nextLook()
        let lines = try bench.gateway.logLines()
        #expect(client.waitForEnd() != .open)
        #expect(lines.count == 1 && lines[0].contains("\"status\":499"))
    }

    @Test("A request that has waited has one line, with its time and one id")
    func line() throws {
        let bench = try FetchingGateway(isLogging: true)
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one))
        _ = try bench.control.nextLook()
        #expect(!client.hasInput(within: 60))
        bench.control.publish(try keySet("one"))
        bench.control.endLook()
        let connection = try bench.upstream.accept()
        let head = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
        let lines = try bench.gateway.logLines()
        #expect(lines.count == 1)
        #expect(lines[0].components(of: "\"request_id\"") == 1)
        #expect(lines[0].contains("\"subject\":\"alice\""))
        let id = try #require(head.split(separator: "X-Request-Id: ").last?.prefix(32))
        #expect(lines[0].contains(id))
    }

    @Test("An audited route waits as well, and lets pass what is not known in the end")
    func audit() throws {
        let bench = try FetchingGateway(route: #""mode": "audit""#, isLogging: true)
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one))
        _ = try bench.control.nextLook()
        #expect(try bench.upstream.acceptIfAny(within: 30) == nil)
        bench.control.endLook(didSucceed: false)
        let connection = try bench.upstream.accept()
        #expect(!connection.readHead().contains("alice"))
        connection.send(ok())
        #expect(client.readStatus() == 200)
        let lines = try bench.gateway.logLines()
        #expect(lines[0].contains("would_refuse") && lines[0].contains("keys_unavailable"))
    }

    @Test("At most 100 requests wait for the keys of one issuer; the others are answered at once")
    func waiters() throws {
        let bench = try FetchingGateway()
        let waiting = try (0..<100).map { _ in try bench.gateway.connect() }
        for client in waiting { client.send(authorized(SignedToken.one)) }
        _ = try bench.control.nextLook()
        let late = try bench.gateway.connect()
        // Those before are there already, or this one is: nobody waits but a hundred.
        var refused = 0
        late.send(authorized(SignedToken.one))
        let start = Instant.now
        while refused == 0, Instant.now.milliseconds(since: start) < 900 {
            refused += late.hasInput(within: 1) ? 1 : 0
            refused += waiting.count { $0.hasInput(within: 0) }
        }
        #expect(refused == 1)
        bench.control.endLook(didSucceed: false)
        #expect(late.readStatus() == 503)
        for client in waiting { #expect(client.readStatus() == 503) }
        #expect(bench.control.lookIfAny(within: 20) == nil)
    }

    @Test("Keys that are withdrawn are missing again")
    func withdrawn() throws {
        let bench = try FetchingGateway()
        bench.control.publish(try keySet("one"))
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one))
        try bench.serveNext()
        #expect(client.readStatus() == 200)
        bench.control.publish(nil)
        client.send(authorized(SignedToken.one))
        _ = try bench.control.nextLook()
        bench.control.endLook(didSucceed: false)
        #expect(client.readStatus() == 503)
    }

    @Test("Each tenant's keys are asked for by themselves, and only those of admitted tenants")
    func tenants() throws {
        let bench = try FetchingGateway(tenants: #"{ "allow": ["acme"] }"#)
        let client = try bench.gateway.connect()
        client.send(
            authorized(forged(kid: "one", issuer: "https://login.example.com/other/v2.0")))
        #expect(client.readStatus() == 401)
        client.send(authorized(SignedToken.acme))
        let place = KeyPlace(issuer: 0, tenant: "acme")
        #expect(try bench.control.nextLook() == place)
        bench.control.publish(try keySet("one"), at: place)
        bench.control.endLook(at: place)
        try bench.serveNext()
        #expect(client.readStatus() == 200)
    }

    @Test("The use of a key is told about once a second")
    func uses() throws {
        let bench = try FetchingGateway()
        bench.control.publish(try keySet("one"))
        let client = try bench.gateway.connect()
        client.send(authorized(SignedToken.one))
        let connection = try bench.upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
        // The cache knows it: no use of the key.
        #expect(client.exchange(over: connection, authorized(SignedToken.one)).status == 200)
        bench.control.wait(within: 3000) { !bench.control.used.isEmpty }
        let thumbprint = try keySet("one").keys[0].thumbprint
        #expect(bench.control.used.map(\.thumbprint) == [thumbprint])
        #expect(bench.control.used.first?.place == KeyPlace(issuer: 0))
    }

    @Test("Tokens of an issuer whose keys are not fetched never wait")
    func secret() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["\#(upstream.url)"]}}"#,
                routes: #"[{"path":"/**","upstream":"up"}]"#
            ).replacing("\"secretFile\": \"secret\"", with: "\"file\": \"keys.json\""))
        let client = try gateway.connect()
        client.send(authorized(SignedToken.one))
        #expect(client.readStatus() == 503)
        gateway.tellAll(.keys(KeyPlace(issuer: 0), try keySet("two")))
        client.send(authorized(SignedToken.one))
        #expect(client.readStatus() == 401)
        let control = try ScriptedControl(gateway)
        #expect(control.lookIfAny(within: 20) == nil)
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
