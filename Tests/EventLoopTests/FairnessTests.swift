import EventLoop
import Testing

@Suite struct FairnessTests {
    private let loop: EventLoop

    init() throws {
        loop = try EventLoop()
    }

    @Test("More connections than a turn takes are all told within two, though the first stay busy")
    func manyReady() throws {
        let connections = try (0..<400).map { _ in try Connection(.unix, loop) }
        let handlers = connections.map { _ in ScriptedHandler() }
        for (connection, handler) in zip(connections, handlers) {
            _ = try connection.watch(loop, handler)
        }
        loop.turn(maxWait: 0)
        let told = handlers.filter { !$0.seen.isEmpty }.count
        #expect(told < connections.count)
        for (connection, handler) in zip(connections, handlers) where !handler.seen.isEmpty {
            _ = connection.far?.send("more")
        }
        loop.turn(maxWait: 0)
        #expect(handlers.allSatisfy { !$0.seen.isEmpty })
    }

    @Test("A connection with endless input takes one read a turn beside the others")
    func endlessInput() throws {
        let (busy, quiet) = (try Connection(.unix, loop), try Connection(.unix, loop))
        let (greedy, modest) = (ScriptedHandler(), ScriptedHandler())
        let registration = try busy.watch(loop, greedy)
        _ = try quiet.watch(loop, modest)
        var reads = 0
        // What a connection does: one read, and another turn where more may be there.
        let read = { [loop] in
            _ = busy.far?.fill()
            guard case .bytes? = busy.near?.read(loop).outcome else { return }
            reads += 1
            loop.resumeLater(registration)
        }
        greedy.onReady = { _ in read() }
        greedy.onResume = read
        loop.turn(maxWait: 0)
        for round in 1...20 {
            let before = (reads, modest.seen.count)
            _ = quiet.far?.send("\(round)")
            loop.turn(maxWait: 0)
            #expect(modest.seen.count == before.1 + 1, "told in the same turn")
            #expect((1...2).contains(reads - before.0), "an event's read and a turn's")
        }
    }

    @Test("A crowd at the listener does not hold up who is connected")
    func crowd() throws {
        let connection = try Connection(.unix, loop)
        let handler = ScriptedHandler()
        let listening = try ListeningSocket.bind(loopback)
        var accepted: [End] = []
        let listener = Listener(loop: loop, socket: listening, isShared: false) { socket, _ in
            accepted.append(End(socket))
        }
        try listener.start()
        _ = try connection.watch(loop, handler)
        let clients = try (0..<200).map { _ in
            End(try Socket.connecting(to: listening.address))
        }
        handler.onReady = { _ in
            // Told in the first turns, while most clients still wait.
            #expect(accepted.count < clients.count)
        }
        var before = 0
        loop.endOfTurn = {
            #expect(accepted.count - before <= 64, "a bounded number a turn")
            before = accepted.count
        }
        loop.turn(maxWait: 100)
        #expect(handler.seen == [.writable])
        #expect(loop.turns { accepted.count == clients.count })
        listener.stop()
    }
}
