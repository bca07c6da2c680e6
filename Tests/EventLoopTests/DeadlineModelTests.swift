import Testing

@testable import EventLoop

/// The deadlines of a loop against a list that is searched from end to end.
@Suite struct DeadlineModelTests {
    /// xorshift64: the same operations for a seed on every machine.
    private struct Randomness: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
    }

    /// A handler, and when the model expects it to be told.
    private final class Timer {
        let handler = ScriptedHandler()
        var registration = Registration.none
        /// The first tick in which it must be told.
        var due: Int64?
    }

    @Test(
        "Random deadlines are told in the tick that a plain list says",
        arguments: 1...20 as ClosedRange<UInt64>)
    func loop(_ seed: UInt64) throws {
        var random = Randomness(state: seed &* 0x9e37_79b9_7f4a_7c15)
        let loop = try EventLoop()
        var now = loop.now
        let timers = (0..<50).map { _ in Timer() }
        for timer in timers { timer.registration = loop.addTimer(handler: timer.handler) }
        for step in 0..<3000 {
            guard let timer = timers.randomElement(using: &random) else { return }
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let instant = now.advanced(byMilliseconds: distance(using: &random))
                loop.setDeadline(timer.registration, instant)
                let earliest = DeadlineWheel.tick(of: now) + 1
                timer.due = max(earliest, DeadlineWheel.tick(after: instant))
            case 5:
                loop.setDeadline(timer.registration, nil)
                timer.due = nil
            case 6:
                loop.forget(timer.registration)
                timer.registration = loop.addTimer(handler: timer.handler)
                timer.due = nil
            default:
                let nanoseconds = Int64.random(in: 0...leap(using: &random), using: &random)
                now = Instant(nanoseconds: now.nanoseconds + nanoseconds)
                let before = timers.map(\.handler.deadlines)
                loop.tellDeadlines(upTo: now)
                for (timer, before) in zip(timers, before) {
                    let isDue = timer.due.map { $0 <= DeadlineWheel.tick(of: now) } ?? false
                    #expect(timer.handler.deadlines - before == (isDue ? 1 : 0), "step \(step)")
                    if isDue { timer.due = nil }
                }
            }
        }
    }

    @Test(
        "The wheel gives back what was put in, in order, and knows when the next one comes",
        arguments: 1...20 as ClosedRange<UInt64>)
    func wheel(_ seed: UInt64) {
        var random = Randomness(state: seed &* 0xd134_2543_de82_ef95)
        var now = Instant(nanoseconds: Int64.random(in: 0..<1 << 50, using: &random))
        var wheel = DeadlineWheel(now: now)
        var model: [(registration: Registration, tick: Int64)] = []
        for step in 0..<3000 {
            let current = DeadlineWheel.tick(of: now)
            if Bool.random(using: &random) {
                let instant = now.advanced(byMilliseconds: distance(using: &random))
                let tick = DeadlineWheel.tick(after: instant)
                let registration = Registration(slot: UInt32(step), generation: 1)
                let armed = wheel.insert(registration, at: tick)
                #expect(armed == min(max(tick, current + 1), current + 4095))
                model.append((registration, armed))
            } else {
                let nanoseconds = Int64.random(in: 0...leap(using: &random), using: &random)
                now = Instant(nanoseconds: now.nanoseconds + nanoseconds)
                let reached = DeadlineWheel.tick(of: now)
                let due = wheel.advance(to: now)
                // A stable order: by tick, then as put in.
                let expected = model.filter { $0.tick <= reached }.enumerated()
                    .sorted { ($0.element.tick, $0.offset) < ($1.element.tick, $1.offset) }
                #expect(due.map(\.0) == expected.map(\.element.registration))
                #expect(due.map(\.tick) == expected.map(\.element.tick))
                model.removeAll { $0.tick <= reached }
            }
            let timeout = wheel.timeout(from: now)
            guard let next = model.map(\.tick).min() else {
                #expect(timeout == -1)
                continue
            }
            // Waiting that long reaches the tick, and waiting two milliseconds less does not.
            let wait = Int64(timeout)
            #expect(DeadlineWheel.tick(of: now.advanced(byMilliseconds: wait)) >= next)
            #expect(DeadlineWheel.tick(of: now.advanced(byMilliseconds: wait - 2)) < next)
        }
    }

    /// Near, far, beyond one round of the wheel, and past.
    private func distance(using random: inout Randomness) -> Int64 {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: Int64.random(in: -1000...0, using: &random)
        case 1: Int64.random(in: 0...50, using: &random)
        case 2, 3: Int64.random(in: 0...10_000, using: &random)
        case 4: Int64.random(in: 60_000...80_000, using: &random)
        default: Int64.random(in: 0...900_000, using: &random)
        }
    }

    /// Nanoseconds to go on at most: within a tick, a few, seconds, more than one round.
    private func leap(using random: inout Randomness) -> Int64 {
        [1 << 22, 1 << 26, 1 << 32, 1 << 38].randomElement(using: &random) ?? 0
    }
}
