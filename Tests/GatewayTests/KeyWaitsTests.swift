import EventLoop
import JWT
import Testing

@testable import Gateway

/// Who may wait for keys, and when a look is asked for.
@Suite struct KeyWaitsTests {
    private static let place = KeyPlace(issuer: 0)

    /// Waits whose questions are kept.
    private final class Bench {
        private(set) var asked: [KeyPlace] = []
        private var waits: KeyWaits?

        init(_ cooldowns: [Int64?] = [30_000], _ waiters: KeyWaiters? = nil) {
            waits = KeyWaits(
                cooldowns: cooldowns, waiters: waiters ?? KeyWaiters(issuers: cooldowns.count)
            ) { [unowned self] in asked.append($0) }
        }

        var all: KeyWaits {
            guard let waits else { preconditionFailure("made in the initialiser") }
            return waits
        }

        /// A request that lacks a key: whether it waits.
        func request(
            _ place: KeyPlace = KeyWaitsTests.place, kid: UInt64 = 1, keyless: Bool = false,
            after last: PendingVerdict? = nil, now: Int64 = 0
        ) -> PendingVerdict? {
            let need = KeyNeed(
                place: place, hash: kid, refusal: keyless ? .keysUnavailable : .unknownKey)
            guard all.mayWait(for: need, after: last, now: now) else { return nil }
            let pending = last ?? PendingVerdict(RequestRecord(), now: Instant(nanoseconds: 0))
            all.add(pending, for: need)
            return pending
        }
    }

    @Test("Nobody waits for keys that are not fetched, or of an issuer that is none")
    func notFetched() throws {
        let bench = Bench([nil, 30_000])
        #expect(bench.request() == nil)
        #expect(bench.request(KeyPlace(issuer: 2)) == nil)
        #expect(bench.asked.isEmpty)
        #expect(bench.request(KeyPlace(issuer: 1)) != nil)
    }

