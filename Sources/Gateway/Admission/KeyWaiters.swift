internal import Synchronization

/// How many requests wait for each issuer's keys, whichever worker has them and whichever of the
/// issuer's tenants they name.
///
/// One count for all workers, not a share for each: connections are spread by chance, and a key
/// that was published a moment ago may be asked for on one connection alone.
final class KeyWaiters: Sendable {
    private final class Count: Sendable {
        let value = Atomic<Int>(0)
    }

    /// Most requests that wait for the keys of one issuer. More would only be more memory: whoever
    /// comes later is told at once what those who wait are told in a second.
    static let maxPerIssuer = 100

    private let counts: [Count]

    init(issuers: Int) {
        counts = (0..<issuers).map { _ in Count() }
    }

    /// Counts a request in. False where as many wait as may.
    func enter(_ issuer: Int) -> Bool {
        let value = counts[issuer].value.wrappingAdd(1, ordering: .relaxed).newValue
        guard value > KeyWaiters.maxPerIssuer else { return true }
        leave(issuer, 1)
        return false
    }

    /// Counts requests out.
    func leave(_ issuer: Int, _ count: Int) {
        counts[issuer].value.wrappingSubtract(count, ordering: .relaxed)
    }
}
