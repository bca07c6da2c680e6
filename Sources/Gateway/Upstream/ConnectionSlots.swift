internal import Synchronization

/// How many connections one upstream may have, over all workers.
///
/// The count is all that the workers share; each keeps its own connections and its own queue of
/// waiting requests, and a worker that frees a slot others wait for tells them through their
/// mailboxes.
///
/// Whoever waits says so and looks once more; whoever frees a slot does so and then looks for those
/// who wait. One of the two sees the other, since both are in one order for all workers.
final class ConnectionSlots: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)
    private let waiting = Atomic<Int>(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Takes a slot where one is free.
    func take() -> Bool {
        var seen = used.load(ordering: .sequentiallyConsistent)
        while seen < limit {
            let (isTaken, now) = used.compareExchange(
                expected: seen, desired: seen + 1, ordering: .sequentiallyConsistent)
            if isTaken { return true }
            seen = now
        }
        return false
    }

    func giveBack() {
        used.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    }

    /// Whether requests wait for a slot, in whatever worker.
    var isWaitedFor: Bool { waiting.load(ordering: .sequentiallyConsistent) > 0 }

    func beginWaiting() {
        waiting.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    func endWaiting() {
        waiting.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    }
}
