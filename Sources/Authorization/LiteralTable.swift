import Bytes

/// A hash table from (parent, octets) to a number: the literal steps of the route trie and its
/// hosts.
///
/// The octets of all keys stand in one array, so a look-up touches two arrays and makes nothing.
/// Keys come from the configuration, so nobody can aim at its hash.
struct LiteralTable {
    private struct Slot {
        /// The hash; 0 marks a free slot.
        var hash: UInt64 = 0
        var parent: Int32 = 0
        var value: Int32 = 0
        var start: Int32 = 0
        var count: Int32 = 0
    }

    private var slots: [Slot] = [Slot](repeating: Slot(), count: 16)
    private var octets: [UInt8] = []
    private var used = 0
    private let ignoresCase: Bool

    /// A table; where case is ignored, keys are inserted in lower case.
    init(ignoringCase: Bool) {
        ignoresCase = ignoringCase
    }

    /// Inserts a key that is not there yet.
    mutating func insert(_ key: [UInt8], under parent: Int, value: Int) {
        if used * 2 >= slots.count { grow() }
        used += 1
        place(
            Slot(
                hash: hash(key.span, parent), parent: Int32(parent), value: Int32(value),
                start: Int32(octets.count), count: Int32(key.count)))
        octets += key
    }

    /// The value of a key, or nil.
    func find(_ key: Span<UInt8>, under parent: Int) -> Int? {
        let wanted = hash(key, parent)
        let mask = slots.count &- 1
        var i = Int(truncatingIfNeeded: wanted) & mask
        // At least half of the slots are free, so a free one ends the search.
        while slots[i].hash != 0 {
            let slot = slots[i]
            if slot.hash == wanted, slot.parent == Int32(truncatingIfNeeded: parent),
                isEqual(slot, key)
            {
                return Int(slot.value)
            }
            i = (i &+ 1) & mask
        }
        return nil
    }

    private func isEqual(_ slot: Slot, _ key: Span<UInt8>) -> Bool {
        let start = Int(slot.start)
        let own = octets.span.extracting(start..<(start &+ Int(slot.count)))
        return ignoresCase ? own.isEqualIgnoringCase(to: key) : own.isEqual(to: key)
    }

    private func hash(_ key: Span<UInt8>, _ parent: Int) -> UInt64 {
        let seed = UInt64(truncatingIfNeeded: parent) &* 0x9e37_79b9_7f4a_7c15
        guard ignoresCase else { return key.hash(seed: seed) | 1 }
        // FNV-1a over lower case; hosts are short.
        var hash = seed ^ 0xcbf2_9ce4_8422_2325
        for i in 0..<key.count {
            hash = (hash ^ UInt64(ASCII.lowercased(key[i]))) &* 0x100_0000_01b3
        }
        return (hash ^ hash &>> 32) | 1
    }

    private mutating func place(_ slot: Slot) {
        let mask = slots.count - 1
        var i = Int(truncatingIfNeeded: slot.hash) & mask
        while slots[i].hash != 0 { i = (i + 1) & mask }
        slots[i] = slot
    }

    private mutating func grow() {
        let old = slots
        slots = [Slot](repeating: Slot(), count: old.count * 2)
        for slot in old where slot.hash != 0 { place(slot) }
    }
}
