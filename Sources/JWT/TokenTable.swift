import Bytes

/// What a token cache consists of.
struct TokenTable {
    private struct Slot {
        var hash: UInt64 = 0
        /// Nil where the slot is free.
        var token: VerifiedToken?
        var verifiedAt: Int64 = 0
        /// The issuer's key generation at which the key was last found trusted.
        var generation: UInt64 = 0
        /// The next slot of the bucket's chain, or -1.
        var next: Int32 = -1
        /// Asked for since a search for a victim came by.
        var isInUse = false
    }

    /// How many slots are looked at for a victim before any loses its mark.
    private static let firstLook = 8

    private let limits: TokenCacheLimits
    private var slots: [Slot] = []
    private var freeSlots: [Int32] = []
    /// The first slot of each bucket's chain, or -1. As many buckets as a power of two.
    private var buckets: [Int32] = []

    private(set) var count = 0
    private(set) var bytes = 0

    init(_ limits: TokenCacheLimits) {
        self.limits = limits
    }

    mutating func find(
        _ token: Span<UInt8>, _ hash: UInt64, at time: TokenTime, trustedBy verifier: TokenVerifier
    ) -> VerifiedToken? {
        guard let slot = slot(of: token, hash), let known = slots[slot].token else { return nil }
        if isFresh(slot, at: time),
            verifier.stillTrusts(
                known, generation: &slots[slot].generation, now: time.wallSeconds)
        {
            slots[slot].isInUse = true
            return known
        }
        remove(slot)
        return nil
    }

    mutating func insert(_ token: VerifiedToken, _ hash: UInt64, at time: TokenTime) {
        let weight = token.weight
        guard limits.entries > 0, weight <= limits.bytes else { return }
        // An older entry for the same bytes, verified before the keys changed.
        let bytes = token.bytes
        if let old = slot(of: bytes.span, hash) { remove(old) }
        while count >= limits.entries || self.bytes + weight > limits.bytes {
            evict(for: hash, at: time)
        }
        if count >= buckets.count { growBuckets() }
        let entry = Slot(
            hash: hash, token: token, verifiedAt: time.monotonicMilliseconds,
            generation: token.keyGeneration)
        let slot = freeSlots.popLast().map { Int($0) } ?? slots.count
        if slot == slots.count { slots.append(entry) } else { slots[slot] = entry }
        link(slot)
        count += 1
        self.bytes += weight
    }

    mutating func removeAll() {
        slots = []
        freeSlots = []
        buckets = []
        (count, bytes) = (0, 0)
    }

    private func slot(of token: Span<UInt8>, _ hash: UInt64) -> Int? {
        guard count > 0 else { return nil }
        var slot = buckets[bucket(of: hash)]
        while slot >= 0 {
            if slots[Int(slot)].hash == hash, let bytes = slots[Int(slot)].token?.bytes,
                token.isEqual(to: bytes.span)
            {
                return Int(slot)
            }
            slot = slots[Int(slot)].next
        }
        return nil
    }

    private func isFresh(_ slot: Int, at time: TokenTime) -> Bool {
        let age = time.monotonicMilliseconds &- slots[slot].verifiedAt
        return age >= 0 && age < limits.maxAgeMilliseconds
    }

    /// Drops an entry that nobody asked for since its mark was taken away, or that is too old
    /// anyway. A few places picked by the newcomer's hash are looked at first; only where all of
    /// those are in use do marks go, so that tokens used once are replaced by one another.
    private mutating func evict(for hash: UInt64, at time: TokenTime) {
        let places = UInt64(slots.count)
        for step in 0..<Self.firstLook {
            let slot = Int(truncatingIfNeeded: (hash &>> (step &* 6)) % places)
            if isTaken(slot), !isWorthKeeping(slot, at: time) { return remove(slot) }
        }
        // One round takes every mark away, so there is a victim within two.
        var slot = Int(truncatingIfNeeded: hash % places)
        for _ in 0..<slots.count * 2 {
            slot = slot + 1 < slots.count ? slot + 1 : 0
            guard isTaken(slot) else { continue }
            guard isWorthKeeping(slot, at: time) else { return remove(slot) }
            slots[slot].isInUse = false
        }
        preconditionFailure("a cache that is full has an entry to evict")
    }

    private func isTaken(_ slot: Int) -> Bool { slots[slot].token != nil }

    private func isWorthKeeping(_ slot: Int, at time: TokenTime) -> Bool {
        slots[slot].isInUse && isFresh(slot, at: time)
            && slots[slot].token?.lifetime.contains(time.wallSeconds) ?? false
    }

    private func bucket(of hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash) & (buckets.count - 1)
    }

    private mutating func link(_ slot: Int) {
        let bucket = bucket(of: slots[slot].hash)
        slots[slot].next = buckets[bucket]
        buckets[bucket] = Int32(slot)
    }

    private mutating func remove(_ slot: Int) {
        guard let token = slots[slot].token else { return }
        let bucket = bucket(of: slots[slot].hash)
        let next = slots[slot].next
        if buckets[bucket] == slot {
            buckets[bucket] = next
        } else {
            var previous = Int(buckets[bucket])
            while previous >= 0, slots[previous].next != slot {
                previous = Int(slots[previous].next)
            }
            if previous >= 0 { slots[previous].next = next }
        }
        slots[slot] = Slot()
        freeSlots.append(Int32(slot))
        count -= 1
        bytes -= token.weight
    }

    /// Doubles the buckets and links every entry anew: on average a constant for each insertion.
    private mutating func growBuckets() {
        buckets = [Int32](repeating: -1, count: max(16, buckets.count * 2))
        for slot in slots.indices where isTaken(slot) { link(slot) }
    }
}
