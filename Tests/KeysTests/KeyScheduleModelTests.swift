import Keys
import Testing

/// Random sequences of events through schedules of random rules; what must always hold is checked
/// at each step against a model that knows nothing of the schedule's inside.
@Suite struct KeyScheduleModelTests {
    private struct Model {
        let policy: KeyFetchPolicy
        var isLooking = false
        var hasKeys = false
        var lastSuccess: Int64?
        var unknownStarts: [Int64] = []
        var firstKeysStarts: [Int64] = []
        var manualStarts: [Int64] = []
        var starts: [Int64] = []
        var failuresInARow = 0
        var scheduledFrom: (at: Int64, least: Int64, most: Int64)?

        var looksByItself: Bool { hasKeys || !policy.isOnDemand }

        mutating func started(at now: Int64) {
            #expect(!isLooking, "two looks in flight")
            isLooking = true
            starts.append(now)
        }

        mutating func ended(_ hasFound: Bool, freshFor: Int64?, at now: Int64) {
            isLooking = false
            if hasFound {
                failuresInARow = 0
                lastSuccess = now
                hasKeys = true
                let lifetime = policy.lifetime(freshFor: freshFor)
                let most = lifetime - min(30_000, lifetime / 10)
                scheduledFrom = (now, max(250, most - lifetime / 10), max(250, most))
            } else {
                failuresInARow += 1
                let doubled = Int64(1_000) << Int64(min(failuresInARow - 1, 6))
                scheduledFrom = (now, 250, min(60_000, doubled))
            }
        }
    }

