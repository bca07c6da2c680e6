import Keys
import Testing

private let second: Int64 = 1_000
private let day: Int64 = 86_400_000

private let restoredRows: [(Int64, KeySchedule.State, Bool)] = [
    (0, .fresh, true), (-5, .fresh, true), (599_999, .fresh, true), (600_000, .stale, true),
    (86_399_999, .stale, true), (86_400_000, .none, false), (.max, .none, false),
    (.min, .fresh, true),
]

private let edgeTimes: [Int64] = [
    .min, .min + 1, -1, 0, 1, 1 << 53, .max - 86_400_000, .max - 1, .max,
]

@Suite struct KeyScheduleTests {
    private static let start: Int64 = 5_000_000

    private static func schedule(
        refresh: Int64? = nil, maxStale: Int64 = day, cooldown: Int64 = 30 * second,
        now: Int64 = start, seed: UInt64 = 1
    ) throws -> KeySchedule {
        let url = try #require(FetchURL("https://login.example.com/keys"))
        var policy = KeyFetchPolicy(location: .url(url))
        policy.refresh = refresh
        policy.maxStale = maxStale
        policy.unknownKeyCooldown = cooldown
        return KeySchedule(policy: policy, now: now, seed: seed)
    }

    /// A schedule whose first look, at `start`, succeeded.
    private static func running(
        freshFor: Int64? = nil, refresh: Int64? = nil, maxStale: Int64 = day,
        cooldown: Int64 = 30 * second, seed: UInt64 = 1
    ) throws -> KeySchedule {
        var schedule = try schedule(
            refresh: refresh, maxStale: maxStale, cooldown: cooldown, seed: seed)
        #expect(schedule.tick(now: start) == .fetch)
        schedule.succeeded(freshFor: freshFor, now: start)
        return schedule
    }

    @Test("The first look is due at once, and only one is in flight")
    func first() throws {
        var schedule = try Self.schedule()
        #expect(schedule.nextDeadline == Self.start)
        #expect(schedule.tick(now: Self.start - 1) == nil)
        #expect(schedule.tick(now: Self.start) == .fetch)
        #expect(schedule.tick(now: Self.start) == nil)
        #expect(schedule.tick(now: .max) == nil)
        #expect(schedule.unknownKey(now: Self.start) == .joined)
        #expect(schedule.refreshNow(now: Self.start) == .joined)
        #expect(schedule.nextDeadline == nil)
        #expect(schedule.nextLook == nil)
        #expect(schedule.isLooking)
        #expect(schedule.state(now: Self.start) == .none)
        #expect(schedule.counts.fetches == 1)
        #expect(schedule.counts.unknownKeyFetches == 0)
    }

    @Test(
        "After success the next look comes before the freshness ends: by 30 s or a tenth, and chance",
        arguments: [
            // What the issuer asks for, what is configured, and the pause's bounds in seconds.
            (nil, nil, 510, 570), (60, nil, 48, 54), (300, nil, 240, 270),
            (3600, nil, 3210, 3570), (nil, 600, 510, 570), (nil, 30, 24, 27), (nil, 60, 48, 54),
            (3600, 600, 510, 570), (300, 600, 240, 270), (60, 30, 24, 27), (nil, 7200, 6450, 7170),
            (3600, 7200, 3210, 3570), (nil, 86_400, 77_730, 86_370),
        ] as [(Int64?, Int64?, Int64, Int64)])
    func refreshAhead(freshFor: Int64?, refresh: Int64?, least: Int64, most: Int64) throws {
        var pauses: Set<Int64> = []
        for seed in 0..<200 as Range<UInt64> {
            let schedule = try Self.running(
                freshFor: freshFor.map { $0 * second }, refresh: refresh.map { $0 * second },
                seed: seed)
            let pause = try #require(schedule.nextLook) - Self.start
            #expect((least * second...most * second).contains(pause))
            pauses.insert(pause)
        }
        // The jitter is spread: not all proxies come at once.
        #expect(pauses.count > 100)
        let (low, high) = (pauses.min() ?? 0, pauses.max() ?? 0)
        #expect(high - low > (most - least) * second / 2)
    }

