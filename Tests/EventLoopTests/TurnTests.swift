import EventLoop
import Testing

@Suite struct TurnTests {
    private let loop: EventLoop

    init() throws {
        loop = try EventLoop()
    }

    @Test("A turn asked for many times is given once, after the call that asked for it")
    func once() {
        let handler = ScriptedHandler()
        let registration = loop.addTimer(handler: handler)
        for _ in 0..<5 { loop.resumeLater(registration) }
        #expect(handler.resumes == 0)
        loop.turn(maxWait: 1000)
        #expect(handler.resumes == 1)
        loop.turn(maxWait: 0)
        #expect(handler.resumes == 1)
    }

    @Test("A turn asked for in a turn comes in the next one, and the loop does not wait for it")
    func again() {
        let handler = ScriptedHandler()
        let registration = loop.addTimer(handler: handler)
        var depth = 0
        handler.onResume = { [loop] in
            depth += 1
            #expect(depth == 1, "never from within itself")
            loop.resumeLater(registration)
            loop.resumeLater(registration)
            depth -= 1
        }
        loop.resumeLater(registration)
        for turn in 1...5 {
            loop.turn()
            #expect(handler.resumes == turn)
        }
    }

    @Test("Turns are given in the order they were asked for")
    func order() {
        var order: [Int] = []
        for number in 0..<20 {
            let handler = ScriptedHandler()
            handler.onResume = { order.append(number) }
            loop.resumeLater(loop.addTimer(handler: handler))
        }
        loop.turn(maxWait: 0)
        #expect(order == Array(0..<20))
    }

    @Test("A turn asked for while reading comes after it, in the same round")
    func afterReading() throws {
        let connection = try Connection(.unix, loop)
        let handler = ScriptedHandler()
        let registration = try connection.watch(loop, handler)
        var log: [String] = []
        handler.onReady = { [loop] _ in
            _ = connection.near.map { near in
                loop.receive(near.socket) { _ in
                    loop.resumeLater(registration)
                    log.append("read")
                }
            }
            log.append("ready")
        }
        handler.onResume = { log.append("resume") }
        loop.startOfTurn = { log.append("start") }
        loop.endOfTurn = { log.append("end") }
        _ = connection.far?.send("x")
        loop.turn(maxWait: 100)
        #expect(log == ["start", "read", "ready", "resume", "end"])
    }

    @Test("Lending the receive buffer twice at once traps")
    func lentTwice() async {
        await #expect(processExitsWith: .failure) {
            let loop = try EventLoop()
            let connection = try Connection(.unix, loop)
            let near = try #require(connection.near)
            _ = connection.far?.send("x")
            _ = loop.receive(near.socket) { _ in
                _ = loop.receive(near.socket) { _ in }
            }
        }
    }

    @Test("A handler may close its descriptor while it reads")
    func closedWhileReading() throws {
        let connection = try Connection(.unix, loop)
        let handler = ScriptedHandler()
        let registration = try connection.watch(loop, handler)
        var outcome: EventLoop.ReceiveOutcome?
        handler.onReady = { [loop] _ in
            guard let descriptor = connection.near?.descriptor else { return }
            outcome = loop.receive(descriptor) { _ in
                loop.forget(registration)
                connection.near = nil
            }
        }
        _ = connection.far?.send("x")
        loop.turn(maxWait: 100)
        #expect(outcome == .bytes(isDrained: true))
        #expect(connection.near == nil)
    }

    @Test("Running ends after the turn in which it was stopped")
    func stop() {
        let handler = ScriptedHandler()
        let registration = loop.addTimer(handler: handler)
        handler.onResume = { [loop] in
            if handler.resumes == 3 { loop.stop() }
            loop.resumeLater(registration)
        }
        var turns = 0
        loop.endOfTurn = { turns += 1 }
        loop.resumeLater(registration)
        loop.run()
        #expect(handler.resumes == 3 && turns == 3)
    }

    @Test("A wait ends at its bound where nothing happens")
    func bounded() {
        let start = Instant.now
        loop.turn(maxWait: 30)
        #expect(Instant.now.milliseconds(since: start) >= 29)
    }
}
