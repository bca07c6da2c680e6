import Bytes

/// The present moment on both clocks: the wall clock judges `exp` and `nbf`, the monotonic one a
/// cache entry's age, so that a step of the wall clock cannot lengthen it.
package struct TokenTime: Sendable, Equatable {
    /// Seconds since 1970.
    package var wallSeconds: Int64
    /// Milliseconds of the monotonic clock.
    package var monotonicMilliseconds: Int64

    /// A moment.
    package init(wallSeconds: Int64, monotonicMilliseconds: Int64) {
        self.wallSeconds = wallSeconds
        self.monotonicMilliseconds = monotonicMilliseconds
    }
}

/// How much a token cache may hold, and how long.
package struct TokenCacheLimits: Sendable, Equatable {
    /// Most tokens; 0 switches the cache off.
    package var entries: Int
    /// Most bytes, by the estimate of what a token and its claims occupy.
    package var bytes: Int
    /// Most milliseconds from verification.
    package var maxAgeMilliseconds: Int64

    /// 10,000 tokens, 16 MiB, 5 minutes unless told otherwise.
    package init(
        entries: Int = 10_000, bytes: Int = 16 << 20, maxAgeMilliseconds: Int64 = 300_000
    ) {
        self.entries = entries
        self.bytes = bytes
        self.maxAgeMilliseconds = maxAgeMilliseconds
    }
}

/// Tokens that one worker has verified, by their bytes.
///
/// Only verified tokens come in, so tokens that fail push nothing out. A keyed hash finds the
/// place, a comparison of all bytes decides. Eviction is CLOCK: an entry that was asked for since
/// the hand last came by gets a second round, so a run of tokens used once does not displace those
/// in use. Memory is taken as tokens come in: docs/decisions/0003-token-cache.md.
package final class TokenCache {
    // One value, so that a call checks once that nobody else is changing it.
    private var table: TokenTable

    /// Tokens held.
    package var count: Int { table.count }
    /// Bytes they are taken to occupy.
    package var bytes: Int { table.bytes }

    /// An empty cache, which occupies next to nothing. The seed is secret, so nobody can aim at a
    /// bucket.
    package init(_ limits: TokenCacheLimits, seed: UInt64 = .random(in: .min ... .max)) {
        table = TokenTable(limits, seed: seed)
    }

    /// The verified token of these bytes, if `verifier` would still find it right: within its
    /// lifetime, its key still trusted, not older than the limit. The caller still has to look
    /// whether the route admits its issuer.
    package func find(
        _ token: Span<UInt8>, at time: TokenTime, trustedBy verifier: TokenVerifier
    ) -> VerifiedToken? {
        table.find(token, at: time, trustedBy: verifier)
    }

    /// Keeps a token that was just verified. One too large for the whole cache is not kept.
    package func insert(_ token: VerifiedToken, for bytes: Span<UInt8>, at time: TokenTime) {
        table.insert(token, for: bytes, at: time)
    }

    /// Forgets everything and gives the memory back.
    package func removeAll() {
        table.removeAll()
    }
}

/// What a cache consists of.
private struct TokenTable {
    private final class Entry {
        let hash: UInt64
        let bytes: [UInt8]
        let token: VerifiedToken
        let verifiedAt: Int64
        /// The issuer's key generation at which the key was last found trusted.
        var generation: UInt64
        /// Asked for since a search for a victim came by.
        var isInUse = false
        /// The next slot of the bucket's chain, or -1.
        var next: Int32 = -1

        init(_ hash: UInt64, _ bytes: [UInt8], _ token: VerifiedToken, at time: TokenTime) {
            self.hash = hash
            self.bytes = bytes
            self.token = token
            verifiedAt = time.monotonicMilliseconds
            generation = token.keyGeneration
        }

        func holds(_ hash: UInt64, _ token: Span<UInt8>) -> Bool {
            guard hash == self.hash else { return false }
            let bytes = self.bytes
            return token.isEqual(to: bytes.span)
        }
    }

    /// How many entries are looked at for a victim before any loses its mark.
    private static let firstLook = 8

    private let limits: TokenCacheLimits
    private let seed: UInt64
    private var slots: [Entry?] = []
    private var freeSlots: [Int32] = []
    /// The first slot of each bucket's chain, or -1. As many buckets as a power of two.
    private var buckets: [Int32] = []

    private(set) var count = 0
    private(set) var bytes = 0

    init(_ limits: TokenCacheLimits, seed: UInt64) {
        self.limits = limits
        self.seed = seed
    }

    /// What a token occupies: its bytes, and the claims parsed out of them, in which names and
    /// values of more than 15 bytes are objects of their own (measured: 3.1 KiB for a token of 800
    /// bytes).
    private static func weight(of byteCount: Int) -> Int { 768 + byteCount * 3 }