    @Test("Whatever happens in whatever order, the rules hold", arguments: 0..<24 as Range<UInt64>)
    func sequences(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let url = try #require(FetchURL("https://login.example.com/keys"))
        var policy = KeyFetchPolicy(location: .url(url))
        policy.refresh = [nil, 5_000, 60_000, 600_000][random.below(4)]
        policy.maxStale = [20_000, 300_000, 86_400_000][random.below(3)]
        policy.unknownKeyCooldown = [1_000, 30_000, 120_000][random.below(3)]
        policy.isOnDemand = seed % 2 == 1
        var now = Int64(random.below(1_000_000)) - 500_000
        let begin = now
        var schedule = KeySchedule(policy: policy, now: now, seed: seed)
        var model = Model(policy: policy)
        model.scheduledFrom = (now, 0, 0)
        let failsOften = random.below(2) == 0

        for _ in 0..<1_500 {
            now += Int64(random.below([2, 50, 1_000, 30_000][random.below(4)]))
            // What was due meanwhile is done late, never lost.
            while let action = schedule.tick(now: now) {
                switch action {
                case .withdraw:
                    let success = try #require(model.lastSuccess)
                    #expect(now >= success + policy.maxStale)
                    #expect(model.hasKeys)
                    model.hasKeys = false
                    model.lastSuccess = nil
                case .fetch:
                    let due = try #require(model.scheduledFrom)
                    #expect(now >= due.at + due.least, "a look before its time")
                    #expect(model.looksByItself, "a look that nobody asked for")
                    model.started(at: now)
                }
            }
            if let success = model.lastSuccess {
                #expect(now < success + policy.maxStale, "keys kept for too long")
            }
            #expect(schedule.isLooking == model.isLooking)
            #expect(schedule.hasKeys == model.hasKeys)
            if let due = model.scheduledFrom, !model.isLooking {
                let next = try #require(schedule.nextLook)
                #expect((due.least...due.most).contains(next - due.at))
            }
            if !model.looksByItself { #expect(schedule.nextDeadline == nil) }
            try step(&schedule, &model, &random, now: now, failsOften: failsOften)
        }
        check(schedule, model, for: now - begin)
    }

    private func step(
        _ schedule: inout KeySchedule, _ model: inout Model, _ random: inout SplitMix, now: Int64,
        failsOften: Bool
    ) throws {
        switch random.below(8) {
        case 0, 1, 2:
            let due = schedule.nextLook
            let foretold = schedule.answer(toUnknownKeyAt: now)
            let answer = schedule.unknownKey(now: now)
            #expect(answer == foretold)
            let last = model.hasKeys ? model.unknownStarts.last : model.firstKeysStarts.last
            var until = last.map { $0 + model.policy.unknownKeyCooldown }
            // On demand, what is due may be asked for.
            if let end = until, let due, !model.looksByItself { until = min(end, due) }
            if model.isLooking {
                #expect(answer == .joined)
            } else if let until, now < until {
                #expect(answer == .refused(until: until))
            } else {
                #expect(answer == .started)
                model.started(at: now)
                if model.hasKeys {
                    model.unknownStarts.append(now)
                } else {
                    model.firstKeysStarts.append(now)
                }
            }
        case 3:
            let answer = schedule.refreshNow(now: now)
            let until = model.manualStarts.last.map { $0 + 1_000 }
            if model.isLooking {
                #expect(answer == .joined)
            } else if let until, now < until {
                #expect(answer == .refused(until: until))
            } else {
                #expect(answer == .started)
                model.started(at: now)
                model.manualStarts.append(now)
            }
        case 4, 5, 6:
            guard model.isLooking else { return }
            let hasFound = random.below(10) >= (failsOften ? 8 : 2)
            let freshFor = [nil, 60_000, 300_000, 3_600_000][random.below(4)] as Int64?
            if hasFound {
                schedule.succeeded(freshFor: freshFor, now: now)
            } else {
                schedule.failed(now: now)
            }
            model.ended(hasFound, freshFor: freshFor, at: now)
        default:
            break
        }
    }

    /// The number of looks, from causes and time alone: no mixture of events makes more.
    private func check(_ schedule: KeySchedule, _ model: Model, for time: Int64) {
        #expect(schedule.counts.fetches == model.starts.count)
        #expect(schedule.counts.unknownKeyFetches == model.unknownStarts.count)
        // On demand, looks for first keys are as far apart as those that a schedule begins itself.
        let apart = [model.unknownStarts] + (model.policy.isOnDemand ? [] : [model.firstKeysStarts])
        for starts in apart {
            let pairs = zip(starts, starts.dropFirst())
            #expect(pairs.allSatisfy { $1 - $0 >= model.policy.unknownKeyCooldown })
            #expect(Int64(starts.count) <= time / model.policy.unknownKeyCooldown + 1)
        }
        let asked = Int64(
            model.unknownStarts.count + model.firstKeysStarts.count + model.manualStarts.count)
        // By itself it looks once in the shortest pause at most, 250 ms apart while failing.
        #expect(Int64(model.starts.count) <= asked + time / 250 + 1)
    }

    /// An hour of an issuer that is down, with 200 unknown keys a second: what the issuer sees.
    @Test(
        "A storm of unknown keys at a dead issuer makes few looks",
        arguments: 0..<5 as Range<UInt64>)
    func storm(seed: UInt64) throws {
        let url = try #require(FetchURL("https://login.example.com/keys"))
        var schedule = KeySchedule(
            policy: KeyFetchPolicy(location: .url(url)), now: 0, seed: seed)
        let hour: Int64 = 3_600_000
        var looks = 0
        for now in stride(from: Int64(0), to: hour, by: 5) {
            if schedule.tick(now: now) == .fetch {
                looks += 1
                schedule.failed(now: now)
            }
            if schedule.unknownKey(now: now) == .started {
                looks += 1
                schedule.failed(now: now)
            }
        }
        // 120 cool-downs, and pauses of 30 s on average that each look begins anew.
        #expect(schedule.counts.unknownKeyFetches == 0)
        #expect((120..<360).contains(looks))
    }

    /// A day of an issuer that is well: one look in each lifetime, nearly.
    @Test(
        "A healthy issuer is asked about as often as it asks to be",
        arguments: [60_000, 300_000, 3_600_000] as [Int64])
    func healthy(freshFor: Int64) throws {
        let url = try #require(FetchURL("https://login.example.com/keys"))
        var schedule = KeySchedule(policy: KeyFetchPolicy(location: .url(url)), now: 0, seed: 7)
        let day: Int64 = 86_400_000
        var now: Int64 = 0
        var looks: Int64 = 0
        while now < day {
            #expect(schedule.tick(now: now) == .fetch)
            looks += 1
            schedule.succeeded(freshFor: freshFor, now: now + 100)
            #expect(schedule.state(now: now + 100) == .fresh)
            now = try #require(schedule.nextDeadline)
            #expect(schedule.state(now: now) == .fresh)
        }
        #expect((day / freshFor...day / freshFor * 130 / 100 + 1).contains(looks))
    }
}
