internal import CLinux
internal import Glibc

/// One thread's loop over epoll: readiness, deadlines and turns that were asked for.
///
/// Not Sendable: it is made inside the thread that runs it, and so is everything registered with
/// it. A turn is: wait, the start-of-turn hook, tell each ready handler, give the turns asked for,
/// tell deadlines that passed, then the end-of-turn hook. Streams are registered once,
/// edge-triggered, for their whole life.
@safe
package final class EventLoop {
    /// What reading from a socket gave.
    package enum ReceiveOutcome: Equatable, Sendable {
        /// Bytes were handed over. `isDrained`: the kernel has no more for now.
        case bytes(isDrained: Bool)
        /// The peer ended its direction.
        case endOfStream
        /// Nothing is there now.
        case wouldBlock
        /// The connection is gone.
        case failed(SystemError)
    }

    /// How a descriptor is watched.
    package enum Interest: Sendable {
        /// Reading, writing and the peer's close, each change told once.
        case stream
        /// As `stream`, told before all others in a turn: what came unasked is seen before anyone
        /// uses the connection.
        case answeringStream
        /// Reading, told each turn while there is something: listeners and wake-ups.
        case incoming
        /// As `incoming`, for a descriptor that several loops watch: one of them is woken.
        case sharedIncoming
    }

    /// Bytes one read takes at most; also the size of the receive buffer that all connections
    /// share.
    package static let receiveCapacity = 65536
    private static let maxEvents = 256
    /// Marks the events of handlers that are told first.
    private static let toldFirst: UInt64 = 1 &<< 63

    /// The monotonic time at which this turn began.
    package var now: Instant { turnStart }
    /// Called at the end of each turn, before the loop waits.
    package var endOfTurn: (() -> Void)?
    /// Called when a turn begins, after the wait and before any handler.
    package var startOfTurn: (() -> Void)?

    private var turnStart = Instant.now
    private let epoll: Int32
    /// Owned: `maxEvents` records for `epoll_wait`.
    private let events: UnsafeMutablePointer<epoll_event>
    /// Owned: `receiveCapacity` bytes, lent to one handler at a time.
    private let receiveBuffer: UnsafeMutableRawPointer
    private var isReceiving = false
    private let slots = SlotTable()
    private var queue: [Registration] = []
    /// Empty: where the next turn's gather while this one's are told, so that no turn allocates.
    private var spareQueue: [Registration] = []
    private var wheel: DeadlineWheel
    private var isRunning = false

    /// A loop with nothing registered.
    package init() throws(SystemError) {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw .last(.epoll) }
        unsafe events = .allocate(capacity: EventLoop.maxEvents)
        unsafe receiveBuffer = .allocate(byteCount: EventLoop.receiveCapacity, alignment: 64)
        wheel = DeadlineWheel(now: Instant.now)
    }

    deinit {
        close(epoll)
        unsafe events.deallocate()
        unsafe receiveBuffer.deallocate()
    }

    /// Begins to watch a descriptor, which its owner keeps open until `remove`.
    package func add(
        _ descriptor: Int32, _ interest: Interest, handler: any EventHandler
    ) throws(SystemError) -> Registration {
        let registration = slots.take(for: handler)
        var event = unsafe epoll_event()
        unsafe event.events = EventLoop.mask(interest)
        unsafe event.data.u64 = registration.bits
        // The event is a local that the kernel copies.
        guard unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
            let error = SystemError.last(.epoll)
            slots.release(registration)
            throw error
        }
        return registration
    }

    /// A place without a descriptor, for its deadline and its turns.
    package func addTimer(handler: any EventHandler) -> Registration {
        slots.take(for: handler)
    }

    /// Stops watching. The handler hears nothing more, and may close its descriptor.
    package func remove(_ registration: Registration, descriptor: Int32) {
        guard slots.isCurrent(registration) else { return }
        // Closing would do it too, unless the descriptor was duplicated or passed on.
        _ = epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
        slots.release(registration)
    }

    /// Gives up a timer, or a descriptor that its owner closes right away: closing ends the
    /// kernel's interest.
    package func forget(_ registration: Registration) {
        guard slots.isCurrent(registration) else { return }
        slots.release(registration)
    }

    /// Lets another handler take a place over, with its descriptor, its deadline and the turn it
    /// asked for: a connection whose protocol has just become known.
    package func handOver(_ registration: Registration, to handler: any EventHandler) {
        guard slots.isCurrent(registration) else { return }
        slots.with(registration) { $0.handler = handler }
    }

    /// Gives the handler a turn of its own after this one: work is resumed this way and never by a
    /// call from within another handler, which may be using the receive buffer.
    package func resumeLater(_ registration: Registration) {
        guard slots.isCurrent(registration), !slots.with(registration, { $0.isQueued }) else {
            return
        }
        slots.with(registration) { $0.isQueued = true }
        queue.append(registration)
    }

    /// Sets, moves or (nil) lifts the handler's deadline.
    package func setDeadline(_ registration: Registration, _ instant: Instant?) {
        guard slots.isCurrent(registration) else { return }
        let tick = instant.map(DeadlineWheel.tick(after:)) ?? DeadlineWheel.none
        let isEarlier = slots.with(registration) { slot in
            slot.deadline = tick
            return tick < slot.armed
        }
        if isEarlier { arm(registration, at: tick) }
    }

    /// Sets or moves the handler's deadline to a number of milliseconds from now.
    package func setDeadline(_ registration: Registration, inMilliseconds milliseconds: Int64) {
        setDeadline(registration, turnStart.advanced(byMilliseconds: milliseconds))
    }

    /// Reads once into the loop's buffer and lends the bytes to `body`. The descriptor is open when
    /// this is called; `body` may close it.
    package func receive(
        _ descriptor: Int32, _ body: (Span<UInt8>) -> Void
    ) -> ReceiveOutcome {
        precondition(
            !isReceiving, "the receive buffer is lent already: resume work with resumeLater")
        while true {
            // The buffer has `receiveCapacity` bytes.
            let count = unsafe clinux_receive(
                descriptor, receiveBuffer, EventLoop.receiveCapacity)
            if count > 0 {
                isReceiving = true
                body(unsafe Span(_unsafeStart: receiveBuffer, byteCount: count))
                isReceiving = false
                return .bytes(isDrained: count < EventLoop.receiveCapacity)
            }
            if count == 0 { return .endOfStream }
            if errno == EINTR { continue }
            if errno == EAGAIN || errno == EWOULDBLOCK { return .wouldBlock }
            return .failed(.last(.receive))
        }
    }

    /// Lends the loop's buffer to `fill`, which returns how many bytes it put there, and these to
    /// `body`: for bytes that do not come from the kernel as they are.
    package func receive(
        filling fill: (inout MutableSpan<UInt8>) -> Int, _ body: (Span<UInt8>) -> Void
    ) {
        precondition(
            !isReceiving, "the receive buffer is lent already: resume work with resumeLater")
        isReceiving = true
        defer { isReceiving = false }
        // The buffer has `receiveCapacity` bytes and is lent to one handler at a time.
        var room = unsafe MutableSpan<UInt8>(
            _unsafeStart: receiveBuffer, byteCount: EventLoop.receiveCapacity)
        let count = fill(&room)
        precondition(count <= EventLoop.receiveCapacity, "more bytes than there is room for")
        if count > 0 { body(unsafe Span(_unsafeStart: receiveBuffer, byteCount: count)) }
    }

    /// Reads once from a socket, as above.
    package func receive(
        _ socket: borrowing Socket, _ body: (Span<UInt8>) -> Void
    ) -> ReceiveOutcome {
        receive(socket.descriptor, body)
    }

    /// Runs until `stop`.
    package func run() {
        isRunning = true
        while isRunning { turn() }
    }

    /// Ends `run` after this turn.
    package func stop() {
        isRunning = false
    }

    /// One turn. `maxWait` bounds the wait in milliseconds; tests drive loops with it.
    package func turn(maxWait: Int32 = -1) {
        let count = wait(maxWait)
        turnStart = Instant.now
        startOfTurn?()
        dispatch(count)
        giveTurns()
        tellDeadlines(upTo: now)
        endOfTurn?()
    }

    private func wait(_ maxWait: Int32) -> Int {
        var timeout = queue.isEmpty ? wheel.timeout(from: Instant.now) : 0
        if maxWait >= 0 { timeout = timeout < 0 ? maxWait : min(timeout, maxWait) }
        // `events` has room for `maxEvents`.
        let count = unsafe epoll_wait(epoll, events, Int32(EventLoop.maxEvents), timeout)
        return max(0, Int(count))
    }

    /// Tells the handlers of `count` events, those that asked to be told first before the others.
    private func dispatch(_ count: Int) {
        var rest = 0
        for index in 0..<count {
            // `index` and `rest` are below what epoll_wait returned.
            let event = unsafe events[index]
            if unsafe event.data.u64 & EventLoop.toldFirst != 0 {
                unsafe dispatch(event)
            } else {
                unsafe events[rest] = event
                rest &+= 1
            }
        }
        for index in 0..<rest { unsafe dispatch(events[index]) }
    }

    private func dispatch(_ event: epoll_event) {
        let registration = unsafe Registration(bits: event.data.u64)
        unsafe slots.handler(of: registration)?.ready(EventLoop.readiness(event.events))
    }

    private func giveTurns() {
        guard !queue.isEmpty else { return }
        var turns: [Registration] = []
        swap(&turns, &spareQueue)
        swap(&turns, &queue)
        for registration in turns {
            guard let handler = slots.handler(of: registration) else { continue }
            slots.with(registration) { $0.isQueued = false }
            handler.resume()
        }
        turns.removeAll(keepingCapacity: true)
        swap(&turns, &spareQueue)
    }

    /// Tells whoever's deadline passed. `turn` calls it with the clock; tests bring their own time.
    func tellDeadlines(upTo now: Instant) {
        let reached = DeadlineWheel.tick(of: now)
        for (registration, tick) in wheel.advance(to: now) {
            guard slots.isCurrent(registration), slots.with(registration, { $0.armed == tick })
            else { continue }
            let deadline = slots.with(registration) { slot in
                slot.armed = DeadlineWheel.none
                return slot.deadline
            }
            if deadline <= reached {
                slots.with(registration) { $0.deadline = DeadlineWheel.none }
                slots.handler(of: registration)?.deadlineReached()
            } else if deadline != DeadlineWheel.none {
                arm(registration, at: deadline)
            }
        }
    }

    private func arm(_ registration: Registration, at tick: Int64) {
        let armed = wheel.insert(registration, at: tick)
        slots.with(registration) { $0.armed = armed }
    }

    private static func mask(_ interest: Interest) -> UInt32 {
        switch interest {
        case .stream, .answeringStream:
            clinux_epoll_in | clinux_epoll_out | clinux_epoll_rdhup | clinux_epoll_edge_triggered
        case .incoming: clinux_epoll_in
        case .sharedIncoming: clinux_epoll_in | clinux_epoll_exclusive
        }
    }

    private static func readiness(_ events: UInt32) -> Readiness {
        var readiness: Readiness = []
        if events & clinux_epoll_in != 0 { readiness.insert(.readable) }
        if events & clinux_epoll_out != 0 { readiness.insert(.writable) }
        if events & clinux_epoll_rdhup != 0 { readiness.insert(.peerClosed) }
        if events & (clinux_epoll_hup | clinux_epoll_err) != 0 { readiness.insert(.hungUp) }
        return readiness
    }
}
