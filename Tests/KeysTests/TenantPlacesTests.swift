import Keys
import Testing

/// Which tenants are held, by tables of what happened and by random events against a model.
@Suite struct TenantPlacesTests {
    private static let minute: Int64 = 60_000

    /// Places with standings that the test sets.
    private struct Bench {
        var places: TenantPlaces
        var standings: [String: TenantPlaces.Standing] = [:]

        init(limit: Int, isListed: Bool = false) {
            places = TenantPlaces(limit: limit, isListed: isListed)
        }

        mutating func ask(
            _ name: String, _ standing: TenantPlaces.Standing = .lacksKeys, now: Int64
        ) -> TenantPlaces.Answer {
            let answer = places.ask(for: name, now: now) { standings[$0] ?? .lacksKeys }
            if case .taken(let victim) = answer {
                if let victim { standings[victim] = nil }
                standings[name] = standing
            }
            return answer
        }
    }

    @Test("A name has a place from its first token on, while there are any")
    func first() {
        var bench = Bench(limit: 2)
        #expect(bench.ask("a", .hasKeys, now: 0) == .taken(from: nil))
        #expect(bench.ask("a", now: 0) == .held)
        #expect(bench.ask("b", .hasKeys, now: 0) == .taken(from: nil))
        #expect(bench.ask("c", now: 0) == .refused)
    }

    @Test(
        "Without keys, or without a verified token in its trial, a tenant gives way; the others stay"
    )
    func order() {
        var bench = Bench(limit: 5)
        #expect(bench.ask("used", .hasKeys, now: 0) == .taken(from: nil))
        #expect(bench.ask("strange", .hasKeys, now: 1) == .taken(from: nil))
        #expect(bench.ask("looking", .isLooking, now: 2) == .taken(from: nil))
        #expect(bench.ask("none", now: 3) == .taken(from: nil))
        #expect(bench.ask("none-later", now: 4) == .taken(from: nil))
        bench.places.used("used", now: 5)
        #expect(bench.ask("1", .hasKeys, now: 6) == .taken(from: "none"))
        #expect(bench.ask("2", .hasKeys, now: 7) == .taken(from: "none-later"))
        #expect(bench.ask("3", .hasKeys, now: 8) == .taken(from: "looking"))
        #expect(bench.ask("4", .hasKeys, now: 10_000) == .refused)
        #expect(bench.ask("4", .hasKeys, now: 10_001) == .taken(from: "strange"))
        for name in ["1", "2", "3", "4"] { bench.places.used(name, now: 10_002) }
        #expect(bench.ask("5", now: 3_600_004) == .refused)
        #expect(bench.ask("5", now: 3_600_005) == .taken(from: "used"))
    }

    @Test("Tokens that nobody has verified do not keep a place")
    func unverified() {
        var bench = Bench(limit: 1)
        #expect(bench.ask("strange", .hasKeys, now: 0) == .taken(from: nil))
        for now in stride(from: 0, to: 10_000, by: 100) as StrideTo<Int64> {
            #expect(bench.ask("strange", now: now) == .held)
            #expect(bench.ask("good", .hasKeys, now: now) == .refused)
        }
        #expect(bench.ask("strange", now: 10_000) == .held)
        #expect(bench.ask("good", .hasKeys, now: 10_000) == .taken(from: "strange"))
        bench.places.used("good", now: 10_100)
        // What is not held is not used.
        bench.places.used("strange", now: 10_100)
        #expect(bench.ask("strange", .hasKeys, now: 3_610_099) == .refused)
    }

