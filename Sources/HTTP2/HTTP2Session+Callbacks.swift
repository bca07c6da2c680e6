internal import Bytes
internal import CNghttp2

/// What nghttp2 tells during `receive` and output. Nothing here acts: it is noted for later.
extension HTTP2Session {
    func onBeginHeaders(_ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
        guard unsafe cnghttp2_type(frame) == UInt8(truncatingIfNeeded: NGHTTP2_HEADERS.rawValue)
        else { return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue }
        let isRequest = unsafe isServer && cnghttp2_is_request(frame) != 0
        composer.begin(isRequest: isRequest)
        if isRequest {
            let id = unsafe cnghttp2_stream(frame)
            let slot = streams.open(id: id)
            _ = unsafe nghttp2_session_set_stream_user_data(
                handle.pointer, id, HTTP2Session.userData(slot))
        }
        return 0
    }

    func onHeader(_ name: Span<UInt8>, _ value: Span<UInt8>) -> Int32 {
        composer.add(name, value) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
    }

    func onFrame(_ frame: UnsafePointer<nghttp2_frame>) {
        let flags = unsafe UInt32(cnghttp2_flags(frame))
        switch unsafe UInt32(cnghttp2_type(frame)) {
        case NGHTTP2_HEADERS.rawValue:
            unsafe onHead(
                cnghttp2_stream(frame), isEnd: flags & NGHTTP2_FLAG_END_STREAM.rawValue != 0)
        case NGHTTP2_DATA.rawValue:
            guard flags & NGHTTP2_FLAG_END_STREAM.rawValue != 0,
                let (handle, state) = unsafe stream(cnghttp2_stream(frame)), !state.facts.isReset
            else { return }
            state.facts.isInputOver = true
            events.append(.end(handle))
        case NGHTTP2_SETTINGS.rawValue:
            guard flags & NGHTTP2_FLAG_ACK.rawValue == 0 else { return }
            facts.hasSettings = true
            events.append(.settings)
        case NGHTTP2_PING.rawValue:
            if flags & NGHTTP2_FLAG_ACK.rawValue != 0 { events.append(.pong) }
        case NGHTTP2_GOAWAY.rawValue:
            let last = unsafe cnghttp2_goaway_last_stream(frame)
            events.append(.goAway(lastStreamID: last, code: unsafe cnghttp2_goaway_code(frame)))
        default: break
        }
    }

    /// A header block is complete.
    private func onHead(_ id: Int32, isEnd: Bool) {
        let found = composer.finish()
        guard let (handle, state) = stream(id), !state.facts.isReset else { return }
        if isEnd { state.facts.isInputOver = true }
        guard let fault = found.fault else {
            state.facts.isAnnounced = true
            events.append(
                found.isTrailers
                    ? .trailers(handle, found.range) : .head(handle, found.range, isEnd: isEnd))
            return
        }
        if isServer, !found.isTrailers {
            state.facts.isAnnounced = true
            events.append(.badHead(handle, fault, isEnd: isEnd))
        } else {
            // A response or trailers of no use; the stream's end is what the owner is told.
            onInvalidFrame()
            state.facts.isReset = true
            let code = HTTP2ErrorCode.protocolError.rawValue
            _ = unsafe nghttp2_submit_rst_stream(self.handle.pointer, 0, id, code)
        }
    }

    /// The peer's fault will make us reset a stream or end the connection.
    func onInvalidFrame() {
        facts.chargedResets &+= 1
        if !meter.chargeReset() { facts.isSpent = true }
    }

    func onData(_ id: Int32, _ address: UInt, _ count: Int) {
        guard let (handle, state) = stream(id), !state.facts.isReset else {
            // Nobody will take it, so nobody would give the window back.
            consumeConnection(count)
            return
        }
        let start = Int(bitPattern: address &- facts.inputBase)
        events.append(.data(handle, start..<start &+ count))
    }

    func onClose(_ id: Int32, _ code: UInt32) {
        guard let (handle, state) = stream(id) else { return }
        let isAnnounced = state.facts.isAnnounced
        if isAnnounced { events.append(.closed(handle, code: code)) }
        // Whoever is told of the end finds the slot as it was until then.
        streams.close(slot: handle.slot, isFree: !isAnnounced)
    }

    func onSent(_ frame: UnsafePointer<nghttp2_frame>) {
        switch unsafe UInt32(cnghttp2_type(frame)) {
        case NGHTTP2_GOAWAY.rawValue:
            if unsafe cnghttp2_goaway_code(frame) != 0 { facts.isOver = true }
        case NGHTTP2_RST_STREAM.rawValue: noteSentReset()
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
            let flags = unsafe UInt32(cnghttp2_flags(frame))
            if flags & NGHTTP2_FLAG_END_STREAM.rawValue != 0 {
                noteSentEnd(unsafe cnghttp2_stream(frame))
            }
        default: break
        }
    }

    private func noteSentEnd(_ id: Int32) {
        guard let (handle, state) = stream(id), state.facts.resetsAfterEnd,
            !state.facts.isInputOver
        else { return }
        reset(handle, .noError)
    }

    /// Charges a reset whose cause no callback told, such as a body longer than announced.
    private func noteSentReset() {
        if facts.ownResets > 0 {
            facts.ownResets &-= 1
        } else if facts.chargedResets > 0 {
            facts.chargedResets &-= 1
        } else if !meter.chargeReset() {
            facts.isSpent = true
        }
    }

    /// How many bytes the next DATA frame takes from the stream's buffer.
    func readData(_ id: Int32, _ limit: Int, _ flags: inout UInt32) -> Int {
        guard let (_, state) = stream(id) else {
            return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        let count = min(limit, state.buffer.count)
        let isLast = state.facts.isEnded && count == state.buffer.count
        if count == 0, !isLast {
            state.facts.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        flags |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if isLast {
            flags |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if !state.trailers.isEmpty {
                flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                submitTrailers(state)
            }
        }
        return count
    }

    /// Appends a DATA frame: nghttp2's nine octets of header, and what `readData` promised.
    func sendData(_ id: Int32, _ header: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
        if sink.count >= facts.limit { return NGHTTP2_ERR_WOULDBLOCK.rawValue }
        guard let (handle, state) = stream(id), state.buffer.count >= count else {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        sink.reserve(count &+ 9)
        unsafe sink.append(UnsafeRawBufferPointer(start: header, count: 9))
        state.buffer.withBytes { sink.append($0, 0..<count) }
        state.buffer.removeFirst(count, keepingCapacity: true)
        meter.noteData(count, isLast: state.buffer.isEmpty)
        if state.facts.isCongested, state.buffer.count <= HTTP2Session.lowWater {
            state.facts.isCongested = false
            events.append(.writable(handle))
        }
        return 0
    }

    /// The open stream of a number, by what nghttp2 keeps for it.
    private func stream(_ id: Int32) -> (HTTP2StreamHandle, StreamState)? {
        let data = unsafe nghttp2_session_get_stream_user_data(handle.pointer, id)
        let slot = Int(bitPattern: data) &- 1
        guard let state = streams.state(slot: slot, id: id) else { return nil }
        return (HTTP2StreamHandle(id: id, slot: slot), state)
    }
}