    @Test("Keys are fresh until the freshness ends, then stale, and withdrawn exactly at maxStale")
    func staleness() throws {
        var schedule = try Self.running(freshFor: 300 * second)
        let end = Self.start + 300 * second
        #expect(schedule.state(now: end - 1) == .fresh)
        #expect(schedule.state(now: end) == .stale)
        #expect(schedule.staleUntil == Self.start + day)
        // The issuer is gone: a look that never ends holds nothing up.
        #expect(schedule.tick(now: end) == .fetch)
        #expect(schedule.nextDeadline == Self.start + day)
        #expect(schedule.tick(now: Self.start + day - 1) == nil)
        #expect(schedule.hasKeys)
        #expect(schedule.tick(now: Self.start + day) == .withdraw)
        #expect(!schedule.hasKeys)
        #expect(schedule.state(now: Self.start + day) == .none)
        #expect(schedule.tick(now: Self.start + day) == nil)
        #expect(schedule.staleUntil == nil)
        schedule.failed(now: Self.start + day)
        #expect(schedule.tick(now: Self.start + 2 * day) == .fetch)
        schedule.succeeded(freshFor: nil, now: Self.start + 2 * day)
        #expect(schedule.state(now: Self.start + 2 * day) == .fresh)
    }

    @Test(
        "Keys that an issuer vouches for longer than they are believed are looked for in time",
        arguments: [1, 2, 20, 300] as [Int64])
    func freshnessWithinMaxStale(maxStale: Int64) throws {
        for seed in 0..<50 as Range<UInt64> {
            let schedule = try Self.running(
                freshFor: 3600 * second, maxStale: maxStale * second, seed: seed)
            let next = try #require(schedule.nextLook)
            #expect(next <= Self.start + maxStale * second * 9 / 10)
            #expect(schedule.staleUntil == Self.start + maxStale * second)
        }
    }

    @Test("When both are due, keys are withdrawn first and then looked for")
    func bothDue() throws {
        var schedule = try Self.running()
        #expect(schedule.tick(now: Self.start + day) == .withdraw)
        #expect(schedule.tick(now: Self.start + day) == .fetch)
        #expect(schedule.tick(now: Self.start + day) == nil)
    }

    @Test("Failures pause from 1 s doubling to 60 s, with full jitter and 250 ms at least")
    func backoff() throws {
        let longest: [Int64] = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
        var seen = longest.map { _ in (low: Int64.max, high: Int64.min) }
        for seed in 0..<400 as Range<UInt64> {
            var schedule = try Self.schedule(seed: seed)
            var now = Self.start
            for (step, bound) in longest.enumerated() {
                #expect(schedule.tick(now: now) == .fetch)
                schedule.failed(now: now)
                let pause = try #require(schedule.nextLook) - now
                #expect((250...bound * second).contains(pause))
                seen[step] = (min(seen[step].low, pause), max(seen[step].high, pause))
                now += pause
            }
        }
        for (range, bound) in zip(seen, longest) {
            #expect(range.low < 250 + bound * second / 10)
            #expect(range.high > bound * second * 9 / 10)
        }
    }

    @Test("A thousand failures in a row pause no longer, and one success forgets them")
    func manyFailures() throws {
        var schedule = try Self.schedule()
        var now = Self.start
        for _ in 0..<1000 {
            #expect(schedule.tick(now: now) == .fetch)
            schedule.failed(now: now)
            let pause = try #require(schedule.nextLook) - now
            #expect((250...60_000).contains(pause))
            now += pause
        }
        #expect(schedule.counts.failures == 1000)
        #expect(schedule.tick(now: now) == .fetch)
        schedule.succeeded(freshFor: nil, now: now)
        #expect(schedule.unknownKey(now: now) == .started)
        schedule.failed(now: now)
        #expect(try #require(schedule.nextLook) - now <= second)
    }

    @Test("Unknown keys begin one look a cool-down, counted from start to start")
    func cooldown() throws {
        var schedule = try Self.running()
        let now = Self.start + 10
        #expect(schedule.unknownKeyLookAllowedAt == nil)
        #expect(schedule.unknownKey(now: now) == .started)
        #expect(schedule.unknownKey(now: now + 1) == .joined)
        schedule.succeeded(freshFor: nil, now: now + 4_000)
        let until = now + 30 * second
        #expect(schedule.unknownKey(now: now + 4_000) == .refused(until: until))
        #expect(schedule.unknownKey(now: until - 1) == .refused(until: until))
        #expect(schedule.unknownKeyLookAllowedAt == until)
        #expect(schedule.unknownKey(now: until) == .started)
        #expect(schedule.counts.unknownKeyFetches == 2)
        #expect(schedule.counts.fetches == 3)
    }

