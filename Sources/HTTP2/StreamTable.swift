internal import Bytes

/// What the session knows of one open stream.
struct StreamRecord: ~Copyable {
    struct Facts {
        /// 0 while the slot is free.
        var id: Int32 = 0
        /// The next free slot, while this one is free.
        var nextFree: Int32 = StreamTable.none
        /// An event named the stream, so its end is told as well.
        var isAnnounced = false
        /// The head that opened it was sent (client).
        var isSent = false
        /// We reset it: nothing more is told but its end.
        var isReset = false
        /// The peer's side ended: its window needs no updates.
        var isInputOver = false
        /// nghttp2 waits for `nghttp2_session_resume_data`.
        var isDeferred = false
        /// `end` was called: no bytes follow those in the buffer.
        var isEnded = false
        /// The end of our output was sent before that of the peer's came (server).
        var isOutputOver = false
        /// The rest of the peer's message is not wanted once ours has been sent.
        var resetsAfterEnd = false
        /// Above the high-water mark, and not yet back at the low one.
        var isCongested = false
    }

    var facts = Facts()
    /// Body bytes to be sent.
    var buffer = ByteBuffer()
    /// Trailer lines to be sent behind them.
    var trailers = ByteBuffer()

    mutating func clear() {
        facts = Facts()
        buffer.removeAll(keepingCapacity: buffer.capacity <= StreamTable.keptCapacity)
        if trailers.capacity > 0 { trailers.removeAll() }
    }
}

/// The open streams by slot, behind one pointer: reading a record costs a bounds check. Slots, and
/// small buffers, are used again.
@safe
struct StreamTable: ~Copyable {
    /// Buffer memory that a free slot keeps: that of small messages. Sessions at rest may keep it
    /// for each of their slots.
    static let keptCapacity = 4096
    /// No slot.
    static let none: Int32 = -1
    private static let firstCapacity = 4

    /// Owned: `capacity` places, of which the first `used` are initialised.
    private var base: UnsafeMutablePointer<StreamRecord>?
    private var capacity = 0
    private var used = 0
    private var firstFree = StreamTable.none

    /// How many streams are open.
    private(set) var count = 0

    init() { unsafe base = nil }

    deinit {
        guard let base = unsafe base else { return }
        unsafe base.deinitialize(count: used)
        unsafe base.deallocate()
    }

    /// Takes a slot for a stream.
    mutating func open(id: Int32) -> Int {
        count &+= 1
        var slot = Int(firstFree)
        if slot >= 0 {
            firstFree = unsafe places[slot].facts.nextFree
        } else {
            if used == capacity { grow() }
            slot = used
            // `used < capacity`, and the place is not initialised yet.
            unsafe (places + slot).initialize(to: StreamRecord())
            used &+= 1
        }
        unsafe places[slot].facts.id = id
        return slot
    }

    /// The record of an open stream, nil where it is gone. Valid until the next `open` or
    /// `release`, neither of which happens while a call of the session's looks at it.
    @unsafe
    func find(_ handle: HTTP2StreamHandle) -> UnsafeMutablePointer<StreamRecord>? {
        unsafe find(slot: handle.slot, id: handle.id)
    }

    /// See `find` of a handle.
    @unsafe
    func find(slot: Int, id: Int32) -> UnsafeMutablePointer<StreamRecord>? {
        guard slot >= 0, slot < used, id > 0 else { return nil }
        let record = unsafe places + slot
        return unsafe record.pointee.facts.id == id ? record : nil
    }

    /// Names the stream of a slot that was taken before the number was known.
    mutating func setID(_ id: Int32, slot: Int) {
        precondition(slot >= 0 && slot < used, "no such slot")
        unsafe places[slot].facts.id = id
    }

    /// Forgets a slot's stream. `isFree`: the slot may be taken again at once, else after `free`.
    mutating func close(slot: Int, isFree: Bool = true) {
        precondition(slot >= 0 && slot < used, "no such slot")
        unsafe places[slot].clear()
        count &-= 1
        if isFree { free(slot: slot) }
    }

    /// Frees a slot whose stream's end has been told.
    mutating func free(slot: Int) {
        // Memory may have been given back meanwhile.
        guard slot < used else { return }
        unsafe places[slot].facts.nextFree = firstFree
        firstFree = Int32(truncatingIfNeeded: slot)
    }

    /// Gives memory back where no stream is open and the end of each was told: an idle connection
    /// costs its record only.
    mutating func release() {
        guard count == 0, let base = unsafe base else { return }
        unsafe base.deinitialize(count: used)
        unsafe base.deallocate()
        unsafe self.base = nil
        capacity = 0
        used = 0
        firstFree = StreamTable.none
    }

    /// The block; there is one as soon as a slot was taken.
    private var places: UnsafeMutablePointer<StreamRecord> {
        guard let base = unsafe base else { preconditionFailure("no slot was taken") }
        return unsafe base
    }

    private mutating func grow() {
        let wanted = max(capacity * 2, StreamTable.firstCapacity)
        let larger = UnsafeMutablePointer<StreamRecord>.allocate(capacity: wanted)
        if let base = unsafe base {
            // The records move as they are; the old block is left without any.
            unsafe larger.moveInitialize(from: base, count: used)
            unsafe base.deallocate()
        }
        unsafe base = larger
        capacity = wanted
    }
}
