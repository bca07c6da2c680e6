import EventLoop
import Testing

@testable import Gateway

/// WebSockets: nothing flows before the 101, everything behind it.
@Suite struct TunnelTests {
    private static let ask = get(
        "/", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n")
    private static let agree =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n"
        + "Sec-WebSocket-Accept: a\r\n\r\n"

    /// A tunnel, both of its ends, and what holds it.
    private func tunnel(
        upstreamSettings: String = "", more: String = "", receiveBuffer: Int32? = nil,
        isLogging: Bool = false
    ) throws -> (client: Peer, server: Peer, gateway: RunningGateway) {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, upstreamSettings: upstreamSettings, more: more, isLogging: isLogging)
        let client = try gateway.connect(receiveBuffer: receiveBuffer)
        client.send(Self.ask)
        let server = try upstream.accept()
        _ = server.readHead()
        server.send(Self.agree)
        #expect(client.readHead().status == 101)
        return (client, server, gateway)
    }

    @Test("Both sides agree in words of the proxy's")
    func agreement() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, route: #""responseHeaders":{"set":{"X-A":"b"}}"#)
        let client = try gateway.connect()
        client.send(Self.ask)
        let server = try upstream.accept()
        #expect(
            server.readHead().hasSuffix("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        server.send(Self.agree + "early")
        #expect(
            client.readHead() == "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\n"
                + "X-A: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        #expect(client.read(5) == "early")
        client.send("ping")
        #expect(server.read(4) == "ping")
        server.send("pong")
        #expect(client.read(4) == "pong")
    }

