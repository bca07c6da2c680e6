import Keys
import Testing

@Suite struct UnknownKeysTests {
    private static let cooldown: Int64 = 30_000

    @Test("Nothing is absent before a look has missed it")
    func empty() {
        let keys = UnknownKeys(cooldown: Self.cooldown)
        #expect(!keys.isAbsent(1, now: 0))
        #expect(keys.count == 0)
    }

    @Test("A missed key is absent for one cool-down, however often it was missed before")
    func absence() {
        var keys = UnknownKeys(cooldown: Self.cooldown)
        var now: Int64 = 1_000
        for _ in 0..<8 {
            keys.missed([7], now: now)
            #expect(keys.isAbsent(7, now: now))
            #expect(keys.isAbsent(7, now: now + 29_999))
            #expect(!keys.isAbsent(7, now: now + 30_000))
            #expect(!keys.isAbsent(8, now: now))
            now += 30_000
        }
        #expect(keys.count == 1)
    }

    @Test("One look counts once, however many asked")
    func oneLook() {
        var keys = UnknownKeys(cooldown: Self.cooldown)
        keys.missed([7, 7, 7], now: 0)
        keys.missed([7], now: 0)
        #expect(!keys.isAbsent(7, now: 30_000))
    }

    @Test("A changed set empties the memory")
    func removeAll() {
        var keys = UnknownKeys(cooldown: Self.cooldown)
        keys.missed([1, 2, 3], now: 0)
        keys.removeAll()
        #expect(keys.count == 0)
        #expect(!keys.isAbsent(1, now: 0))
        keys.missed(1, now: 0)
        #expect(!keys.isAbsent(1, now: 30_000))
    }

    @Test("A hash of 0 is a key like others")
    func zero() {
        var keys = UnknownKeys(cooldown: Self.cooldown)
        keys.missed(1, now: 0)
        #expect(!keys.isAbsent(0, now: 0))
        keys.missed(0, now: 0)
        #expect(keys.isAbsent(0, now: 0))
    }

    @Test("A storm is forgotten oldest first, and memory stays bounded")
    func storm() {
        var random = SplitMix(seed: 5)
        var keys = UnknownKeys(cooldown: Self.cooldown)
        var hashes: [UInt64] = []
        for now in 0..<20_000 as Range<Int64> {
            let hash = random.next()
            hashes.append(hash)
            keys.missed(hash, now: now)
            #expect(keys.isAbsent(hash, now: now))
        }
        #expect(keys.count <= UnknownKeys.capacity)
        #expect(keys.count > UnknownKeys.capacity * 9 / 10)
        // The newest are there: a row takes eight, so few of the last hundred were pushed out.
        let kept = hashes.suffix(100).count { keys.isAbsent($0, now: 20_000) }
        #expect(kept == 100)
        #expect(hashes.prefix(10_000).count { keys.isAbsent($0, now: 20_000) } == 0)
    }

    @Test("Hashes of one row push out only one another")
    func oneRow() {
        var keys = UnknownKeys(cooldown: Self.cooldown)
        keys.missed(1, now: 0)
        for step in 0..<1_000 as Range<UInt64> { keys.missed(step * 1024, now: Int64(step)) }
        #expect(keys.isAbsent(1, now: 1_000))
        #expect(keys.count == 9)
        #expect(keys.isAbsent(999 * 1024, now: 1_000))
        #expect(!keys.isAbsent(0, now: 1_000))
    }

    @Test(
        "No time and no cool-down traps",
        arguments: [Int64.min, -1, 0, 1, .max], [Int64.min, -1, 0, 1, .max])
    func edges(cooldown: Int64, now: Int64) {
        var keys = UnknownKeys(cooldown: cooldown)
        for _ in 0..<3 {
            keys.missed([1, 2], now: now)
            keys.missed([1, 2], now: now &+ 1)
            _ = keys.isAbsent(1, now: .max)
            _ = keys.isAbsent(1, now: .min)
        }
        // At the end of time nothing is after anything; before it the last miss holds.
        if now < .max { #expect(keys.isAbsent(1, now: now &+ 1)) }
    }

    @Test("Against a model without bounds: nothing is absent that no look missed")
    func model() {
        var random = SplitMix(seed: 11)
        var keys = UnknownKeys(cooldown: Self.cooldown)
        var known: [UInt64: Int64] = [:]
        var now: Int64 = 0
        for _ in 0..<5_000 {
            now += Int64(random.below(20_000)) + 1
            let hash = UInt64(random.below(600))
            switch random.below(200) {
            case 0:
                keys.removeAll()
                known = [:]
            case 1..<60:
                known[hash] = now + Self.cooldown
                keys.missed(hash, now: now)
            default:
                // 600 hashes over 128 rows of eight: nothing was pushed out.
                #expect(
                    keys.isAbsent(hash, now: now) == (known[hash].map { now < $0 } ?? false))
            }
        }
    }
}
