internal import Bytes
internal import CNghttp2
package import HTTP

/// What the owner asks for: requests, answers, bodies, windows, ends. A call for a stream that is
/// gone does nothing.
extension HTTP2Session {
    /// Bytes buffered for a stream above which it is congested, and at which it no longer is.
    private static let highWater = 32768
    /// See `highWater`.
    static let lowWater = 16384
    /// RFC 9113, section 6.5.2, recommends no less; assumed until the peer has spoken.
    private static let streamsUntilKnown = 100

    /// Streams open now.
    package var openStreams: Int { unsafe state.pointee.streams.count }

    /// Streams that the peer allows at once: 100 until its settings have come.
    package var maxStreams: Int {
        if unsafe !state.pointee.facts.hasSettings { return HTTP2Session.streamsUntilKnown }
        let most = unsafe nghttp2_session_get_remote_settings(
            session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        return Int(most)
    }

    /// Whether `request` would find room now: no GOAWAY, a number left, the peer's limit not met.
    package var canOpenStream: Bool {
        if unsafe isServer || state.pointee.facts.isOver
            || state.pointee.streams.count >= maxStreams
        {
            return false
        }
        return unsafe nghttp2_session_check_request_allowed(session) != 0
    }

    /// Opens a stream with a request's head (client). Nil where the connection takes no more.
    package func request(
        _ head: Span<UInt8>, isSecure: Bool, isEnd: Bool
    ) -> HTTP2StreamHandle? {
        guard canOpenStream else { return nil }
        let slot = unsafe state.pointee.streams.open(id: 0)
        let session = unsafe session
        var id: Int32 = -1
        _ = unsafe FieldVector.withRequest(head, isSecure: isSecure) { fields, count in
            id = unsafe cnghttp2_submit_request(
                session, fields, count, isEnd ? nil : SessionCallbacks.readData,
                HTTP2Session.userData(slot))
        }
        guard id > 0 else {
            unsafe state.pointee.streams.close(slot: slot)
            return nil
        }
        unsafe state.pointee.streams.setID(id, slot: slot)
        let handle = HTTP2StreamHandle(id: id, slot: slot)
        if let record = unsafe state.pointee.streams.find(handle) {
            unsafe record.pointee.facts.isAnnounced = true
            unsafe record.pointee.facts.isEnded = isEnd
        }
        return handle
    }

    /// Answers a request with its final head (server).
    package func respond(_ stream: HTTP2StreamHandle, _ head: Span<UInt8>, isEnd: Bool) {
        guard let record = unsafe state.pointee.streams.find(stream),
            unsafe !record.pointee.facts.isReset
        else { return }
        if isEnd { unsafe record.pointee.facts.isEnded = true }
        let session = unsafe session
        let isHead = unsafe FieldVector.withResponse(head) { fields, count in
            _ = unsafe cnghttp2_submit_response(
                session, stream.id, fields, count, isEnd ? nil : SessionCallbacks.readData)
        }
        if !isHead { reset(stream, .internalError) }
    }

    /// The same for a head that was read: its status, those of its `fields` that are kept, and
    /// behind them `more` lines.
    package func respond(
        _ stream: HTTP2StreamHandle, _ head: Span<UInt8>, _ fields: FieldSection,
        more: Span<UInt8>, isEnd: Bool
    ) {
        guard let record = unsafe state.pointee.streams.find(stream),
            unsafe !record.pointee.facts.isReset
        else { return }
        if isEnd { unsafe record.pointee.facts.isEnded = true }
        let session = unsafe session
        let isHead = unsafe FieldVector.withResponse(head, fields, more) { fields, count in
            _ = unsafe cnghttp2_submit_response(
                session, stream.id, fields, count, isEnd ? nil : SessionCallbacks.readData)
        }
        if !isHead { reset(stream, .internalError) }
    }

    /// Sends an interim response's head (server; RFC 9110, section 15.2).
    package func sendInterim(_ stream: HTTP2StreamHandle, _ head: Span<UInt8>) {
        guard let record = unsafe state.pointee.streams.find(stream),
            unsafe !record.pointee.facts.isReset
        else { return }
        let session = unsafe session
        _ = unsafe FieldVector.withResponse(head) { fields, count in
            _ = unsafe nghttp2_submit_headers(
                session, 0, stream.id, nil, fields, count, nil)
        }
    }

    /// Appends to the stream's buffer; it is sent as windows allow.
    package func write(_ stream: HTTP2StreamHandle, _ bytes: Span<UInt8>) {
        guard !bytes.isEmpty, let record = unsafe state.pointee.streams.find(stream),
            unsafe !record.pointee.facts.isReset,
            unsafe !record.pointee.facts.isEnded
        else { return }
        unsafe record.pointee.buffer.append(bytes)
        if unsafe record.pointee.buffer.count > HTTP2Session.highWater {
            unsafe record.pointee.facts.isCongested = true
        }
        unsafe resume(record)
    }

    /// Ends the stream's output behind what is buffered. `trailers`: lines, possibly none.
    package func end(_ stream: HTTP2StreamHandle, trailers: Span<UInt8>) {
        guard let record = unsafe state.pointee.streams.find(stream),
            unsafe !record.pointee.facts.isReset, unsafe !record.pointee.facts.isEnded
        else { return }
        unsafe record.pointee.facts.isEnded = true
        unsafe record.pointee.trailers.append(trailers)
        if !trailers.isEmpty, unsafe record.pointee.facts.isDeferred,
            unsafe record.pointee.buffer.isEmpty
        {
            // No empty DATA frame before them.
            unsafe submitTrailers(record)
        } else {
            unsafe resume(record)
        }
    }

    /// Bytes buffered for the stream.
    package func buffered(_ stream: HTTP2StreamHandle) -> Int {
        guard let record = unsafe state.pointee.streams.find(stream) else { return 0 }
        return unsafe record.pointee.buffer.count
    }

    /// Whether the stream's buffer was above the high-water mark and is not yet back at the low
    /// one.
    package func isCongested(_ stream: HTTP2StreamHandle) -> Bool {
        guard let record = unsafe state.pointee.streams.find(stream) else { return false }
        return unsafe record.pointee.facts.isCongested
    }

    /// Gives the peer `count` bytes of the stream's window back.
    package func consume(_ stream: HTTP2StreamHandle, _ count: Int) {
        guard count > 0, let record = unsafe state.pointee.streams.find(stream),
            unsafe !record.pointee.facts.isInputOver,
            unsafe !record.pointee.facts.isReset
        else { return }
        _ = unsafe nghttp2_session_consume_stream(session, stream.id, count)
    }

    /// Gives the peer `count` bytes of the connection's window back.
    package func consumeConnection(_ count: Int) {
        guard count > 0 else { return }
        _ = unsafe nghttp2_session_consume_connection(session, count)
    }

    /// Ends the stream both ways; `.closed` follows as an event of output.
    package func reset(_ stream: HTTP2StreamHandle, _ code: HTTP2ErrorCode) {
        guard let record = unsafe state.pointee.streams.find(stream),
            unsafe !record.pointee.facts.isReset
        else { return }
        unsafe record.pointee.facts.isReset = true
        unsafe record.pointee.buffer.removeAll()
        unsafe state.pointee.facts.ownResets &+= 1
        _ = unsafe nghttp2_submit_rst_stream(session, 0, stream.id, code.rawValue)
    }

    /// Once the stream's output has ended, or now if it has, resets it where the peer has not ended
    /// its own side: what is left of a request is not wanted (server; RFC 9113, section 8.1).
    package func resetAfterEnd(_ stream: HTTP2StreamHandle) {
        guard let record = unsafe state.pointee.streams.find(stream) else { return }
        unsafe record.pointee.facts.resetsAfterEnd = true
        if unsafe record.pointee.facts.isOutputOver { reset(stream, .noError) }
    }

    /// Tells the client that no new streams will be taken soon (server): GOAWAY with the highest
    /// number there is (RFC 9113, section 6.8).
    package func announceShutdown() {
        if unsafe !isServer || state.pointee.facts.isOver { return }
        _ = unsafe nghttp2_submit_shutdown_notice(session)
    }

    /// GOAWAY: without an error, streams under way go on; with one, everything ends.
    package func shutDown(_ code: HTTP2ErrorCode) {
        if unsafe state.pointee.facts.isOver { return }
        guard code == .noError else {
            terminate(code)
            return
        }
        let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
        _ = unsafe nghttp2_submit_goaway(session, 0, last, code.rawValue, nil, 0)
    }

    /// Asks the peer for a sign of life; `.pong` follows.
    package func ping() {
        if unsafe state.pointee.facts.isOver { return }
        unsafe state.pointee.meter.notePing()
        _ = unsafe nghttp2_submit_ping(session, 0, nil)
    }

    private func resume(_ record: UnsafeMutablePointer<StreamRecord>) {
        guard unsafe record.pointee.facts.isDeferred else { return }
        unsafe record.pointee.facts.isDeferred = false
        _ = unsafe nghttp2_session_resume_data(session, record.pointee.facts.id)
    }

    func submitTrailers(_ record: UnsafeMutablePointer<StreamRecord>) {
        let session = unsafe session
        let id = unsafe record.pointee.facts.id
        let isSubmitted = unsafe record.pointee.trailers.withBytes { lines in
            unsafe FieldVector.withTrailers(lines) { fields, count in
                _ = unsafe nghttp2_submit_trailer(session, id, fields, count)
            }
        }
        precondition(isSubmitted, "trailer lines are written by our own code")
    }

    /// What nghttp2 keeps for a stream: the slot plus one, so that it is not null.
    static func userData(_ slot: Int) -> UnsafeMutableRawPointer? {
        unsafe UnsafeMutableRawPointer(bitPattern: slot &+ 1)
    }
}