    @Test("Tokens that come before the first keys spend no cool-down of unknown keys")
    func firstKeys() throws {
        var schedule = try Self.schedule()
        #expect(schedule.tick(now: Self.start) == .fetch)
        schedule.failed(now: Self.start)
        #expect(schedule.unknownKey(now: Self.start + 10) == .started)
        schedule.failed(now: Self.start + 20)
        let until = Self.start + 10 + 30 * second
        #expect(schedule.unknownKey(now: Self.start + 30) == .refused(until: until))
        #expect(schedule.unknownKeyLookAllowedAt == until)
        let retry = try #require(schedule.nextLook)
        #expect(schedule.tick(now: retry) == .fetch)
        schedule.succeeded(freshFor: nil, now: retry)
        // The issuer is there, and rotates at once.
        #expect(schedule.unknownKeyLookAllowedAt == nil)
        #expect(schedule.unknownKey(now: retry + 1) == .started)
        schedule.succeeded(freshFor: nil, now: retry + 2)
        #expect(schedule.unknownKey(now: retry + 3) == .refused(until: retry + 1 + 30 * second))
        #expect(schedule.counts.unknownKeyFetches == 1)
    }

    @Test("On demand, nothing is looked for before a token asks, and then as back-off allows")
    func onDemand() throws {
        let url = try #require(FetchURL("https://login.example.com/keys"))
        var policy = KeyFetchPolicy(location: .url(url))
        policy.isOnDemand = true
        var schedule = KeySchedule(policy: policy, now: Self.start, seed: 1)
        #expect(schedule.nextDeadline == nil)
        #expect(schedule.tick(now: .max) == nil)
        #expect(schedule.unknownKey(now: Self.start) == .started)
        #expect(schedule.unknownKey(now: Self.start) == .joined)
        schedule.failed(now: Self.start)
        let due = try #require(schedule.nextLook)
        #expect((250...1_000).contains(due - Self.start))
        #expect(schedule.tick(now: .max) == nil)
        #expect(schedule.unknownKey(now: due - 1) == .refused(until: due))
        #expect(schedule.unknownKey(now: due) == .started)
        schedule.succeeded(freshFor: nil, now: due)
        // With keys it has a schedule of its own, until they are withdrawn.
        let next = try #require(schedule.nextDeadline)
        #expect(schedule.nextLook == next)
        #expect(schedule.tick(now: next) == .fetch)
        schedule.failed(now: next)
        #expect(schedule.tick(now: due + day) == .withdraw)
        #expect(schedule.tick(now: due + day) == nil)
        #expect(schedule.nextDeadline == nil)
        #expect(schedule.unknownKey(now: due + day) == .started)
    }

    @Test("On demand, a cool-down that is shorter than the back-off is enough")
    func onDemandCooldown() throws {
        let url = try #require(FetchURL("https://login.example.com/keys"))
        var policy = KeyFetchPolicy(location: .url(url))
        (policy.isOnDemand, policy.unknownKeyCooldown) = (true, 100)
        var schedule = KeySchedule(policy: policy, now: Self.start, seed: 1)
        for time in stride(from: Self.start, to: Self.start + 10_000, by: 100) {
            #expect(schedule.unknownKey(now: time) == .started)
            schedule.failed(now: time)
            #expect(schedule.unknownKey(now: time + 99) == .refused(until: time + 100))
        }
    }