    @Test("What a client sends too early is held until the 101")
    func earlyBytes() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(Self.ask + "early ")
        let server = try upstream.accept()
        _ = server.readHead()
        client.send("bytes")
        #expect(!server.hasInput(within: 50))
        server.send(Self.agree)
        #expect(server.read(11) == "early bytes")
        #expect(client.readHead().status == 101)
    }

    @Test("Where no 101 comes, what was sent too early is the next request, checked like others")
    func earlyBytesWithoutSwitch() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["\#(upstream.url)"]}}"#,
                routes: """
                    [{"path":"/","access":"public","upstream":"up"},
                     {"path":"/closed","upstream":"up"}]
                    """))
        let client = try gateway.connect()
        client.send(Self.ask + get("/closed"))
        let server = try upstream.accept()
        _ = server.readHead()
        server.send(ok())
        #expect(client.readStatus() == 200)
        #expect(client.readStatus() == 401)
        #expect(!server.hasInput(within: 20))
    }

    static let unasked: [(request: String, response: String)] = [
        (get(), agree), (get("/", "Upgrade: websocket\r\n"), agree),
        (get("/", "Connection: Upgrade\r\nUpgrade: h2c\r\n"), agree),
        (get("/", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"), agree),
        ("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", agree),
        (ask, "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        (ask, "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n"),
        (ask, "HTTP/1.1 101 S\r\nConnection: Upgrade\r\n\r\n"),
        (ask, "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket, x\r\n\r\n"),
        (
            ask,
            "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Content-Length: 5\r\n\r\n"
        ),
    ]

    @Test(
        "A switch that nobody asked for, or to something else, is 502 and no tunnel",
        arguments: unasked)
    func unexpectedSwitch(_ request: String, _ response: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(request)
        let server = try upstream.accept()
        _ = server.readHead()
        server.send(response + "poison")
        let answer = client.readMessage()
        #expect(answer.status == 502)
        #expect(answer.contains("urn:bearward:problem:upstream_invalid"))
        #expect(server.waitForEnd() != .open)
        client.send(get("/%00"))
        #expect(client.readStatus() == 400)
    }

    @Test("A request with a body asks for no tunnel")
    func upgradeWithBody() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(
            get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n") + "hi")
        #expect(!(try upstream.accept().readHead().lowercased().contains("upgrade")))
    }

    @Test("The client's end is passed on; the upstream's direction goes on until its own end")
    func clientEndsFirst() throws {
        let (client, server, gateway) = try tunnel()
        client.send("last")
        client.shutdownWriting()
        #expect(server.readToEnd() == ("last", .closed))
        server.send("answer")
        #expect(client.read(6) == "answer")
        server.send("end")
        server.close()
        #expect(client.readToEnd() == ("end", .closed))
        withExtendedLifetime(gateway) {}
    }

    @Test("The upstream's end is passed on; the client's direction goes on until its own end")
    func upstreamEndsFirst() throws {
        let (client, server, gateway) = try tunnel()
        server.send("last")
        server.shutdownWriting()
        #expect(client.readToEnd() == ("last", .closed))
        client.send("answer")
        #expect(server.read(6) == "answer")
        client.send("end")
        client.close()
        #expect(server.readToEnd() == ("end", .closed))
        withExtendedLifetime(gateway) {}
    }

    @Test("A lot that is on its way when a side ends arrives whole", arguments: [true, false])
    func endBehindMuch(_ isFromClient: Bool) throws {
        let (client, server, gateway) = try tunnel(receiveBuffer: 4096)
        let (sender, receiver) = isFromClient ? (client, server) : (server, client)
        // More than the kernel's buffers hold waits in the proxy and is followed by the end.
        let block = [UInt8](repeating: 0x61, count: 65_536)
        let count = sender.flood(block, for: 100, atMost: 64 << 20)
        sender.shutdownWriting()
        #expect(receiver.read(count).utf8.count == count)
        #expect(receiver.readToEnd() == ("", .closed))
        receiver.send("bye")
        #expect(sender.read(3) == "bye")
        withExtendedLifetime(gateway) {}
    }

    @Test("A side that goes takes the other along", arguments: [true, false])
    func reset(_ isClient: Bool) throws {
        let (client, server, gateway) = try tunnel(isLogging: true)
        (isClient ? client : server).reset()
        #expect((isClient ? server : client).waitForEnd() != .open)
        let line = try gateway.logLines().last ?? ""
        #expect(line.contains(#""status":101"#))
    }

    @Test(
        "A side that does not read stops the other; nothing is lost, and nothing ends",
        arguments: [true, false])
    func backpressure(_ isFromClient: Bool) throws {
        let (client, server, gateway) = try tunnel(
            more: #""timeouts":{"body":"1s"}"#, receiveBuffer: 4096)
        let (sender, receiver) = isFromClient ? (client, server) : (server, client)
        let most = 64 << 20
        let block = [UInt8](repeating: 0x61, count: 65_536)
        let count = sender.flood(block, for: 100, atMost: most)
        #expect(count < most)
        #expect(receiver.read(count).utf8.count == count)
        // Well after the deadline for a slow client the tunnel is still there.
        #expect(!receiver.hasInput(within: 1800))
        sender.send("a")
        #expect(receiver.read(1) == "a")
        receiver.send("b")
        #expect(sender.read(1) == "b")
        withExtendedLifetime(gateway) {}
    }

    @Test("A client that takes nothing for timeouts.body ends its tunnel")
    func stalledClient() throws {
        let (client, server, gateway) = try tunnel(
            more: #""timeouts":{"body":"100ms"}"#, receiveBuffer: 4096)
        let block = [UInt8](repeating: 0x61, count: 65_536)
        _ = server.flood(block, for: 50, atMost: 64 << 20)
        #expect(server.waitForEnd() != .open)
        withExtendedLifetime((client, gateway)) {}
    }

    @Test("Silence ends a tunnel after timeouts.stream, bytes of either side put it off")
    func silence() throws {
        let (client, server, gateway) = try tunnel(
            upstreamSettings: #""timeouts":{"stream":"1s"}"#)
        for number in 0..<16 {
            let (sender, receiver) = number < 8 ? (client, server) : (server, client)
            sender.send("x")
            #expect(receiver.read(1) == "x")
            #expect(!receiver.hasInput(within: 150))
        }
        #expect(client.waitForEnd() != .open)
        #expect(server.waitForEnd() != .open)
        withExtendedLifetime(gateway) {}
    }
}
