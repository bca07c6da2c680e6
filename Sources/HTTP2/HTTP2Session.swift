package import Bytes
internal import CNghttp2
internal import HTTP

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

    /// What changes during calls into nghttp2, in one value.
    struct Facts {
        /// Where this `receive`'s input begins in memory, to tell ranges from pointers.
        var inputBase: UInt = 0
        /// Bytes that `sink` may hold before sending pauses.
        var limit = 0
        /// GOAWAY was decided: nothing more is read.
        var isOver = false
        /// The peer's settings have come.
        var hasSettings = false
        /// A budget was spent during a callback.
        var isSpent = false
        /// Resets charged as their cause was read, and not yet seen sent.
        var chargedResets = 0
        /// Resets that we asked for and that are not yet sent.
        var ownResets = 0
    }

    let isServer: Bool
    private let settings: Settings
    let handle: SessionHandle
    let streams = StreamTable()
    var composer: HeadComposer
    var events = EventQueue()
    var meter: FrameMeter
    var facts = Facts()
    /// Where frames go while nghttp2 is asked for output.
    var sink = ByteBuffer()
    /// Control frames drained at the end of `receive`.
    private var early = ByteBuffer()

    /// Most that is drained early; nghttp2 bounds what waits behind.
    private static let maxEarly = 16384

    /// A session at its beginning; its preface waits as output.
    package init(_ settings: Settings) {
        isServer = settings.role == .server
        self.settings = settings
        handle = SessionHandle.make(isServer: isServer)
        composer = HeadComposer(maxBytes: settings.maxHeadBytes, maxFields: settings.maxFields)
        meter = FrameMeter(isServer: isServer)
        // Unretained: the handle dies with this object, and no callback comes after.
        unsafe nghttp2_session_set_user_data(
            handle.pointer, Unmanaged.passUnretained(self).toOpaque())
        submitSettings()
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
        _ = unsafe nghttp2_submit_settings(handle.pointer, 0, entries, entries.count)
        _ = unsafe nghttp2_session_set_local_window_size(
            handle.pointer, 0, 0, Int32(clamping: settings.connectionWindow))
    }

    /// Takes input, all of it. False when the connection is at its end, by an error, a spent budget
    /// or a GOAWAY without streams: what is wanted is flushed, then the connection closed.
    package func receive(_ input: Span<UInt8>, nowMilliseconds: Int64) -> Bool {
        if facts.isOver { return false }
        composer.beginInput()
        meter.refill(nowMilliseconds: nowMilliseconds)
        guard meter.read(input) else { return terminate(.enhanceYourCalm) }
        let session = unsafe handle.pointer
        let read = unsafe input.withUnsafeBufferPointer { bytes in
            facts.inputBase = UInt(bitPattern: bytes.baseAddress)
            return unsafe nghttp2_session_mem_recv(session, bytes.baseAddress, bytes.count)
        }
        if read < 0 { return terminate(HTTP2Session.code(of: read)) }
        if !facts.isSpent { drainControl() }
        if facts.isOver { return false }
        if facts.isSpent { return terminate(.enhanceYourCalm) }
        return unsafe nghttp2_session_want_read(session) != 0
    }

    /// The next event of `receive` or of output, in order.
    package func nextEvent() -> HTTP2Event? {
        if events.isEmpty, !events.isWorn { return nil }
        let event = events.removeFirst()
        if case .closed(let handle, _) = event { streams.free(slot: handle.slot) }
        return event
    }

    /// The heads and trailers of the last `receive`. `body` may call what submits.
    package func withArena(_ body: (Span<UInt8>) -> Void) {
        composer.arena.withBytes { body($0) }
    }

    /// Whether a frame, a header block or the preface has begun and not ended.
    package var isMidFrame: Bool { meter.isMidFrame }

    /// The same, but for DATA frames, whose pace is that of a body.
    package var isMidHead: Bool { meter.isMidHead }

    /// Whether there is something to send now: windows and limits allow it.
    package var wantsOutput: Bool {
        if !early.isEmpty { return true }
        return unsafe nghttp2_session_want_write(handle.pointer) != 0
    }

    /// Appends frames, in sequence, until about `limit` bytes are in `output` or nothing is left.
    package func appendOutput(to output: inout ByteBuffer, upTo limit: Int) {
        if !early.isEmpty {
            output.append(early)
            early.removeAll()
        }
        swap(&output, &sink)
        drain(upTo: limit, isControlOnly: false)
        swap(&output, &sink)
        if streams.count == 0, events.isEmpty { release() }
    }

    /// Moves what nghttp2 queued as an answer out of it, so that a GOAWAY among it is known as soon
    /// as its cause was read.
    private func drainControl() {
        guard unsafe nghttp2_session_get_outbound_queue_size(handle.pointer) > 0,
            early.count < HTTP2Session.maxEarly
        else { return }
        swap(&early, &sink)
        drain(upTo: HTTP2Session.maxEarly, isControlOnly: true)
        swap(&early, &sink)
    }

    private func drain(upTo limit: Int, isControlOnly: Bool) {
        facts.limit = limit
        let session = unsafe handle.pointer
        while sink.count < limit {
            if isControlOnly, unsafe nghttp2_session_get_outbound_queue_size(session) == 0 {
                return
            }
            var frame: UnsafePointer<UInt8>?
            let count = unsafe nghttp2_session_mem_send(session, &frame)
            if count < 0 { facts.isOver = true }
            guard count > 0 else { return }
            // Valid until the next call into nghttp2.
            unsafe sink.append(UnsafeRawBufferPointer(start: frame, count: count))
        }
    }

    /// Queues GOAWAY; nothing more is read.
    @discardableResult
    func terminate(_ code: HTTP2ErrorCode) -> Bool {
        facts.isOver = true
        _ = unsafe nghttp2_session_terminate_session(handle.pointer, code.rawValue)
        return false
    }

    private func release() {
        streams.release()
        composer.release()
        events.release()
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
