internal import Bytes

/// What the session knows of one open stream.
final class StreamState {
    struct Facts {
        /// 0 while the slot is free.
        var id: Int32 = 0
        /// An event named the stream, so its end is told as well.
        var isAnnounced = false
        /// We reset it: nothing more is told but its end.
        var isReset = false
        /// The peer's side ended: its window needs no updates.
        var isInputOver = false
        /// nghttp2 waits for `nghttp2_session_resume_data`.
        var isDeferred = false
        /// `end` was called: no bytes follow those in the buffer.
        var isEnded = false
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

    func clear() {
        facts = Facts()
        buffer.removeAll(keepingCapacity: buffer.capacity <= StreamTable.keptCapacity)
        trailers.removeAll()
    }
}

/// The open streams by slot. Slots, and small buffers, are used again.
final class StreamTable {
    static let keptCapacity = 65536
    /// Slots whose records a connection without streams keeps.
    private static let keptSlots = 8

    private var states: [StreamState] = []
    private var free: [Int] = []

    /// How many streams are open.
    private(set) var count = 0

    /// Takes a slot for a stream.
    func open(id: Int32) -> Int {
        count &+= 1
        let slot = free.popLast() ?? states.count
        if slot == states.count { states.append(StreamState()) }
        states[slot].facts.id = id
        return slot
    }

    /// The open stream of a handle, nil where it is gone.
    func state(_ handle: HTTP2StreamHandle) -> StreamState? {
        state(slot: handle.slot, id: handle.id)
    }

    func state(slot: Int, id: Int32) -> StreamState? {
        guard slot >= 0, slot < states.count, id > 0 else { return nil }
        let state = states[slot]
        return state.facts.id == id ? state : nil
    }

    /// Names the stream of a slot that was taken before the number was known.
    func setID(_ id: Int32, slot: Int) { states[slot].facts.id = id }

    /// Forgets a slot's stream. `isFree`: the slot may be taken again at once, else after `free`.
    func close(slot: Int, isFree: Bool = true) {
        states[slot].clear()
        count &-= 1
        if isFree { free.append(slot) }
    }

    /// Frees a slot whose stream's end has been told.
    func free(slot: Int) {
        // Memory may have been given back meanwhile.
        if slot < states.count { free.append(slot) }
    }

    /// Gives memory back where no stream is open: an idle connection costs its record only.
    func release() {
        if count > 0 { return }
        if states.count > StreamTable.keptSlots {
            states = []
            free = []
        } else {
            for state in states where state.buffer.capacity > 0 { state.buffer.removeAll() }
        }
    }
}
