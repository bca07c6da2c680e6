import EventLoop
import Glibc
import Testing

@Suite struct ReadinessTests {
    private let loop: EventLoop
    private let handler = ScriptedHandler()

    init() throws {
        loop = try EventLoop()
    }

    @Test("A new stream is told that it can write", arguments: Connection.Kind.allCases)
    func newStream(_ kind: Connection.Kind) throws {
        let connection = try Connection(kind, loop)
        _ = try connection.watch(loop, handler)
        loop.turn(maxWait: 0)
        #expect(handler.seen == [.writable])
    }

    @Test("A stream hears of each change once", arguments: Connection.Kind.allCases)
    func edgeTriggered(_ kind: Connection.Kind) throws {
        let connection = try Connection(kind, loop)
        _ = try connection.watch(loop, handler)
        loop.turn(maxWait: 0)
        for round in 1...3 {
            _ = connection.far?.send("news")
            #expect(loop.turns { handler.seen.count == round + 1 })
            #expect(handler.seen.last?.contains(.readable) == true)
            loop.turn(maxWait: 0)
            #expect(handler.seen.count == round + 1, "unread bytes are not told again")
        }
    }

    @Test("An incoming descriptor is told each turn while something is there")
    func levelTriggered() throws {
        let connection = try Connection(.unix, loop)
        let near = try #require(connection.near)
        _ = try loop.add(near.descriptor, .incoming, handler: handler)
        loop.turn(maxWait: 0)
        #expect(handler.seen.isEmpty, "only reading is asked for")
        _ = connection.far?.send("news")
        for _ in 0..<3 { loop.turn(maxWait: 0) }
        #expect(handler.seen == [.readable, .readable, .readable])
        _ = near.readAll(loop)
        loop.turn(maxWait: 0)
        #expect(handler.seen.count == 3)
    }

    @Test(
        "A full buffer turns writable once the peer has read", arguments: Connection.Kind.allCases)
    func writableAgain(_ kind: Connection.Kind) throws {
        let connection = try Connection(kind, loop)
        let (near, far) = (try #require(connection.near), try #require(connection.far))
        _ = try connection.watch(loop, handler)
        loop.turn(maxWait: 0)
        handler.seen = []
        var sent = near.fill()
        var received = 0
        let isWritable = loop.turns {
            received += far.readAll(loop).count
            return handler.all.contains(.writable)
        }
        #expect(isWritable)
        #expect(near.send("on") == .sent(2))
        sent += 2
        #expect(
            loop.turns {
                received += far.readAll(loop).count
                return received == sent
            })
    }

    @Test(
        "A peer that ends its direction is told, and can still be written to",
        arguments: Connection.Kind.allCases)
    func halfClose(_ kind: Connection.Kind) throws {
        let connection = try Connection(kind, loop)
        let (near, far) = (try #require(connection.near), try #require(connection.far))
        _ = try connection.watch(loop, handler)
        _ = far.send("last words")
        far.socket.shutdownWriting()
        #expect(loop.turns { handler.all.isSuperset(of: [.readable, .peerClosed]) })
        #expect(!handler.all.contains(.hungUp))
        let words = near.read(loop)
        #expect(words.text == "last words")
        #expect(words.outcome == .bytes(isDrained: true), "a short read comes before the end")
        #expect(near.read(loop).outcome == .endOfStream)
        #expect(near.send("answer") == .sent(6))
        #expect(loop.turns { far.read(loop).text == "answer" })
    }

    @Test("The end of a stream stays its end")
    func endStays() throws {
        let connection = try Connection(.tcp, loop)
        connection.far = nil
        #expect(loop.turns { connection.near?.read(loop).outcome == .endOfStream })
        #expect(connection.near?.read(loop).outcome == .endOfStream)
    }

    @Test("A connection closed on both sides is hung up", arguments: Connection.Kind.allCases)
    func fullClose(_ kind: Connection.Kind) throws {
        let connection = try Connection(kind, loop)
        _ = try connection.watch(loop, handler)
        connection.near?.socket.shutdownWriting()
        connection.far = nil
        #expect(loop.turns { handler.all.isSuperset(of: [.hungUp, .peerClosed]) })
    }

    @Test("A reset is told as hung up, and reading says why")
    func reset() throws {
        let connection = try Connection(.tcp, loop)
        _ = try connection.watch(loop, handler)
        _ = connection.far?.send("lost")
        connection.far?.socket.resetOnClose()
        connection.far = nil
        #expect(loop.turns { handler.all.contains(.hungUp) })
        let outcome = connection.near?.readAll(loop).end
        #expect(outcome == .failed(SystemError(.receive, code: ECONNRESET)))
    }

    @Test("Reading says what is there", arguments: Connection.Kind.allCases)
    func receiveOutcomes(_ kind: Connection.Kind) throws {
        let connection = try Connection(kind, loop)
        let (near, far) = (try #require(connection.near), try #require(connection.far))
        #expect(near.read(loop).outcome == .wouldBlock)
        let more = [UInt8](repeating: 0x62, count: EventLoop.receiveCapacity + 1)
        var sent = 0
        var received = 0
        var wasFull = false
        let isOver = loop.turns {
            if sent < more.count,
                case .sent(let count) = far.socket.send(more.span.extracting(sent..<more.count))
            {
                sent += count
                if sent < more.count { return false }
            }
            let outcome = loop.receive(near.socket) { received += $0.count }
            if outcome == .bytes(isDrained: false) { wasFull = true }
            return received == more.count
        }
        #expect(isOver)
        #expect(wasFull || kind == .tcp, "a full buffer does not say that the kernel has no more")
        #expect(near.read(loop).outcome == .wouldBlock)
    }

    @Test("What cannot be watched is refused and leaves nothing behind")
    func unwatchable() throws {
        #expect(throws: SystemError(.epoll, code: EBADF)) {
            try loop.add(-1, .stream, handler: handler)
        }
        let connection = try Connection(.unix, loop)
        let registration = try connection.watch(loop, handler)
        #expect(throws: SystemError(.epoll, code: EEXIST)) {
            try connection.watch(loop, ScriptedHandler())
        }
        loop.turn(maxWait: 0)
        #expect(handler.seen == [.writable], "the first registration stands")
        loop.remove(registration, descriptor: try #require(connection.near).descriptor)
    }
}
