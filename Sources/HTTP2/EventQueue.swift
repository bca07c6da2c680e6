/// Events in order, in one block; emptied by the reader, bounded by the input of one `receive`.
@safe
struct EventQueue: ~Copyable {
    private static let firstCapacity = 16
    /// A burst's memory goes back; the usual few places stay.
    private static let keptCapacity = 256

    /// Owned: `capacity` places, of which `next..<end` are initialised: events that wait.
    private var base: UnsafeMutablePointer<HTTP2Event>?
    private var capacity = 0
    private var next = 0
    private var end = 0

    init() { unsafe base = nil }

    deinit {
        guard let base = unsafe base else { return }
        unsafe (base + next).deinitialize(count: end &- next)
        unsafe base.deallocate()
    }

    var isEmpty: Bool { next == end }

    mutating func append(_ event: HTTP2Event) {
        if end == capacity { grow() }
        guard let base = unsafe base else { preconditionFailure("grown above") }
        // `end < capacity` since `grow`.
        unsafe (base + end).initialize(to: event)
        end &+= 1
    }

    mutating func removeFirst() -> HTTP2Event? {
        guard next < end, let base = unsafe base else {
            next = 0
            end = 0
            if capacity > EventQueue.keptCapacity { release() }
            return nil
        }
        next &+= 1
        // The place before `next` is not initialised any more.
        return unsafe (base + (next &- 1)).move()
    }

    /// Gives the memory back where nothing waits.
    mutating func release() {
        guard isEmpty else { return }
        unsafe base?.deallocate()
        unsafe base = nil
        capacity = 0
        next = 0
        end = 0
    }

    private mutating func grow() {
        let wanted = max(capacity * 2, EventQueue.firstCapacity)
        let larger = UnsafeMutablePointer<HTTP2Event>.allocate(capacity: wanted)
        if let base = unsafe base {
            unsafe larger.moveInitialize(from: base + next, count: end - next)
            unsafe base.deallocate()
        }
        unsafe base = larger
        capacity = wanted
        end -= next
        next = 0
    }
}