    mutating func find(
        _ token: Span<UInt8>, at time: TokenTime, trustedBy verifier: TokenVerifier
    ) -> VerifiedToken? {
        guard count > 0 else { return nil }
        let hash = token.hash(seed: seed)
        var slot = buckets[bucket(of: hash)]
        while slot >= 0 {
            // A slot in a chain is never empty.
            guard let entry = slots[Int(slot)] else { return nil }
            if entry.holds(hash, token) {
                if isFresh(entry, at: time),
                    verifier.stillTrusts(
                        entry.token, generation: &entry.generation, now: time.wallSeconds)
                {
                    entry.isInUse = true
                    return entry.token
                }
                remove(slot)
                return nil
            }
            slot = entry.next
        }
        return nil
    }

    mutating func insert(_ token: VerifiedToken, for bytes: Span<UInt8>, at time: TokenTime) {
        let weight = Self.weight(of: bytes.count)
        guard limits.entries > 0, weight <= limits.bytes else { return }
        let hash = bytes.hash(seed: seed)
        removeOld(hash, bytes)
        while count >= limits.entries || self.bytes + weight > limits.bytes {
            evict(for: hash, at: time)
        }
        if count >= buckets.count { growBuckets() }
        let entry = Entry(hash, [UInt8](copying: bytes), token, at: time)
        let slot = freeSlots.popLast() ?? Int32(slots.count)
        if Int(slot) == slots.count { slots.append(entry) } else { slots[Int(slot)] = entry }
        link(entry, slot)
        count += 1
        self.bytes += weight
    }

    mutating func removeAll() {
        slots = []
        freeSlots = []
        buckets = []
        (count, bytes) = (0, 0)
    }

    private func isFresh(_ entry: Entry, at time: TokenTime) -> Bool {
        let age = time.monotonicMilliseconds &- entry.verifiedAt
        return age >= 0 && age < limits.maxAgeMilliseconds
    }

    /// An older entry for the same bytes, verified before the keys changed.
    private mutating func removeOld(_ hash: UInt64, _ bytes: Span<UInt8>) {
        guard count > 0 else { return }
        var slot = buckets[bucket(of: hash)]
        while slot >= 0, let entry = slots[Int(slot)] {
            if entry.holds(hash, bytes) { return remove(slot) }
            slot = entry.next
        }
    }

    /// Drops an entry that nobody asked for since its mark was taken away, or that is too old
    /// anyway. A few places picked by the newcomer's hash are looked at first; only where all of
    /// those are in use do marks go, so that tokens used once are replaced by one another.
    private mutating func evict(for hash: UInt64, at time: TokenTime) {
        let places = UInt64(slots.count)
        for step in 0..<Self.firstLook {
            let slot = Int(truncatingIfNeeded: (hash &>> (step &* 6)) % places)
            if let entry = slots[slot], !isWorthKeeping(entry, at: time) {
                return remove(Int32(slot))
            }
        }
        // One round takes every mark away, so there is a victim within two.
        var slot = Int(truncatingIfNeeded: hash % places)
        for _ in 0..<slots.count * 2 {
            slot = slot + 1 < slots.count ? slot + 1 : 0
            guard let entry = slots[slot] else { continue }
            guard isWorthKeeping(entry, at: time) else { return remove(Int32(slot)) }
            entry.isInUse = false
        }
        preconditionFailure("a cache that is full has an entry to evict")
    }

    private func isWorthKeeping(_ entry: Entry, at time: TokenTime) -> Bool {
        entry.isInUse && isFresh(entry, at: time) && entry.token.lifetime.contains(time.wallSeconds)
    }

    private func bucket(of hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash) & (buckets.count - 1)
    }

    private mutating func link(_ entry: Entry, _ slot: Int32) {
        let bucket = bucket(of: entry.hash)
        entry.next = buckets[bucket]
        buckets[bucket] = slot
    }

    private mutating func remove(_ slot: Int32) {
        guard let entry = slots[Int(slot)] else { return }
        let bucket = bucket(of: entry.hash)
        if buckets[bucket] == slot {
            buckets[bucket] = entry.next
        } else {
            var previous = slots[Int(buckets[bucket])]
            while let candidate = previous, candidate.next != slot {
                previous = candidate.next < 0 ? nil : slots[Int(candidate.next)]
            }
            previous?.next = entry.next
        }
        slots[Int(slot)] = nil
        freeSlots.append(slot)
        count -= 1
        bytes -= Self.weight(of: entry.bytes.count)
    }

    /// Doubles the buckets and links every entry anew: on average a constant for each insertion.
    private mutating func growBuckets() {
        buckets = [Int32](repeating: -1, count: max(16, buckets.count * 2))
        for (slot, entry) in slots.enumerated() {
            if let entry { link(entry, Int32(slot)) }
        }
    }
}
