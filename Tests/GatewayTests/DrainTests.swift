import EventLoop
import Testing

@testable import Gateway

/// The end: nothing new, nothing cut off that can still finish.
@Suite struct DrainTests {
    @Test("Connections at rest are closed, and the worker ends")
    func idle() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let fresh = try gateway.connect()
        let kept = try gateway.connect()
        kept.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(kept.readStatus() == 200)
        gateway.tellAll(.drain)
        #expect(kept.waitForEnd() == .closed)
        #expect(fresh.waitForEnd() == .closed)
        gateway.join()
        #expect(gateway.endedWorkers == 1)
        #expect(connection.waitForEnd() == .closed)
    }

    @Test("Without connections the workers end at once, all of them")
    func nothingOpen() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""workers":3"#)
        gateway.tellAll(.drain)
        gateway.join()
        #expect(gateway.endedWorkers == 3)
    }

    @Test(
        "A request under way finishes, is the connection's last, and then the worker ends",
        arguments: [get(), post(5)])
    func busy(_ request: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(request)
        let connection = try upstream.accept()
        _ = connection.readHead()
        let idle = try gateway.connect()
        idle.send(get("/%00"))
        #expect(idle.readStatus() == 400)
        gateway.tellAll(.drain)
        #expect(idle.waitForEnd() == .closed)
        if request.hasPrefix("POST") {
            client.send("hello")
            #expect(connection.read(5) == "hello")
        }
        connection.send(ok("late"))
        let response = client.readMessage()
        #expect(response.contains("\r\nConnection: close\r\n") && response.hasSuffix("late"))
        #expect(client.waitForEnd() == .closed)
        client.close()
        gateway.join()
        #expect(gateway.endedWorkers == 1)
    }

    @Test("A head under way may finish, and its request is served")
    func halfHead() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send("GET / HTTP/1.1\r\nHo")
        let probe = try gateway.connect()
        probe.send(get("/%00"))
        #expect(probe.readStatus() == 400)
        gateway.tellAll(.drain)
        #expect(probe.waitForEnd() == .closed)
        client.send("st: a\r\n\r\n")
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readMessage().contains("\r\nConnection: close\r\n"))
    }

    @Test("Requests that wait in line behind the one under way are not begun")
    func pipelined() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get("/1") + get("/2"))
        let connection = try upstream.accept()
        _ = connection.readHead()
        let probe = try gateway.connect()
        probe.send(get("/%00"))
        #expect(probe.readStatus() == 400)
        gateway.tellAll(.drain)
        #expect(probe.waitForEnd() == .closed)
        connection.send(ok("1"))
        let (text, ending) = client.readToEnd()
        #expect(text.hasSuffix("1") && text.contains("Connection: close"))
        #expect(ending != .open)
        #expect(connection.waitForEnd() == .closed)
    }

    @Test("What was sent before the drain is served, though it was not read yet")
    func unreadRequests() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let clients = try (0..<20).map { _ in try gateway.connect() }
        for client in clients { client.send(get("/%00")) }
        gateway.tellAll(.drain)
        for client in clients {
            #expect(client.readStatus() == 400)
            #expect(client.waitForEnd() == .closed)
            client.close()
        }
        gateway.join()
    }

    @Test("No connection is taken any more")
    func refusesNew() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        let idle = try gateway.connect()
        idle.send(get("/%00"))
        #expect(idle.readStatus() == 400)
        gateway.tellAll(.drain)
        #expect(idle.waitForEnd() == .closed)
        let late = try gateway.connect()
        late.send(get("/%00"))
        #expect(late.readToEnd().text == "")
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test("A client that reads its last response late is let go once it has it")
    func lateReader() throws {
        let upstream = try ScriptedUpstream()
        // Of these lengths some are taken by the kernel whole, some leave a rest in the proxy.
        for size in stride(from: 200, through: 256, by: 8) {
            let folder = TemporaryFolder()
            let gateway = try publicGateway(
                to: upstream, listeners: #"[{"address":"unix:\#(folder.path("in"))"}]"#)
            let client = try gateway.connect()
            client.send(get())
            let connection = try upstream.accept()
            _ = connection.readHead()
            let body = [UInt8](repeating: 0x61, count: size << 10)
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n")
            connection.send(body)
            // The proxy has taken what it takes while nobody reads.
            #expect(!connection.hasInput(within: 20))
            gateway.tellAll(.drain)
            #expect(!connection.hasInput(within: 20) || connection.waitForEnd() == .closed)
            #expect(client.readMessage().status == 200)
            #expect(client.waitForEnd() == .closed, "\(size) KiB")
            client.close()
            gateway.join()
        }
    }

    @Test(
        "Where the time is up, what is under way is cut off visibly, and logged",
        arguments: [
            "", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "HTTP/1.1 200 OK\r\n\r\nhalf",
        ])
    func stop(_ begun: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, isLogging: true)
        let client = try gateway.connect()
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(begun)
        if !begun.isEmpty { #expect(client.read(through: "half").hasSuffix("half")) }
        gateway.tellAll(.drain)
        #expect(!client.hasInput(within: 50))
        let lines = try gateway.logLines()
        #expect(client.readToEnd() == ("", .reset))
        #expect(connection.waitForEnd() != .open)
        #expect(lines.count == 1)
    }

    @Test("A tunnel lasts as long as its ends, or until the time is up")
    func tunnel() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        _ = client.readHead()
        gateway.tellAll(.drain)
        client.send("ping")
        #expect(connection.read(4) == "ping")
        client.close()
        connection.close()
        gateway.join()
        #expect(gateway.endedWorkers == 1)
    }
}
