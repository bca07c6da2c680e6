/// Deadlines at a constant price, whether one is set or ten thousand.
///
/// Time is cut into ticks of 2^24 ns (16.8 ms), and a ring of 4,096 slots covers the next 68 s. A
/// handler stands in the ring once at most: moving its deadline later only changes a number in its
/// record, and the ring looks at that number when the earlier slot comes. Most requests therefore
/// touch the ring not at all.
struct DeadlineWheel {
    /// Never.
    static let none = Int64.max

    private static let tickShift: Int64 = 24
    private static let slotCount = 4096

    private var slots: [[Registration]] = Array(repeating: [], count: slotCount)
    /// One bit a slot that holds anything, so that the next one is found without a walk.
    private var occupied: [UInt64] = Array(repeating: 0, count: slotCount / 64)
    /// The last tick that was handled.
    private var current: Int64
    private var count = 0

    /// An empty ring that begins at an instant.
    init(now: Instant) {
        current = DeadlineWheel.tick(of: now)
    }

    /// The tick that an instant falls into.
    static func tick(of instant: Instant) -> Int64 {
        instant.nanoseconds &>> tickShift
    }

    /// The tick in which an instant has surely passed.
    static func tick(after instant: Instant) -> Int64 {
        instant.nanoseconds == .max ? none : (instant.nanoseconds &>> tickShift) &+ 1
    }

    /// Puts a handler where its tick is looked at, at most one round ahead. Returns that tick.
    mutating func insert(_ registration: Registration, at tick: Int64) -> Int64 {
        let last = current &+ Int64(DeadlineWheel.slotCount &- 1)
        let armed = min(max(tick, current &+ 1), last)
        let slot = Int(armed & Int64(DeadlineWheel.slotCount &- 1))
        slots[slot].append(registration)
        occupied[slot &>> 6] |= 1 &<< UInt64(slot & 63)
        count &+= 1
        return armed
    }

    /// Moves on to `now` and returns whoever stood in the slots passed, with the tick of each.
    mutating func advance(to now: Instant) -> [(Registration, tick: Int64)] {
        let target = DeadlineWheel.tick(of: now)
        var due: [(Registration, tick: Int64)] = []
        while count > 0, let next = nextTick(), next <= target {
            current = next
            let slot = Int(next & Int64(DeadlineWheel.slotCount &- 1))
            for registration in slots[slot] { due.append((registration, next)) }
            count &-= slots[slot].count
            slots[slot] = []
            occupied[slot &>> 6] &= ~(1 &<< UInt64(slot & 63))
        }
        current = max(current, target)
        return due
    }

    /// Milliseconds until the next occupied slot, -1 where there is none: `epoll_wait`'s timeout.
    func timeout(from now: Instant) -> Int32 {
        guard count > 0, let tick = nextTick() else { return -1 }
        let distance = (tick &<< DeadlineWheel.tickShift) &- now.nanoseconds
        return distance <= 0 ? 0 : Int32(truncatingIfNeeded: distance / 1_000_000 &+ 1)
    }

    private func nextTick() -> Int64? {
        let mask = DeadlineWheel.slotCount &- 1
        let first = Int((current &+ 1) & Int64(mask))
        var word = first &>> 6
        var bits = occupied[word] & (UInt64.max &<< UInt64(first & 63))
        for _ in 0...occupied.count {
            if bits != 0 {
                let slot = word &<< 6 | bits.trailingZeroBitCount
                return current &+ 1 &+ Int64((slot &- first) & mask)
            }
            word = (word &+ 1) % occupied.count
            bits = occupied[word]
        }
        return nil
    }
}
