import EventLoop
import Glibc
import Testing

@Suite struct ExhaustionTests {
    private struct Outcome: Sendable {
        var acceptedWhileFull = 0
        var turnsWhileFull = 0
        var heardWhileFull = ""
        var acceptedAfterwards = 0
        var isServed = false
    }

    @Test("Without descriptors a listener waits quietly, others are served, and it recovers")
    func listener() throws {
        let outcome = try inOwnThread { () throws -> Outcome in
            var outcome = Outcome()
            var hoard = try DescriptorHoard()
            let loop = try EventLoop()
            let listening = try ListeningSocket.bind(loopback)
            var accepted: [End] = []
            let listener = Listener(loop: loop, socket: listening, isShared: false) { socket, _ in
                accepted.append(End(socket))
            }
            try listener.start()
            let connection = try Connection(.unix, loop)
            let handler = ScriptedHandler()
            _ = try connection.watch(loop, handler)
            let clients = try (0..<3).map { _ in
                End(try Socket.connecting(to: listening.address))
            }
            loop.endOfTurn = { outcome.turnsWhileFull += 1 }
            hoard.fill()

            // Several pauses long.
            let end = Instant.now.advanced(byMilliseconds: 200)
            while Instant.now < end { loop.turn(maxWait: 200) }
            loop.endOfTurn = nil
            outcome.acceptedWhileFull = accepted.count
            _ = connection.far?.send("served")
            _ = loop.turns { handler.all.contains(.readable) }
            outcome.heardWhileFull = connection.near?.read(loop).text ?? ""

            hoard.free()
            outcome.isServed = loop.turns { accepted.count == clients.count }
            outcome.acceptedAfterwards = accepted.count
            listener.stop()
            return outcome
        }
        #expect(outcome.acceptedWhileFull == 0)
        #expect(outcome.turnsWhileFull < 30, "no spinning on a listener that stays readable")
        #expect(outcome.heardWhileFull == "served")
        #expect(outcome.isServed && outcome.acceptedAfterwards == 3)
    }

    @Test("A listener stopped for want of descriptors stays stopped, and can be started again")
    func stoppedWhilePaused() throws {
        let counts = try inOwnThread { () throws -> [Int] in
            var hoard = try DescriptorHoard()
            let loop = try EventLoop()
            let listening = try ListeningSocket.bind(loopback)
            var accepted = 0
            let listener = Listener(loop: loop, socket: listening, isShared: false) { _, _ in
                accepted += 1
            }
            try listener.start()
            let client = End(try Socket.connecting(to: listening.address))
            hoard.fill()
            loop.turn(maxWait: 100)
            hoard.free()
            listener.stop()
            let end = Instant.now.advanced(byMilliseconds: 120)
            while Instant.now < end { loop.turn(maxWait: 20) }
            let whileStopped = accepted
            try listener.start()
            _ = loop.turns { accepted == 1 }
            listener.stop()
            withExtendedLifetime(client) {}
            return [whileStopped, accepted]
        }
        #expect(counts == [0, 1])
    }

    @Test("A listener stopped by the last client it had a descriptor for does not come back")
    func stoppedByLast() throws {
        let accepted = try inOwnThread { () throws -> Int in
            var hoard = try DescriptorHoard()
            let loop = try EventLoop()
            let listening = try ListeningSocket.bind(loopback)
            var accepted: [End] = []
            var stop: () -> Void = {}
            let listener = Listener(loop: loop, socket: listening, isShared: false) { socket, _ in
                accepted.append(End(socket))
                stop()
            }
            stop = { listener.stop() }
            try listener.start()
            let clients = try (0..<3).map { _ in
                End(try Socket.connecting(to: listening.address))
            }
            let spare = dup(0)
            hoard.fill()
            close(spare)
            loop.turn(maxWait: 100)
            hoard.free()
            let end = Instant.now.advanced(byMilliseconds: 120)
            while Instant.now < end { loop.turn(maxWait: 20) }
            withExtendedLifetime(clients) {}
            return accepted.count
        }
        #expect(accepted == 1)
    }

    @Test("Whatever needs a descriptor says that there is none")
    func errors() throws {
        let errors = try inOwnThread { () throws -> [SystemError?] in
            var hoard = try DescriptorHoard()
            hoard.fill()
            defer { hoard.free() }
            func error(_ work: () throws(SystemError) -> Void) -> SystemError? {
                do throws(SystemError) {
                    try work()
                    return nil
                } catch {
                    return error
                }
            }
            return [
                error { () throws(SystemError) in _ = try EventLoop() },
                error { () throws(SystemError) in _ = try Mailbox<Int>() },
                error { () throws(SystemError) in _ = try Socket.pair() },
                error { () throws(SystemError) in _ = try Socket.connecting(to: loopback) },
                error { () throws(SystemError) in _ = try ListeningSocket.bind(loopback) },
                error { () throws(SystemError) in _ = try Files.read("/dev/null", maxBytes: 1) },
            ]
        }
        let calls: [SystemError.Call] = [.epoll, .eventfd, .socket, .socket, .socket, .open]
        #expect(errors == calls.map { SystemError($0, code: EMFILE) })
        #expect(errors.allSatisfy { $0?.isOutOfDescriptors == true })
    }

    @Test("The limit of descriptors is raised as far as the system lets it")
    func raise() {
        let limit = EventLoop.descriptorLimit()
        #expect(limit == EventLoop.descriptorLimit())
        #expect(limit >= 256)
    }
}

extension EventLoop {
    /// Raises the limit, as a server does when it starts.
    fileprivate static func descriptorLimit() -> Int { Process.raiseDescriptorLimit() }
}