    @Test("One look is asked for, however many wait, and none before its time")
    func oneLook() throws {
        let bench = Bench()
        for kid in 0..<100 { #expect(bench.request(kid: UInt64(kid)) != nil) }
        #expect(bench.asked == [Self.place])
        #expect(bench.request(kid: 100) == nil)
        #expect(bench.all.count == 100)
        bench.all.lookEnded(Self.place, didSucceed: true, nextAt: 500)
        #expect(bench.all.count == 0)
        #expect(bench.request(now: 499) == nil)
        #expect(bench.asked.count == 1)
        #expect(bench.request(now: 500) != nil)
        #expect(bench.asked.count == 2)
    }

    @Test("A request that goes makes room for another, once")
    func room() throws {
        let bench = Bench()
        let waiting = try (0..<100).map { _ in try #require(bench.request()) }
        bench.all.remove(waiting[7])
        bench.all.remove(waiting[7])
        #expect(bench.all.count == 99)
        #expect(bench.request() != nil)
        #expect(bench.request() == nil)
    }

    @Test("A kid that a look missed is absent for the cool-down, and another is not")
    func absence() throws {
        let bench = Bench()
        let asker = try #require(bench.request(now: 100))
        // Who came while the look was under way waits no longer for the next than the asker.
        let joiner = try #require(bench.request(kid: 2, now: 900))
        bench.all.lookEnded(Self.place, didSucceed: true, nextAt: 0)
        #expect(bench.request(after: asker, now: 1000) == nil)
        #expect(bench.request(kid: 2, after: joiner, now: 1000) == nil)
        #expect(bench.request(now: 30_099) == nil)
        #expect(bench.request(kid: 2, now: 30_099) == nil)
        #expect(bench.request(kid: 3, now: 1100) != nil)
        bench.all.lookEnded(Self.place, didSucceed: true, nextAt: 0)
        let again = try #require(bench.request(kid: 2, now: 30_100))
        bench.all.lookEnded(Self.place, didSucceed: true, nextAt: 0)
        // A second look without it is no reason to wait longer for the third.
        #expect(bench.request(kid: 2, after: again, now: 30_200) == nil)
        #expect(bench.request(kid: 2, now: 60_099) == nil)
        #expect(bench.request(kid: 2, now: 60_100) != nil)
    }

    @Test("A changed set ends the absence of every kid")
    func change() throws {
        let bench = Bench()
        let pending = try #require(bench.request())
        bench.all.lookEnded(Self.place, didSucceed: true, nextAt: 0)
        #expect(bench.request(after: pending, now: 100) == nil)
        #expect(bench.request(now: 200) == nil)
        bench.all.keysChanged(Self.place)
        #expect(bench.request(now: 200) != nil)
    }

    @Test("The pause that a worker was told of ends with the set, or the lack of one, it was for")
    func pause() throws {
        let bench = Bench()
        #expect(bench.request(keyless: true) != nil)
        bench.all.lookEnded(Self.place, didSucceed: false, nextAt: 30_000)
        #expect(bench.request(keyless: true, now: 1) == nil)
        // First keys come, and a key that is none of them.
        bench.all.keysChanged(Self.place)
        #expect(bench.request(now: 2) != nil)
        bench.all.lookEnded(Self.place, didSucceed: true, nextAt: 30_002)
        #expect(bench.request(kid: 2, now: 3) == nil)
        // The keys are withdrawn.
        bench.all.keysChanged(Self.place)
        #expect(bench.request(keyless: true, now: 4) != nil)
        // Where the pause holds all the same, the answer says so, and one question is all.
        bench.all.lookEnded(Self.place, didSucceed: false, nextAt: 50_000)
        #expect(bench.request(keyless: true, now: 49_999) == nil)
        #expect(bench.asked.count == 3)
    }

    @Test("A set that comes before its look's end lets wait on for that end, not for another look")
    func setFirst() throws {
        let bench = Bench()
        let pending = try #require(bench.request(keyless: true))
        bench.all.keysChanged(Self.place)
        #expect(bench.request(after: pending, now: 1) != nil)
        #expect(bench.asked.count == 1)
        bench.all.lookEnded(Self.place, didSucceed: true, nextAt: 0)
        #expect(bench.request(after: pending, now: 3) == nil)
        // And where both came at once.
        let other = Bench()
        let second = try #require(other.request())
        other.all.keysChanged(Self.place)
        other.all.lookEnded(Self.place, didSucceed: true, nextAt: 0)
        #expect(other.request(after: second, now: 3) == nil)
        #expect(other.request(now: 4) == nil)
        #expect(other.asked.count == 1)
    }

    @Test("A look that saw no set is asked for once more by the same request, and notes nothing")
    func failedLook() throws {
        let bench = Bench()
        let pending = try #require(bench.request())
        bench.all.lookEnded(Self.place, didSucceed: false, nextAt: 0)
        #expect(bench.request(after: pending, now: 2) != nil)
        bench.all.lookEnded(Self.place, didSucceed: false, nextAt: 0)
        #expect(bench.request(after: pending, now: 4) == nil)
        #expect(bench.asked.count == 2)
        #expect(bench.request(now: 5) != nil)
    }

    @Test("Places that tenants' names make up are bounded; those being looked at stay, and issuers")
    func places() throws {
        let bench = Bench(Array(repeating: 30_000, count: 303))
        for issuer in 3..<303 { #expect(bench.request(KeyPlace(issuer: issuer)) != nil) }
        let questions = bench.asked.count
        #expect(questions == 300)
        let names = (0..<300).map { KeyPlace(issuer: $0 % 3, tenant: "t\($0)") }
        for name in names.prefix(256) { #expect(bench.request(name, keyless: true) != nil) }
        #expect(bench.request(names[256], keyless: true) == nil)
        #expect(bench.asked.count == questions + 256)
        bench.all.lookEnded(names[3], didSucceed: false, nextAt: 1000)
        bench.all.lookEnded(names[5], didSucceed: false, nextAt: 900)
        #expect(bench.request(names[256], keyless: true, now: 2) != nil)
        // The one that may be asked about the soonest went.
        #expect(bench.request(names[3], keyless: true, now: 2) == nil)
        #expect(bench.asked.count == questions + 257)
        bench.all.lookEnded(names[5], didSucceed: true, nextAt: 0)
        #expect(bench.all.count == questions + 255)
    }

    @Test("The hundred of an issuer are all workers' and all its tenants'")
    func shared() throws {
        let waiters = KeyWaiters(issuers: 2)
        let (first, second) = (Bench([30_000, 30_000], waiters), Bench([30_000, 30_000], waiters))
        let (acme, other) = (KeyPlace(issuer: 0, tenant: "acme"), KeyPlace(issuer: 1))
        for _ in 0..<30 { #expect(first.request() != nil) }
        for _ in 0..<30 { #expect(second.request(acme) != nil) }
        let last = try (0..<40).map { _ in try #require(second.request()) }
        for bench in [first, second] {
            #expect(bench.request() == nil)
            #expect(bench.request(acme) == nil)
            #expect(bench.request(other) != nil)
        }
        second.all.remove(last[0])
        #expect(first.request() != nil)
        #expect(first.request() == nil)
        second.all.lookEnded(acme, didSucceed: false, nextAt: 0)
        for _ in 0..<30 { #expect(first.request() != nil) }
        #expect(second.request() == nil)
        #expect(first.all.count + second.all.count == 102)
    }

    @Test("Nobody is counted who may not wait anyway")
    func uncounted() throws {
        let bench = Bench()
        #expect(bench.request() != nil)
        bench.all.lookEnded(Self.place, didSucceed: false, nextAt: 50)
        for _ in 0..<200 { #expect(bench.request(now: 49) == nil) }
        for _ in 0..<100 { #expect(bench.request(now: 50) != nil) }
    }

    @Test("However many wait for other issuers, each has its hundred")
    func independence() throws {
        let bench = Bench(Array(repeating: 30_000, count: 300))
        for issuer in 0..<300 {
            for _ in 0..<100 { #expect(bench.request(KeyPlace(issuer: issuer)) != nil) }
            #expect(bench.request(KeyPlace(issuer: issuer)) == nil)
        }
        #expect(bench.all.count == 30_000)
        #expect(bench.asked.count == 300)
    }

    @Test("A look is asked for even where nobody may wait for it any more")
    func lookWithoutWaiting() throws {
        let bench = Bench()
        for tenant in ["a", "b"] {
            let place = KeyPlace(issuer: 0, tenant: tenant)
            for _ in 0..<50 { #expect(bench.request(place) != nil) }
        }
        let other = KeyPlace(issuer: 0, tenant: "c")
        #expect(bench.request(other) == nil)
        #expect(bench.asked.last == other)
        #expect(bench.request(other) == nil)
        #expect(bench.asked.count == 3)
    }
}
