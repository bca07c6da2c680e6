import EventLoop
import Glibc
import Testing

/// Signals are sent to the test's own thread only: the rest of the process does not block them.
@Suite struct SignalsTests {
    @Test("A blocked signal is an event of the loop", arguments: Signals.Signal.allCases)
    func told(_ signal: Signals.Signal) throws {
        let told = try inOwnThread { try SignalsTests.told([signal.rawValue]) }
        #expect(told == [signal])
    }

    @Test("Different signals are all told, one that came twice before the loop looked once")
    func several() throws {
        let told = try inOwnThread {
            try SignalsTests.told([SIGTERM, SIGHUP, SIGHUP, SIGINT, SIGHUP])
        }
        #expect(told.count == 3)
        #expect(Set(told) == [.hangUp, .interrupt, .terminate])
    }

    @Test("A thread that is started after blocking does not take them")
    func inherited() throws {
        let isAlive = try inOwnThread {
            Signals.block()
            return try inOwnThread {
                pthread_kill(pthread_self(), SIGTERM)
                return true
            }
        }
        #expect(isAlive)
    }

    @Test("Writing to a pipe that nobody reads is an error and no signal")
    func brokenPipe() throws {
        let error = try inOwnThread { () throws -> SystemError? in
            Signals.block()
            let (near, far) = try Socket.pair()
            close(far)
            defer { close(near) }
            do throws(SystemError) {
                try Files.write([1].span, to: near)
                return nil
            } catch {
                return error
            }
        }
        #expect(error == SystemError(.write, code: EPIPE))
    }

    /// Blocks, listens, raises each signal in this thread, and returns what was told.
    private static func told(_ numbers: [Int32]) throws -> [Signals.Signal] {
        Signals.block()
        let loop = try EventLoop()
        var told: [Signals.Signal] = []
        let signals = try Signals(loop: loop) { told.append($0) }
        for number in numbers { pthread_kill(pthread_self(), number) }
        loop.turn(maxWait: 1000)
        loop.turn(maxWait: 0)
        withExtendedLifetime(signals) {}
        return told
    }
}
