internal import Synchronization

/// How many clients' connections there are, over all workers and at each.
///
/// The kernel spreads new connections over the workers' listeners by chance. A worker that got more
/// than its share passes new ones on to the one that has the fewest.
final class ConnectionBudget: Sendable {
    private final class Count: Sendable {
        let value = Atomic<Int>(0)
    }

    /// Connections a worker may be ahead of the least loaded before it passes one on.
    private static let slack = 16

    private let limit: Int
    private let total = Atomic<Int>(0)
    private let counts: [Count]

    init(limit: Int, workers: Int) {
        self.limit = limit
        counts = (0..<workers).map { _ in Count() }
    }

    /// Connections at all workers.
    var count: Int { total.load(ordering: .relaxed) }

    /// Counts a connection in. False where there are as many as may be.
    func enter(_ worker: Int) -> Bool {
        guard total.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
            total.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        counts[worker].value.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    func leave(_ worker: Int) {
        total.wrappingSubtract(1, ordering: .relaxed)
        counts[worker].value.wrappingSubtract(1, ordering: .relaxed)
    }

    /// The worker that a new connection at `worker` had better go to; nil where that is itself.
    func betterPlace(than worker: Int) -> Int? {
        guard counts.count > 1 else { return nil }
        let own = counts[worker].value.load(ordering: .relaxed)
        var best = worker
        var least = own
        for (index, count) in counts.enumerated() {
            let value = count.value.load(ordering: .relaxed)
            if value < least { (best, least) = (index, value) }
        }
        return own > least + ConnectionBudget.slack ? best : nil
    }
}
