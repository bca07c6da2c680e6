internal import Synchronization

/// How many connections one upstream may have, over all workers.
///
/// The count is all that the workers share; each keeps its own connections and its own queue of
/// waiting requests, and a worker that frees a slot others wait for tells them through their
/// mailboxes.
final class ConnectionSlots: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)
    private let waiting = Atomic<Int>(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Takes a slot where one is free.
    func take() -> Bool {
        let previous = used.wrappingAdd(1, ordering: .relaxed).oldValue
        if previous < limit { return true }
        used.wrappingSubtract(1, ordering: .relaxed)
        return false
    }

    func giveBack() {
        used.wrappingSubtract(1, ordering: .relaxed)
    }

    /// Whether requests wait for a slot, in whatever worker.
    var isWaitedFor: Bool { waiting.load(ordering: .relaxed) > 0 }

    func beginWaiting() {
        waiting.wrappingAdd(1, ordering: .relaxed)
    }

    func endWaiting() {
        waiting.wrappingSubtract(1, ordering: .relaxed)
    }
}
