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

        init(_ cooldowns: [Int64?] = [30_000]) {
            waits = KeyWaits(cooldowns: cooldowns) { [unowned self] in asked.append($0) }
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
        // A second look without it doubles its absence.
        #expect(bench.request(kid: 2, after: again, now: 30_200) == nil)
        #expect(bench.request(kid: 2, now: 90_099) == nil)
        #expect(bench.request(kid: 2, now: 90_100) != nil)
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

    @Test("Places that tenants' names make up are bounded; those being looked at stay")
    func places() throws {
        let bench = Bench()
        let names = (0..<300).map { KeyPlace(issuer: 0, tenant: "t\($0)") }
        for name in names.prefix(256) { #expect(bench.request(name, keyless: true) != nil) }
        #expect(bench.request(names[256], keyless: true) == nil)
        #expect(bench.asked.count == 256)
        bench.all.lookEnded(names[3], didSucceed: false, nextAt: 1000)
        bench.all.lookEnded(names[5], didSucceed: false, nextAt: 900)
        #expect(bench.request(names[256], keyless: true, now: 2) != nil)
        // The one that may be asked about the soonest went.
        #expect(bench.request(names[3], keyless: true, now: 2) == nil)
        #expect(bench.asked.count == 257)
        bench.all.lookEnded(names[5], didSucceed: true, nextAt: 0)
        #expect(bench.all.count == 255)
    }

    @Test("No more than a thousand requests wait in all")
    func all() throws {
        let bench = Bench()
        for tenant in 0..<12 {
            for _ in 0..<100 {
                let place = KeyPlace(issuer: 0, tenant: "t\(tenant)")
                #expect((bench.request(place) != nil) == (tenant < 10))
            }
        }
        #expect(bench.all.count == 1000)
    }
}
