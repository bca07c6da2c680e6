import EventLoop
import Testing

@Suite struct ListenerTests {
    private let loop: EventLoop
    private let listening: ListeningSocket

    init() throws {
        loop = try EventLoop()
        listening = try ListeningSocket.bind(loopback)
    }

    private func client() throws -> End {
        End(try Socket.connecting(to: listening.address))
    }

    @Test("A client is handed over with its address, connected and not blocking")
    func accept() throws {
        var accepted: [(End, SocketAddress)] = []
        let listener = Listener(loop: loop, socket: listening, isShared: false) {
            accepted.append((End($0), $1))
        }
        try listener.start()
        let client = try client()
        #expect(loop.turns { accepted.count == 1 })
        let (end, address) = try #require(accepted.first)
        #expect(address.ipAddress == loopback.ipAddress && address.port != listening.address.port)
        #expect(end.read(loop).outcome == .wouldBlock)
        _ = client.send("hello")
        #expect(loop.turns { end.read(loop).text == "hello" })
        listener.stop()
    }

    @Test("Who stopped accepts no one, and who starts again takes those that wait")
    func stopAndStart() throws {
        var accepted = 0
        let listener = Listener(loop: loop, socket: listening, isShared: false) { _, _ in
            accepted += 1
        }
        try listener.start()
        listener.stop()
        let clients = try (0..<3).map { _ in try client() }
        for _ in 0..<5 { loop.turn(maxWait: 5) }
        #expect(accepted == 0)
        try listener.start()
        #expect(loop.turns { accepted == clients.count })
        listener.stop()
    }

    @Test("Who is stopped by what it handed over leaves the rest in the queue")
    func stoppedInside() throws {
        var accepted = 0
        var stop: () -> Void = {}
        let listener = Listener(loop: loop, socket: listening, isShared: false) { _, _ in
            accepted += 1
            stop()
        }
        stop = { listener.stop() }
        try listener.start()
        let clients = try (0..<10).map { _ in try client() }
        #expect(loop.turns { accepted > 0 })
        for _ in 0..<5 { loop.turn(maxWait: 5) }
        #expect(accepted == 1)
        stop = {}
        try listener.start()
        #expect(loop.turns { accepted == clients.count })
        listener.stop()
    }

    @Test("Draining takes everyone who waits, more than a turn's share, and then no one")
    func drain() throws {
        var accepted = 0
        let listener = Listener(loop: loop, socket: listening, isShared: false) { _, _ in
            accepted += 1
        }
        try listener.start()
        let clients = try (0..<150).map { _ in try client() }
        listener.drainAndStop()
        #expect(accepted == clients.count)
        let late = try client()
        for _ in 0..<5 { loop.turn(maxWait: 5) }
        #expect(accepted == clients.count)
        withExtendedLifetime(late) {}
    }

    @Test("A client that was gone before it was accepted does no harm")
    func goneBefore() throws {
        var accepted: [End] = []
        let listener = Listener(loop: loop, socket: listening, isShared: false) { socket, _ in
            accepted.append(End(socket))
        }
        let first = try client()
        first.socket.resetOnClose()
        withExtendedLifetime(consume first) {}
        let second = try client()
        try listener.start()
        _ = second.send("here")
        #expect(loop.turns { accepted.contains { $0.read(loop).text == "here" } })
        listener.stop()
    }

    @Test("Two loops that share a listener accept each client once")
    func shared() throws {
        let other = try EventLoop()
        var accepted = [0, 0]
        let listeners = [loop, other].enumerated().map { index, loop in
            Listener(loop: loop, socket: listening, isShared: true) { _, _ in accepted[index] += 1 }
        }
        for listener in listeners { try listener.start() }
        for round in 1...20 {
            let client = try client()
            let first = round % 2 == 0 ? loop : other
            #expect(first.turns { accepted[0] + accepted[1] == round })
            other.turn(maxWait: 0)
            loop.turn(maxWait: 0)
            #expect(accepted[0] + accepted[1] == round)
            withExtendedLifetime(client) {}
        }
        #expect(accepted == [10, 10], "either loop takes what comes")
        for listener in listeners { listener.stop() }
    }
}
