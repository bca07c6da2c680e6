internal import EventLoop

/// Lets handshakes take turns: one costs as much as dozens of requests, with RSA hundreds, and a
/// storm of new clients must not keep those waiting who are there already.
///
/// The first steps of each turn of the loop go ahead. When their time is spent, further ones wait
/// in line and are resumed, first come, first served, in the turns that follow.
final class HandshakeTurns: EventHandler {
    /// Time that handshakes may take of one turn.
    private static let nanosecondsPerTurn: Int64 = 1_000_000

    private let loop: EventLoop
    private var registration = Registration.none
    private var waiting: [Arrival] = []
    /// How many of `waiting` have had their turn.
    private var served = 0
    private var isServing = false
    private var turn = Instant(nanoseconds: 0)
    private var isSpent = false

    init(loop: EventLoop) {
        self.loop = loop
        registration = loop.addTimer(handler: self)
    }

    /// Whether a handshake may go on now. If not, it is resumed in a later turn.
    func mayStep(_ arrival: Arrival) -> Bool {
        if turn != loop.now {
            turn = loop.now
            isSpent = false
        }
        if !isSpent, Instant.now.nanoseconds &- turn.nanoseconds > Self.nanosecondsPerTurn {
            isSpent = true
        }
        if isServing || (!isSpent && waiting.isEmpty) { return true }
        if !arrival.isInLine {
            arrival.isInLine = true
            waiting.append(arrival)
        }
        loop.resumeLater(registration)
        return false
    }

    func ready(_ readiness: Readiness) {}

    func resume() {
        isServing = true
        let end = Instant.now.nanoseconds &+ Self.nanosecondsPerTurn
        while served < waiting.count {
            let next = waiting[served]
            served += 1
            next.isInLine = false
            next.resume()
            if Instant.now.nanoseconds > end { break }
        }
        isServing = false
        // Half of a queue is moved once for each time that it was worked off.
        if served == waiting.count || served > max(256, waiting.count / 2) {
            waiting.removeFirst(served)
            served = 0
        }
        if !waiting.isEmpty { loop.resumeLater(registration) }
    }
}
