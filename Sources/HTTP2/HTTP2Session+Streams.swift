internal import Bytes
internal import CNghttp2

/// What the owner asks for: requests, answers, bodies, windows, ends. A call for a stream that is
/// gone does nothing.
extension HTTP2Session {
    /// Bytes buffered for a stream above which it is congested, and at which it no longer is.
    private static let highWater = 65536
    /// See `highWater`.
    static let lowWater = 16384
    /// RFC 9113, section 6.5.2, recommends no less; assumed until the peer has spoken.
    private static let streamsUntilKnown = 100

    /// Streams open now.
    package var openStreams: Int { streams.count }

    /// Streams that the peer allows at once: 100 until its settings have come.
    package var maxStreams: Int {
        if !facts.hasSettings { return HTTP2Session.streamsUntilKnown }
        let most = unsafe nghttp2_session_get_remote_settings(
            handle.pointer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        return Int(most)
    }

    /// Whether `request` would find room now: no GOAWAY, a number left, the peer's limit not met.
    package var canOpenStream: Bool {
        if isServer || facts.isOver || streams.count >= maxStreams { return false }
        return unsafe nghttp2_session_check_request_allowed(handle.pointer) != 0
    }

    /// Opens a stream with a request's head (client). Nil where the connection takes no more.
    package func request(
        _ head: Span<UInt8>, isSecure: Bool, isEnd: Bool
    ) -> HTTP2StreamHandle? {
        guard canOpenStream else { return nil }
        let slot = streams.open(id: 0)
        let session = unsafe handle.pointer
        var id: Int32 = -1
        _ = unsafe FieldVector.withRequest(head, isSecure: isSecure) { fields, count in
            id = unsafe cnghttp2_submit_request(
                session, fields, count, isEnd ? nil : SessionCallbacks.readData,
                HTTP2Session.userData(slot))
        }
        guard id > 0 else {
            streams.close(slot: slot)
            return nil
        }
        streams.setID(id, slot: slot)
        let handle = HTTP2StreamHandle(id: id, slot: slot)
        if let state = streams.state(handle) {
            state.facts.isAnnounced = true
            state.facts.isEnded = isEnd
        }
        return handle
    }

    /// Answers a request with its final head (server).
    package func respond(_ stream: HTTP2StreamHandle, _ head: Span<UInt8>, isEnd: Bool) {
        guard let state = streams.state(stream), !state.facts.isReset else { return }
        let session = unsafe handle.pointer
        if isEnd { state.facts.isEnded = true }
        let isHead = unsafe FieldVector.withResponse(head) { fields, count in
            _ = unsafe cnghttp2_submit_response(
                session, stream.id, fields, count, isEnd ? nil : SessionCallbacks.readData)
        }
        if !isHead { reset(stream, .internalError) }
    }

    /// Sends an interim response's head (server; RFC 9110, section 15.2).
    package func sendInterim(_ stream: HTTP2StreamHandle, _ head: Span<UInt8>) {
        guard let state = streams.state(stream), !state.facts.isReset else { return }
        let session = unsafe handle.pointer
        _ = unsafe FieldVector.withResponse(head) { fields, count in
            _ = unsafe nghttp2_submit_headers(
                session, 0, stream.id, nil, fields, count, nil)
        }
    }

    /// Appends to the stream's buffer; it is sent as windows allow.
    package func write(_ stream: HTTP2StreamHandle, _ bytes: Span<UInt8>) {
        guard !bytes.isEmpty, let state = streams.state(stream), !state.facts.isReset,
            !state.facts.isEnded
        else { return }
        state.buffer.append(bytes)
        if state.buffer.count > HTTP2Session.highWater { state.facts.isCongested = true }
        resume(state)
    }

    /// Ends the stream's output behind what is buffered. `trailers`: lines, possibly none.
    package func end(_ stream: HTTP2StreamHandle, trailers: Span<UInt8>) {
        guard let state = streams.state(stream), !state.facts.isReset, !state.facts.isEnded
        else { return }
        state.facts.isEnded = true
        state.trailers.append(trailers)
        if !trailers.isEmpty, state.facts.isDeferred, state.buffer.isEmpty {
            // No empty DATA frame before them.
            submitTrailers(state)
        } else {
            resume(state)
        }
    }

    /// Bytes buffered for the stream.
    package func buffered(_ stream: HTTP2StreamHandle) -> Int {
        streams.state(stream)?.buffer.count ?? 0
    }

    /// Whether the stream's buffer was above the high-water mark and is not yet back at the low
    /// one.
    package func isCongested(_ stream: HTTP2StreamHandle) -> Bool {
        streams.state(stream)?.facts.isCongested ?? false
    }

    /// Gives the peer `count` bytes of the stream's window back.
    package func consume(_ stream: HTTP2StreamHandle, _ count: Int) {
        guard count > 0, let state = streams.state(stream), !state.facts.isInputOver,
            !state.facts.isReset
        else { return }
        _ = unsafe nghttp2_session_consume_stream(handle.pointer, stream.id, count)
    }

    /// Gives the peer `count` bytes of the connection's window back.
    package func consumeConnection(_ count: Int) {
        guard count > 0 else { return }
        _ = unsafe nghttp2_session_consume_connection(handle.pointer, count)
    }

    /// Ends the stream both ways; `.closed` follows as an event of output.
    package func reset(_ stream: HTTP2StreamHandle, _ code: HTTP2ErrorCode) {
        guard let state = streams.state(stream), !state.facts.isReset else { return }
        state.facts.isReset = true
        state.buffer.removeAll()
        facts.ownResets &+= 1
        _ = unsafe nghttp2_submit_rst_stream(handle.pointer, 0, stream.id, code.rawValue)
    }

    /// Once the stream's output has ended, resets it where the peer has not ended its own side:
    /// what is left of a request is not wanted (server; RFC 9113, section 8.1).
    package func resetAfterEnd(_ stream: HTTP2StreamHandle) {
        streams.state(stream)?.facts.resetsAfterEnd = true
    }

    /// Tells the client that no new streams will be taken soon (server): GOAWAY with the highest
    /// number there is (RFC 9113, section 6.8).
    package func announceShutdown() {
        if !isServer || facts.isOver { return }
        _ = unsafe nghttp2_submit_shutdown_notice(handle.pointer)
    }

    /// GOAWAY: without an error, streams under way go on; with one, everything ends.
    package func shutDown(_ code: HTTP2ErrorCode) {
        if facts.isOver { return }
        guard code == .noError else {
            terminate(code)
            return
        }
        let session = unsafe handle.pointer
        let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
        _ = unsafe nghttp2_submit_goaway(session, 0, last, code.rawValue, nil, 0)
    }

    /// Asks the peer for a sign of life; `.pong` follows.
    package func ping() {
        if facts.isOver { return }
        meter.notePing()
        _ = unsafe nghttp2_submit_ping(handle.pointer, 0, nil)
    }

    private func resume(_ state: StreamState) {
        guard state.facts.isDeferred else { return }
        state.facts.isDeferred = false
        _ = unsafe nghttp2_session_resume_data(handle.pointer, state.facts.id)
    }

    func submitTrailers(_ state: StreamState) {
        let session = unsafe handle.pointer
        let id = state.facts.id
        let isSubmitted = state.trailers.withBytes { lines in
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
