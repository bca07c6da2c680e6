/// A loop's handlers, each with its generation and deadline, behind one pointer: reading a field of
/// one costs a bounds check, where an array in a class pays an exclusivity check as well (6 % of a
/// request's user time).
@safe
final class SlotTable {
    /// One handler's place.
    struct Slot {
        var handler: (any EventHandler)?
        var generation: UInt32 = 1
        /// The tick of the deadline.
        var deadline = DeadlineWheel.none
        /// The earlier or equal tick at which the wheel will look.
        var armed = DeadlineWheel.none
        /// Whether a turn was asked for.
        var isQueued = false
    }

    /// Owned: `capacity` places, of which the first `count` are initialised.
    private var base: UnsafeMutablePointer<Slot>
    private var capacity = 64
    private var count = 0
    private var free: [UInt32] = []

    init() {
        unsafe base = .allocate(capacity: capacity)
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    /// Whether the registration is still the one of its place.
    func isCurrent(_ registration: Registration) -> Bool {
        let slot = Int(registration.slot)
        guard slot < count else { return false }
        return unsafe base[slot].generation == registration.generation
    }

    /// The handler of a registration, nil where that is not current.
    func handler(of registration: Registration) -> (any EventHandler)? {
        guard isCurrent(registration) else { return nil }
        return with(registration) { $0.handler }
    }

    /// Lends the place of a current registration to `body`, which touches nothing else of the
    /// table.
    @inline(__always)
    func with<Result>(_ registration: Registration, _ body: (inout Slot) -> Result) -> Result {
        let slot = Int(registration.slot)
        precondition(slot < count, "no such slot")
        return unsafe body(&base[slot])
    }

    /// Gives a handler a place that is free, or a new one.
    func take(for handler: any EventHandler) -> Registration {
        if let slot = free.popLast() {
            let place = Int(slot)
            unsafe base[place].handler = handler
            return unsafe Registration(slot: slot, generation: base[place].generation)
        }
        if count == capacity { grow() }
        // `count < capacity`, and the place is not initialised yet.
        unsafe (base + count).initialize(to: Slot(handler: handler))
        count += 1
        return Registration(slot: UInt32(count - 1), generation: 1)
    }

    /// Frees the place of a current registration, which is never current again.
    func release(_ registration: Registration) {
        let generation = (registration.generation &+ 1) & Registration.maxGeneration
        with(registration) {
            $0 = Slot(handler: nil, generation: generation == 0 ? 1 : generation)
        }
        free.append(registration.slot)
    }

    private func grow() {
        let larger = UnsafeMutablePointer<Slot>.allocate(capacity: capacity * 2)
        // The places move as they are; the old block is left without any.
        unsafe larger.moveInitialize(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = larger
        capacity *= 2
    }
}
