/// The keys that an issuer was found not to have: a bounded memory of one worker for one set, so
/// that a storm of unknown `kid`s asks nothing of anyone.
///
/// A `kid` that a look did not find is absent for one cool-down from that look, however often it
/// was missed before: a key may be published at any time, and nothing but the cool-down is to keep
/// it from being found. Keys are named by a 64-bit hash under a secret of the worker, of the
/// algorithm's family and the `kid`. What is forgotten costs one more look, which the schedule
/// bounds.
package struct UnknownKeys: Sendable {
    /// Most keys remembered.
    package static let capacity = 1024
    /// A hash has its place in one row of these many; the row's oldest goes.
    private static let rowLength = 8

    private struct Entry {
        var hash: UInt64 = 0
        var missedAt: Int64 = .min
        var isTaken = false
    }

    private let cooldown: Int64
    /// No memory before the first miss: most sets never have one.
    private var entries: [Entry] = []

    /// An empty memory; the cool-down is in milliseconds.
    package init(cooldown: Int64) {
        self.cooldown = max(1, cooldown)
    }

    /// How many keys are remembered, absent still or not.
    package var count: Int { entries.count(where: \.isTaken) }

    /// Whether a look for this key would be pointless now.
    package func isAbsent(_ hash: UInt64, now: Int64) -> Bool {
        guard let place = place(of: hash) else { return false }
        return now < entries[place].missedAt.addingSaturated(cooldown)
    }

    /// Notes the keys that a look did not find; `now` is the look's time, when it began.
    package mutating func missed(_ hashes: [UInt64], now: Int64) {
        for hash in hashes { missed(hash, now: now) }
    }

    /// Notes a key that a look, which began then, did not find.
    package mutating func missed(_ hash: UInt64, now: Int64) {
        if entries.isEmpty { entries = Array(repeating: Entry(), count: Self.capacity) }
        let place = place(of: hash) ?? oldest(inRowOf: hash)
        entries[place] = Entry(hash: hash, missedAt: now, isTaken: true)
    }

    /// Forgets all: the set has changed, so any of them may be there now.
    package mutating func removeAll() {
        entries = []
    }

    private func row(of hash: UInt64) -> Range<Int> {
        let rows = UInt64(Self.capacity / Self.rowLength)
        let start = Int(hash % rows) * Self.rowLength
        return start..<(start + Self.rowLength)
    }

    private func place(of hash: UInt64) -> Int? {
        guard !entries.isEmpty else { return nil }
        for i in row(of: hash) where entries[i].hash == hash && entries[i].isTaken {
            return i
        }
        return nil
    }

    /// A free place of the row, or else that of the longest ago miss.
    private func oldest(inRowOf hash: UInt64) -> Int {
        let row = row(of: hash)
        var oldest = row.lowerBound
        for i in row where entries[i].missedAt < entries[oldest].missedAt { oldest = i }
        return oldest
    }
}