    @Test("Scheduled looks neither start the cool-down nor wait for it")
    func scheduledLooks() throws {
        var schedule = try Self.running(freshFor: 60 * second)
        let due = try #require(schedule.nextLook)
        #expect(schedule.unknownKey(now: due - 1_000) == .started)
        schedule.failed(now: due - 900)
        // The retry comes within a second, long before the cool-down's end.
        let retry = try #require(schedule.nextLook)
        #expect(retry <= due + 100)
        #expect(schedule.tick(now: retry) == .fetch)
        schedule.succeeded(freshFor: 60 * second, now: retry)
        // And it did not move the cool-down.
        #expect(schedule.unknownKeyLookAllowedAt == due - 1_000 + 30 * second)
        var other = try Self.running()
        let next = try #require(other.nextLook)
        #expect(other.tick(now: next) == .fetch)
        other.succeeded(freshFor: nil, now: next)
        #expect(other.unknownKey(now: next) == .started)
    }

    @Test("Back-off does not hold up a look for an unknown key, nor one an operator asks for")
    func backoffHoldsNothingElseUp() throws {
        var schedule = try Self.schedule()
        var now = Self.start
        for _ in 0..<10 {
            #expect(schedule.tick(now: now) == .fetch)
            schedule.failed(now: now)
            now = try #require(schedule.nextLook)
        }
        now -= 1
        #expect(schedule.unknownKey(now: now) == .started)
        schedule.failed(now: now)
        #expect(schedule.refreshNow(now: now) == .started)
        schedule.failed(now: now)
        #expect(schedule.unknownKey(now: now) == .refused(until: now + 30 * second))
    }

    @Test("An operator's wish is heard once a second, and spends no cool-down")
    func manual() throws {
        var schedule = try Self.running()
        #expect(schedule.refreshNow(now: Self.start) == .started)
        #expect(schedule.refreshNow(now: Self.start) == .joined)
        schedule.succeeded(freshFor: nil, now: Self.start)
        #expect(schedule.refreshNow(now: Self.start) == .refused(until: Self.start + second))
        #expect(schedule.refreshNow(now: Self.start + 999) == .refused(until: Self.start + second))
        #expect(schedule.unknownKey(now: Self.start + 999) == .started)
        schedule.failed(now: Self.start + 999)
        #expect(schedule.refreshNow(now: Self.start + second) == .started)
    }

    @Test(
        "Restored keys count from when they were fetched, if that is not too long ago",
        arguments: restoredRows)
    func restored(age: Int64, state: KeySchedule.State, isTaken: Bool) throws {
        var schedule = try Self.schedule()
        #expect(schedule.restored(fetchedAgo: age, now: Self.start) == isTaken)
        #expect(schedule.state(now: Self.start) == state)
        if isTaken { #expect(schedule.staleUntil == Self.start - max(0, age) + day) }
        // Keys may have been changed meanwhile, so the first look is as urgent as without.
        #expect(schedule.tick(now: Self.start) == .fetch)
        schedule.failed(now: Self.start)
        if age == day - 1 {
            #expect(schedule.tick(now: Self.start + 1) == .withdraw)
        } else {
            #expect(schedule.tick(now: Self.start + 1) == nil)
        }
    }

    @Test(
        "No time traps or storms, however far off it is",
        arguments: edgeTimes)
    func edges(now: Int64) throws {
        let times = [now, .min, 0, .max, now]
        var schedule = try Self.schedule(refresh: .max, maxStale: .max, cooldown: .max, now: now)
        for time in times {
            _ = schedule.tick(now: time)
            schedule.succeeded(freshFor: .max, now: time)
            _ = schedule.unknownKey(now: time)
            schedule.failed(now: time)
            _ = schedule.refreshNow(now: time)
            schedule.succeeded(freshFor: .min, now: time)
            _ = schedule.restored(fetchedAgo: time, now: now)
            _ = (schedule.nextDeadline, schedule.state(now: time), schedule.staleUntil)
        }
        // A lifetime that is nonsense still leaves a pause.
        schedule.succeeded(freshFor: -1, now: 0)
        #expect(try #require(schedule.nextLook) >= 250)
    }

    @Test("A clock that steps back begins no look early and breaks no bound")
    func clockStepsBack() throws {
        var schedule = try Self.running()
        let due = try #require(schedule.nextLook)
        #expect(schedule.tick(now: Self.start - day) == nil)
        #expect(schedule.unknownKey(now: Self.start - day) == .started)
        schedule.failed(now: Self.start - day)
        #expect(
            schedule.unknownKey(now: due - 2 * day) == .refused(until: Self.start - day + 30_000))
    }
}
