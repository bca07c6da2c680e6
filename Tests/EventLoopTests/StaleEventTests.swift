import EventLoop
import Glibc
import Testing

@Suite struct StaleEventTests {
    /// How a handler leaves the loop.
    enum Leaving: CaseIterable {
        case remove, forget
    }

    private let loop: EventLoop

    init() throws {
        loop = try EventLoop()
    }

    private func leave(_ leaving: Leaving, _ registration: Registration, _ descriptor: Int32) {
        switch leaving {
        case .remove: loop.remove(registration, descriptor: descriptor)
        case .forget: loop.forget(registration)
        }
    }

    @Test(
        "An event for a descriptor that was closed does not reach the next owner of its number",
        arguments: Leaving.allCases)
    func numberReused(_ leaving: Leaving) throws {
        let connections = [try Connection(.unix, loop), try Connection(.unix, loop)]
        let handlers = [ScriptedHandler(), ScriptedHandler()]
        let registrations = try (0...1).map { try connections[$0].watch(loop, handlers[$0]) }
        let newcomer = ScriptedHandler()
        var replacement: Connection?
        // Both are ready in one turn; whoever is told first closes the other and takes its number.
        for first in 0...1 {
            handlers[first].onReady = { _ in
                let other = 1 - first
                guard replacement == nil, let number = connections[other].near?.descriptor
                else { return }
                self.leave(leaving, registrations[other], number)
                connections[other].near = nil
                replacement = try? Connection(.unix, self.loop)
                if let near = replacement?.near, near.descriptor != number {
                    replacement?.near = End(Socket(adopting: dup2(near.descriptor, number)))
                }
                _ = try? replacement?.watch(self.loop, newcomer)
            }
        }
        for connection in connections { _ = connection.far?.send("old news") }
        loop.turn(maxWait: 1000)
        #expect(replacement != nil)
        #expect(handlers[0].seen.count + handlers[1].seen.count == 1, "one left before its event")
        #expect(newcomer.seen.isEmpty, "the event was another's")
        loop.turn(maxWait: 1000)
        #expect(newcomer.seen == [.writable])
        #expect(handlers[0].seen.count + handlers[1].seen.count == 1)
    }

    @Test(
        "After leaving, a handler hears of no event, turn or deadline", arguments: Leaving.allCases)
    func silence(_ leaving: Leaving) throws {
        let connection = try Connection(.unix, loop)
        let handler = ScriptedHandler()
        let registration = try connection.watch(loop, handler)
        loop.resumeLater(registration)
        loop.setDeadline(registration, loop.now)
        _ = connection.far?.send("news")
        leave(leaving, registration, try #require(connection.near).descriptor)
        connection.near = nil
        for _ in 0..<4 { loop.turn(maxWait: 20) }
        #expect(handler.seen.isEmpty && handler.resumes == 0 && handler.deadlines == 0)
    }

    @Test("An old registration does nothing to whoever has its place now")
    func oldRegistration() throws {
        let first = loop.addTimer(handler: ScriptedHandler())
        loop.forget(first)
        let handler = ScriptedHandler()
        let second = loop.addTimer(handler: handler)
        #expect(first != second)
        loop.setDeadline(first, loop.now)
        loop.resumeLater(first)
        for _ in 0..<4 { loop.turn(maxWait: 20) }
        #expect(handler.resumes == 0 && handler.deadlines == 0)
        loop.forget(first)
        loop.remove(first, descriptor: -1)
        loop.resumeLater(second)
        loop.turn(maxWait: 0)
        #expect(handler.resumes == 1)
    }

    @Test("No place is never anybody's place")
    func none() {
        loop.forget(.none)
        loop.remove(.none, descriptor: -1)
        loop.resumeLater(.none)
        loop.setDeadline(.none, loop.now)
        loop.turn(maxWait: 0)
    }

    @Test("The loop lets go of a handler that left, even in the middle of its own call")
    func release() throws {
        let connection = try Connection(.unix, loop)
        weak var seen: ScriptedHandler?
        do {
            let handler = ScriptedHandler()
            seen = handler
            let registration = try connection.watch(loop, handler)
            handler.onReady = { [loop] _ in loop.forget(registration) }
        }
        #expect(seen != nil)
        loop.turn(maxWait: 100)
        #expect(seen == nil)
    }
}