    @Test("Where any name may be a tenant, twenty looks are begun at once and then two a second")
    func credit() {
        var bench = Bench(limit: 1000)
        let begun = { (bench: inout Bench, now: Int64) in
            (0..<100).count { number in
                bench.ask("\(now)-\(number)", now: now) != .refused
                    && bench.places.mayLook(now: now)
            }
        }
        #expect(begun(&bench, 0) == 20)
        #expect(begun(&bench, 499) == 0)
        #expect(begun(&bench, 500) == 1)
        #expect(begun(&bench, 2_000) == 3)
        #expect(begun(&bench, 60_000) == 20)
        // A tenant that is held takes from the same when it is looked for again.
        #expect(bench.ask("0-0", now: 60_000) == .held)
        #expect(bench.places.mayLook(now: 60_000) == false)
    }

    @Test("A name that is refused for want of looks takes nobody's place")
    func spent() {
        var bench = Bench(limit: 1)
        while bench.places.mayLook(now: 0) {}
        #expect(bench.ask("a", now: 0) == .refused)
        #expect(bench.ask("a", now: 500) == .taken(from: nil))
        #expect(bench.places.mayLook(now: 500) == true)
        #expect(bench.ask("b", now: 501) == .refused)
        #expect(bench.ask("a", now: 501) == .held)
    }

    @Test("A list of tenants bounds them by itself")
    func listed() {
        var bench = Bench(limit: 60, isListed: true)
        for number in 0..<60 {
            #expect(bench.ask("t\(number)", now: 0) == .taken(from: nil))
            #expect(bench.places.mayLook(now: 0) == true)
        }
        #expect(bench.ask("t0", now: 1) == .held)
    }

    @Test("No clock traps", arguments: [Int64.min, -1, 0, .max], [Int64.min, -1, 0, .max])
    func edges(first: Int64, second: Int64) {
        var bench = Bench(limit: 1)
        _ = bench.ask("a", .hasKeys, now: first)
        _ = bench.places.mayLook(now: first)
        bench.places.used("a", now: second)
        _ = bench.ask("b", .hasKeys, now: second)
        _ = bench.places.mayLook(now: second)
    }

    @Test("Whatever strangers do, the rules hold", arguments: 0..<24 as Range<UInt64>)
    func sequences(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let limit = 1 + random.below(8)
        var bench = Bench(limit: limit)
        var taken: [String: Int64] = [:]
        var used: [String: Int64] = [:]
        var now: Int64 = Int64(random.below(1_000_000)) - 500_000
        let begin = now
        var looks = 0
        for _ in 0..<3_000 {
            now += Int64(random.below([2, 300, 5_000, 1_000_000][random.below(4)]))
            let name = "t\(random.below(limit * 3))"
            switch random.below(4) {
            case 0:
                bench.places.used(name, now: now)
                if taken[name] != nil { used[name] = now }
            case 1:
                guard taken[name] != nil else { continue }
                let all: [TenantPlaces.Standing] = [.lacksKeys, .isLooking, .hasKeys]
                bench.standings[name] = all[random.below(3)]
            default:
                let before = bench.standings
                let answer = bench.ask(name, now: now)
                #expect((answer == .held) == (taken[name] != nil))
                if case .taken(let victim) = answer {
                    if let victim {
                        #expect(taken.count == limit, "somebody goes for no reason")
                        check(victim, before, taken, used, now)
                        (taken[victim], used[victim]) = (nil, nil)
                    }
                    taken[name] = now
                }
                if answer != .refused, bench.places.mayLook(now: now) { looks += 1 }
            }
            #expect(taken.count <= limit)
        }
        #expect(Int64(looks) <= 20 + (now - begin) / 500 + 1)
    }

    /// A tenant with keys goes only where none is without, and not within its hour or its trial.
    private func check(
        _ victim: String, _ standings: [String: TenantPlaces.Standing], _ taken: [String: Int64],
        _ used: [String: Int64], _ now: Int64
    ) {
        guard standings[victim] == .hasKeys else { return }
        #expect(standings.values.allSatisfy { $0 == .hasKeys })
        if let last = used[victim] {
            #expect(now - last >= 60 * Self.minute)
        } else {
            #expect(now - (taken[victim] ?? now) >= 10_000)
        }
    }
}
