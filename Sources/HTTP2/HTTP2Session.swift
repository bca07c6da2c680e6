package import Bytes
internal import CNghttp2
package import HTTP

/// One HTTP/2 connection (RFC 9113), fed and drained as bytes; no I/O, no clock.
///
/// nghttp2 keeps the protocol's state. Its callbacks only append: events to a queue, heads to an
/// arena, frames to the output; the owner acts on them after the call has returned.
///
///     receive ─▶ meter (floods) ─▶ nghttp2 ─▶ events, arena
///     respond, write, end … ─▶ nghttp2 and the streams' buffers ─▶ appendOutput
@safe
package final class HTTP2Session {
    /// Which end of the connection this is.
    package enum Role: Sendable {
        /// The one that answers.
        case server
        /// The one that asks.
        case client
    }

    /// What the peer is told and held to.
    package struct Settings: Sendable {
        /// Which end this is.
        package let role: Role
        /// Streams that a client may have open at once; a server's session alone says it.
        package let maxConcurrentStreams: Int
        /// Body bytes that the peer may send on a stream before they are consumed.
        package let streamWindow: Int
        /// The same for all streams together.
        package let connectionWindow: Int
        /// Decoded size of a head: names, values and 32 a field (RFC 9113, section 6.5.2).
        package let maxHeadBytes: Int
        /// Fields of a head.
        package let maxFields: Int

        /// Settings of these values.
        package init(
            role: Role, maxConcurrentStreams: Int, streamWindow: Int, connectionWindow: Int,
            maxHeadBytes: Int, maxFields: Int
        ) {
            self.role = role
            self.maxConcurrentStreams = maxConcurrentStreams
            self.streamWindow = streamWindow
            self.connectionWindow = connectionWindow
            self.maxHeadBytes = maxHeadBytes
            self.maxFields = maxFields
        }
    }

    let isServer: Bool
    private let settings: Settings
    /// Where nghttp2's session lives: it goes last.
    private let memory: HTTP2Memory
    /// nghttp2's session; `state` owns it.
    let session: OpaquePointer
    /// Owned. Each access ends before nghttp2 is called, whose callbacks make their own.
    let state: UnsafeMutablePointer<SessionState>

    /// Most that is drained early; nghttp2 bounds what waits behind.
    private static let maxEarly = 16384

    /// A session at its beginning; its preface waits as output. `memory`: the thread's.
    package init(_ settings: Settings, memory: HTTP2Memory = HTTP2Memory()) {
        isServer = settings.role == .server
        self.settings = settings
        self.memory = memory
        let handle = SessionHandle.make(isServer: isServer, in: memory)
        unsafe session = unsafe handle.pointer
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: SessionState(handle, settings))
        // Unretained: the handle dies with this object, and no callback comes after.
        unsafe nghttp2_session_set_user_data(session, Unmanaged.passUnretained(self).toOpaque())
        submitSettings()
    }

    deinit {
        let place = unsafe state.pointee.facts.restingPlace
        if place >= 0 { memory.leave(place) }
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
    }

    private func submitSettings() {
        func entry(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
            nghttp2_settings_entry(
                settings_id: Int32(truncatingIfNeeded: id.rawValue),
                value: UInt32(clamping: value))
        }
        var entries = [entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.streamWindow)]
        if isServer {
            entries.append(
                entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.maxConcurrentStreams))
            entries.append(entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings.maxHeadBytes))
        } else {
            entries.append(entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0))
        }
        // Both fail only for values outside of the protocol's, which the configuration bounds.
        _ = unsafe nghttp2_submit_settings(session, 0, entries, entries.count)
        _ = unsafe nghttp2_session_set_local_window_size(
            session, 0, 0, Int32(clamping: settings.connectionWindow))
    }

    /// Takes input, all of it. False when the connection is at its end, by an error, a spent budget
    /// or a GOAWAY without streams: what is wanted is flushed, then the connection closed.
    package func receive(_ input: Span<UInt8>, nowMilliseconds: Int64) -> Bool {
        // The arena would move under its reader.
        precondition(unsafe !state.pointee.facts.isArenaInUse, "input while the arena is read")
        if unsafe state.pointee.facts.isOver { return false }
        unsafe state.pointee.composer.beginInput()
        unsafe state.pointee.meter.refill(nowMilliseconds: nowMilliseconds)
        guard unsafe state.pointee.meter.read(input) else {
            let isOversized = unsafe state.pointee.meter.isOversized
            return terminate(isOversized ? .frameSizeError : .enhanceYourCalm)
        }
        // A server that leaves in two steps still takes the streams that were asked for before it
        // could say so (RFC 9113, section 6.8); nghttp2 would not start them after its GOAWAY.
        if unsafe state.pointee.meter.hasGoAway { drainControl() }
        let read = unsafe input.withUnsafeBufferPointer { bytes in
            unsafe state.pointee.facts.inputBase = UInt(bitPattern: bytes.baseAddress)
            return unsafe nghttp2_session_mem_recv(session, bytes.baseAddress, bytes.count)
        }
        if read < 0 { return terminate(HTTP2Session.code(of: read)) }
        if unsafe !state.pointee.facts.isSpent { drainControl() }
        if unsafe state.pointee.facts.isOver { return false }
        if unsafe state.pointee.facts.isSpent { return terminate(.enhanceYourCalm) }
        return unsafe nghttp2_session_want_read(session) != 0
    }

    /// The next event of `receive` or of output, in order.
    package func nextEvent() -> HTTP2Event? {
        guard let event = unsafe state.pointee.events.removeFirst() else {
            rest()
            return nil
        }
        if case .closed(let handle, _) = event {
            unsafe state.pointee.streams.free(slot: handle.slot)
        }
        return event
    }

    /// The heads and trailers of the last `receive`. `body` may call what submits, and `nextEvent`.
    /// `body` is given them, and the places of their field lines, each counted from its own head.
    package func withArena(_ body: (Span<UInt8>, Span<FieldLine>) -> Void) {
        precondition(unsafe !state.pointee.facts.isArenaInUse, "the arena has one reader")
        unsafe state.pointee.facts.isArenaInUse = true
        unsafe state.pointee.composer.arena.withBytes {
            unsafe body($0, state.pointee.composer.lines.span)
        }
        unsafe state.pointee.facts.isArenaInUse = false
    }

    /// Whether a frame, a header block or the preface has begun and not ended.
    package var isMidFrame: Bool { unsafe state.pointee.meter.isMidFrame }

    /// The same, but for DATA frames, whose pace is that of a body.
    package var isMidHead: Bool { unsafe state.pointee.meter.isMidHead }

    /// Whether there is something to send now: windows and limits allow it.
    package var wantsOutput: Bool {
        if unsafe !state.pointee.early.isEmpty { return true }
        return unsafe nghttp2_session_want_write(session) != 0
    }

    /// Appends frames, in sequence, until about `limit` bytes are in `output` or nothing is left.
    package func appendOutput(to output: inout ByteBuffer, upTo limit: Int) {
        if unsafe !state.pointee.early.isEmpty {
            unsafe output.append(state.pointee.early)
            unsafe state.pointee.early.removeAll()
        }
        unsafe swap(&output, &state.pointee.sink)
        drain(upTo: limit, isControlOnly: false)
        unsafe swap(&output, &state.pointee.sink)
    }

    /// Moves what nghttp2 queued as an answer out of it, so that a GOAWAY among it is known as soon
    /// as its cause was read.
    private func drainControl() {
        guard unsafe nghttp2_session_get_outbound_queue_size(session) > 0,
            unsafe state.pointee.early.count < HTTP2Session.maxEarly
        else { return }
        unsafe swap(&state.pointee.early, &state.pointee.sink)
        drain(upTo: HTTP2Session.maxEarly, isControlOnly: true)
        unsafe swap(&state.pointee.early, &state.pointee.sink)
    }

    private func drain(upTo limit: Int, isControlOnly: Bool) {
        unsafe state.pointee.facts.limit = limit
        while unsafe state.pointee.sink.count < limit {
            if isControlOnly, unsafe nghttp2_session_get_outbound_queue_size(session) == 0 {
                return
            }
            var frame: UnsafePointer<UInt8>?
            let count = unsafe nghttp2_session_mem_send(session, &frame)
            if count < 0 { unsafe state.pointee.facts.isOver = true }
            guard count > 0 else { return }
            // Valid until the next call into nghttp2.
            unsafe state.pointee.sink.append(UnsafeRawBufferPointer(start: frame, count: count))
        }
    }

    /// Queues GOAWAY; nothing more is read.
    @discardableResult
    func terminate(_ code: HTTP2ErrorCode) -> Bool {
        unsafe state.pointee.facts.isOver = true
        _ = unsafe nghttp2_session_terminate_session(session, code.rawValue)
        return false
    }

    /// Comes to rest where no stream is open and all was told.
    private func rest() {
        if unsafe state.pointee.facts.restingPlace >= 0 || state.pointee.streams.count > 0 {
            return
        }
        let place = memory.rest(self)
        unsafe state.pointee.facts.restingPlace = place
    }

    /// The session's place of rest is another's now: where it is at rest still, an idle connection
    /// costs its record only.
    func giveMemoryBack() {
        unsafe state.pointee.facts.restingPlace = -1
        guard unsafe state.pointee.events.isEmpty, unsafe state.pointee.streams.count == 0,
            unsafe !state.pointee.facts.isArenaInUse
        else { return }
        unsafe state.pointee.streams.release()
        unsafe state.pointee.composer.release()
        unsafe state.pointee.events.release()
        if unsafe nghttp2_session_want_write(session) == 0 { unsafe memory.rest(session) }
    }

    /// What the peer is told of an error that nghttp2 leaves to its caller.
    private static func code(of error: Int) -> HTTP2ErrorCode {
        switch Int32(clamping: error) {
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue: .protocolError
        case NGHTTP2_ERR_NOMEM.rawValue: .internalError
        // A flood that nghttp2 found, or a callback of ours that said stop.
        default: .enhanceYourCalm
        }
    }
}
