import Testing

@testable import EventLoop

/// Time is injected: `tellDeadlines` is given instants, and no turn reads the clock.
@Suite struct DeadlineTests {
    private let loop: EventLoop
    private let handler = ScriptedHandler()
    private let registration: Registration
    /// The beginning of the tick after the loop's own beginning.
    private let start: Instant

    init() throws {
        loop = try EventLoop()
        registration = loop.addTimer(handler: handler)
        start = Instant(nanoseconds: (loop.now.nanoseconds >> 24 + 1) << 24)
        loop.tellDeadlines(upTo: start)
    }

    private func at(_ milliseconds: Int64) -> Instant {
        start.advanced(byMilliseconds: milliseconds)
    }

    /// Goes on to an instant in steps of about a tick; the milliseconds at which the deadline was
    /// told.
    private func told(from first: Int64 = 0, upTo end: Int64, step: Int64 = 17) -> [Int64] {
        var times: [Int64] = []
        var time = first
        handler.onDeadline = { times.append(time) }
        while time <= end {
            loop.tellDeadlines(upTo: at(time))
            time += step
        }
        return times
    }

    @Test(
        "A deadline is told once, not before its instant and within two ticks after it",
        arguments: [0, 1, 17, 250, 5_000, 68_000, 69_000, 75_000, 600_000, 7_200_000] as [Int64])
    func told(_ deadline: Int64) {
        loop.setDeadline(registration, at(deadline))
        // Longer steps for the far ones, or the test would take its time.
        let step = max(17, deadline / 5000)
        let times = told(upTo: deadline + 70_000, step: step)
        #expect(times.count == 1)
        #expect((deadline...deadline + 34 + step).contains(times.first ?? -1))
    }

    @Test("A deadline that was moved later is told at its new instant")
    func later() {
        loop.setDeadline(registration, at(1000))
        #expect(told(upTo: 500).isEmpty)
        loop.setDeadline(registration, at(3000))
        let times = told(from: 501, upTo: 100_000)
        #expect(times.count == 1 && (3000...3051).contains(times.first ?? -1))
    }

    @Test("A deadline that was moved earlier is told at its new instant, and only then")
    func earlier() {
        loop.setDeadline(registration, at(60_000))
        loop.setDeadline(registration, at(1000))
        let times = told(upTo: 100_000)
        #expect(times.count == 1 && (1000...1051).contains(times.first ?? -1))
    }

    @Test("A deadline that was lifted is not told")
    func lifted() {
        loop.setDeadline(registration, at(1000))
        loop.setDeadline(registration, nil)
        #expect(told(upTo: 100_000).isEmpty)
    }

    @Test("A deadline that was lifted and set again is told once")
    func liftedAndSet() {
        loop.setDeadline(registration, at(1000))
        loop.setDeadline(registration, nil)
        loop.setDeadline(registration, at(2000))
        let times = told(upTo: 100_000)
        #expect(times.count == 1 && (2000...2051).contains(times.first ?? -1))
    }

    @Test("A deadline in the past is told in the next tick", arguments: [0, -1, -1000] as [Int64])
    func past(_ milliseconds: Int64) {
        loop.setDeadline(registration, at(milliseconds))
        let times = told(upTo: 1000)
        #expect(times.count == 1 && times[0] <= 34)
    }

    @Test("The end of time never comes")
    func never() {
        loop.setDeadline(registration, Instant(nanoseconds: .max))
        #expect(told(upTo: 200_000).isEmpty)
        loop.setDeadline(registration, Instant(nanoseconds: .max - 1))
        #expect(told(from: 200_000, upTo: 400_000).isEmpty)
    }

    @Test("A loop that was held up tells everything that passed meanwhile, at once")
    func heldUp() {
        loop.setDeadline(registration, at(100))
        loop.setDeadline(registration, at(70_000))
        loop.tellDeadlines(upTo: at(500_000))
        #expect(handler.deadlines == 1)
    }

    @Test("A handler that sets its deadline again when told is told at each")
    func periodic() {
        var time: Int64 = 0
        handler.onDeadline = { [loop, registration] in
            loop.setDeadline(registration, at(time + 1000))
        }
        loop.setDeadline(registration, at(1000))
        while time <= 10_100 {
            loop.tellDeadlines(upTo: at(time))
            time += 10
        }
        #expect((9...10).contains(handler.deadlines))
    }

    @Test("A handler that is removed by one told before it is not told")
    func removedMeanwhile() {
        let other = ScriptedHandler()
        let second = loop.addTimer(handler: other)
        handler.onDeadline = { [loop] in loop.forget(second) }
        other.onDeadline = { [loop, registration] in loop.forget(registration) }
        loop.setDeadline(registration, at(100))
        loop.setDeadline(second, at(100))
        loop.tellDeadlines(upTo: at(200))
        #expect(handler.deadlines + other.deadlines == 1)
    }

    @Test("A deadline that was lifted by one told before it is not told")
    func liftedMeanwhile() {
        let other = ScriptedHandler()
        let second = loop.addTimer(handler: other)
        handler.onDeadline = { [loop] in loop.setDeadline(second, nil) }
        other.onDeadline = { [loop, registration] in loop.setDeadline(registration, nil) }
        loop.setDeadline(registration, at(100))
        loop.setDeadline(second, at(100))
        loop.tellDeadlines(upTo: at(200))
        #expect(handler.deadlines + other.deadlines == 1)
    }

    @Test("By the clock too: a wait ends for a deadline, and not before it")
    func clock() {
        let deadline = Instant.now.advanced(byMilliseconds: 40)
        loop.setDeadline(registration, deadline)
        var turns = 0
        loop.endOfTurn = { turns += 1 }
        // Nothing else bounds the wait.
        while handler.deadlines == 0, turns < 1000 { loop.turn() }
        #expect(handler.deadlines == 1)
        #expect(Instant.now >= deadline)
        #expect(turns < 10, "waiting, not spinning")
    }
}
