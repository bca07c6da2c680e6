/// When to look for the keys of one set, and when to stop trusting those there are: a state machine
/// over time that does nothing itself. Times are milliseconds of a monotonic clock.
///
///                    tick, unknownKey, refreshNow
///            ┌──────────────────────────────────────────┐
///            │                                          ▼
///     waiting(until)                              looking(cause)
///            ▲                                          │
///            └──────────────────────────────────────────┘
///                    succeeded, failed
///
/// One look is in flight at most, whatever asked for it. Apart from that the causes do not hold one
/// another up: back-off keeps failing looks apart, the cool-down those that unknown keys caused,
/// one second those that an operator asked for.
///
/// A set on demand (`KeyFetchPolicy.isOnDemand`) is looked for by itself only while there are keys
/// of it. Without them, a look that is due is begun when a token asks for it.
package struct KeySchedule: Sendable {
    /// What is to be done now.
    package enum Action: Sendable, Equatable {
        /// Begin a look; tell `succeeded` or `failed` how it ended.
        case fetch
        /// The keys are too old to be trusted: take them from the workers.
        case withdraw
    }

    /// What becomes of somebody's wish for a look.
    package enum Answer: Sendable, Equatable {
        /// Begin a look now: the schedule counts it as begun.
        case started
        /// A look is in flight already; its end is the asker's too.
        case joined
        /// No look now, nor would one be begun for the same wish before this time.
        case refused(until: Int64)
    }

    /// How much the keys can be trusted.
    package enum State: String, Sendable, Equatable {
        /// There are none.
        case none
        /// The last look is as recent as it should be.
        case fresh
        /// The keys are used although they should have been looked at again.
        case stale
    }

    /// How often what happened.
    package struct Counts: Sendable, Equatable {
        /// Looks begun.
        package var fetches = 0
        /// Looks that gave no keys.
        package var failures = 0
        /// Looks that an unknown key caused, among all.
        package var unknownKeyFetches = 0

        /// Nothing happened yet.
        package init() {}
    }

    private enum Phase {
        case waiting(until: Int64)
        case looking
    }

    /// The first pause after a failure; each further one doubles it.
    package static let firstBackoff: Int64 = 1_000
    /// The longest such pause.
    package static let maxBackoff: Int64 = 60_000
    /// Jitter makes no pause shorter than this.
    package static let minBackoff: Int64 = 250
    /// The least time between two looks that an operator asked for.
    package static let manualPause: Int64 = 1_000
    /// How long before the end of freshness to look again, at most.
    package static let maxAhead: Int64 = 30_000

    /// The rules of this set.
    package let policy: KeyFetchPolicy
    /// How often what happened.
    package private(set) var counts = Counts()
    private var phase: Phase
    private var random: Jitter
    private var failuresInARow = 0
    private var lastSuccess: Int64?
    private var freshUntil: Int64 = .min
    /// When the last look began that an unknown key caused, and that tokens caused while there
    /// were no keys.
    private var unknownKeyLookAt: Int64?
    private var firstKeysLookAt: Int64?
    private var manualLookAt: Int64?

    /// A set without keys, to be looked for at once. The seed decides the jitter.
    package init(policy: KeyFetchPolicy, now: Int64, seed: UInt64) {
        self.policy = policy
        phase = .waiting(until: now)
        random = Jitter(state: seed)
    }

    /// Takes keys for held that a look found this long ago, before the process began. False where
    /// that is too long ago. The first look is due as if there were none.
    package mutating func restored(fetchedAgo age: Int64, now: Int64) -> Bool {
        let age = max(0, age)
        guard age < policy.maxStale else { return false }
        lastSuccess = now.subtractingSaturated(age)
        freshUntil = now.subtractingSaturated(age).addingSaturated(policy.lifetime(freshFor: nil))
        return true
    }

    /// What the time asks for; to be asked again until it is nothing.
    package mutating func tick(now: Int64) -> Action? {
        if let staleUntil, now >= staleUntil {
            lastSuccess = nil
            return .withdraw
        }
        if case .waiting(let until) = phase, now >= until, looksByItself {
            begin()
            return .fetch
        }
        return nil
    }

    /// When to call `tick` again; nil while only the end of a look, or somebody's wish for one, can
    /// change anything.
    package var nextDeadline: Int64? {
        switch (phase, staleUntil) {
        case (.waiting(let until), let end) where looksByItself: min(until, end ?? .max)
        case (_, let end): end
        }
    }

    /// Whether what is due is done without being asked for.
    private var looksByItself: Bool { hasKeys || !policy.isOnDemand }

    /// What `unknownKey` would answer.
    package func answer(toUnknownKeyAt now: Int64) -> Answer {
        if isLooking { return .joined }
        let earliest = unknownKeyLookAllowedAt
        if let earliest, now < earliest { return .refused(until: earliest) }
        return .started
    }

    /// Somebody showed a token whose key is not among those there are, or there are none.
    package mutating func unknownKey(now: Int64) -> Answer {
        let answer = answer(toUnknownKeyAt: now)
        guard answer == .started else { return answer }
        if hasKeys {
            unknownKeyLookAt = now
            counts.unknownKeyFetches += 1
        } else {
            firstKeysLookAt = now
        }
        begin()
        return .started
    }

    /// From when on an unknown key may cause a look; nil for from now on. Looks for keys of which
    /// there are none have the same pause between them, but do not spend that of unknown keys: a
    /// rotation right after an outage is not made to wait for it. What would be due by itself but
    /// for being on demand may be asked for as well.
    package var unknownKeyLookAllowedAt: Int64? {
        let last = hasKeys ? unknownKeyLookAt : firstKeysLookAt
        guard let end = last?.addingSaturated(policy.unknownKeyCooldown) else { return nil }
        if case .waiting(let until) = phase, !looksByItself { return min(until, end) }
        return end
    }

    /// An operator wants to know.
    package mutating func refreshNow(now: Int64) -> Answer {
        if isLooking { return .joined }
        let earliest = manualLookAt?.addingSaturated(Self.manualPause)
        if let earliest, now < earliest { return .refused(until: earliest) }
        manualLookAt = now
        begin()
        return .started
    }

    /// The look found a set, or that it is still the same. The time is what the issuer asked for
    /// (`Freshness.lifetime`), nil where it is silent.
    package mutating func succeeded(freshFor: Int64?, now: Int64) {
        failuresInARow = 0
        lastSuccess = now
        let lifetime = policy.lifetime(freshFor: freshFor)
        freshUntil = now.addingSaturated(lifetime)
        // Always earlier than asked for: by a fixed part, so that keys are never stale while the
        // issuer is well, and by chance, so that many proxies do not come at once.
        let ahead = min(Self.maxAhead, lifetime / 10)
        let early = random.upTo(lifetime / 10)
        let pause = max(Self.minBackoff, lifetime - ahead - early)
        phase = .waiting(until: now.addingSaturated(pause))
    }

    /// The look gave nothing; the keys there are stay.
    package mutating func failed(now: Int64) {
        counts.failures += 1
        failuresInARow = min(failuresInARow + 1, 32)
        let doubled = Self.firstBackoff << Int64(min(failuresInARow - 1, 6))
        let longest = min(Self.maxBackoff, doubled)
        let pause = Self.minBackoff + random.upTo(longest - Self.minBackoff)
        phase = .waiting(until: now.addingSaturated(pause))
    }

    /// Whether a look is in flight.
    package var isLooking: Bool {
        if case .looking = phase { return true }
        return false
    }

    /// Whether there are keys, fresh or stale.
    package var hasKeys: Bool { lastSuccess != nil }

    /// How much the keys can be trusted.
    package func state(now: Int64) -> State {
        guard hasKeys else { return .none }
        return now < freshUntil ? .fresh : .stale
    }

    /// When the next look is due; nil while one is in flight. On demand, and without keys, it is
    /// begun when a token asks for it then.
    package var nextLook: Int64? {
        if case .waiting(let until) = phase { return until }
        return nil
    }

    /// When the keys will be withdrawn if no look succeeds; nil without keys.
    package var staleUntil: Int64? {
        lastSuccess?.addingSaturated(policy.maxStale)
    }

    private mutating func begin() {
        phase = .looking
        counts.fetches += 1
    }
}

/// Chance for pauses (splitmix64): it need not be secret, only different in each process.
private struct Jitter: Sendable {
    var state: UInt64

    /// A number from 0 to the bound.
    mutating func upTo(_ bound: Int64) -> Int64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed &>> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed &>> 27)) &* 0x94d0_49bb_1331_11eb
        mixed ^= mixed &>> 31
        return Int64(mixed % (UInt64(max(0, bound)) + 1))
    }
}
