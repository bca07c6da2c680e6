internal import Bytes
internal import CNghttp2
internal import HTTP

/// What nghttp2 tells during `receive` and output. Nothing here acts: it is noted for later.
extension HTTP2Session {
    func onBeginHeaders(_ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
        guard unsafe cnghttp2_type(frame) == UInt8(truncatingIfNeeded: NGHTTP2_HEADERS.rawValue)
        else { return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue }
        let isRequest = unsafe isServer && cnghttp2_is_request(frame) != 0
        unsafe state.pointee.composer.begin(isRequest: isRequest)
        if isRequest {
            let id = unsafe cnghttp2_stream(frame)
            let slot = unsafe state.pointee.streams.open(id: id)
            unsafe state.pointee.facts.lastID = id
            unsafe state.pointee.facts.lastSlot = slot
            _ = unsafe nghttp2_session_set_stream_user_data(
                session, id, HTTP2Session.userData(slot))
        }
        return 0
    }

    func onHeader(_ name: Span<UInt8>, _ value: Span<UInt8>) -> Int32 {
        unsafe state.pointee.composer.add(name, value)
            ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
    }

    func onFrame(_ frame: UnsafePointer<nghttp2_frame>) {
        let flags = unsafe UInt32(cnghttp2_flags(frame))
        switch unsafe UInt32(cnghttp2_type(frame)) {
        case NGHTTP2_HEADERS.rawValue:
            unsafe onHead(
                cnghttp2_stream(frame), isEnd: flags & NGHTTP2_FLAG_END_STREAM.rawValue != 0)
        case NGHTTP2_DATA.rawValue:
            if flags & NGHTTP2_FLAG_END_STREAM.rawValue != 0 {
                unsafe onDataEnd(cnghttp2_stream(frame))
            }
        case NGHTTP2_SETTINGS.rawValue:
            guard flags & NGHTTP2_FLAG_ACK.rawValue == 0 else { return }
            unsafe state.pointee.facts.hasSettings = true
            unsafe state.pointee.events.append(.settings)
        case NGHTTP2_PING.rawValue:
            if flags & NGHTTP2_FLAG_ACK.rawValue != 0 {
                unsafe state.pointee.events.append(.pong)
            }
        case NGHTTP2_GOAWAY.rawValue:
            let last = unsafe cnghttp2_goaway_last_stream(frame)
            let code = unsafe cnghttp2_goaway_code(frame)
            unsafe state.pointee.events.append(.goAway(lastStreamID: last, code: code))
        default: break
        }
    }

    private func onDataEnd(_ id: Int32) {
        guard let record = unsafe record(id), unsafe !record.pointee.facts.isReset else { return }
        unsafe record.pointee.facts.isInputOver = true
        unsafe state.pointee.events.append(.end(lastStream))
    }

    /// A header block is complete.
    private func onHead(_ id: Int32, isEnd: Bool) {
        let found = unsafe state.pointee.composer.finish()
        guard let record = unsafe record(id), unsafe !record.pointee.facts.isReset else { return }
        let handle = lastStream
        if isEnd { unsafe record.pointee.facts.isInputOver = true }
        guard let fault = found.fault else {
            unsafe record.pointee.facts.isAnnounced = true
            unsafe state.pointee.events.append(
                found.isTrailers
                    ? .trailers(handle, found.range)
                    : .head(handle, found.range, lines: found.lines, isEnd: isEnd))
            return
        }
        if isServer, !found.isTrailers {
            unsafe record.pointee.facts.isAnnounced = true
            unsafe state.pointee.events.append(.badHead(handle, fault, isEnd: isEnd))
        } else {
            tellBadResponse(id, fault)
            chargeReset()
            unsafe record.pointee.facts.isReset = true
            _ = unsafe nghttp2_submit_rst_stream(
                session, 0, id, HTTP2ErrorCode.protocolError.rawValue)
        }
    }

    /// The peer's fault will make us reset a stream or end the connection.
    func onInvalidFrame(_ frame: UnsafePointer<nghttp2_frame>) {
        if unsafe UInt32(cnghttp2_type(frame)) == NGHTTP2_HEADERS.rawValue {
            tellBadResponse(unsafe cnghttp2_stream(frame), .fieldLine)
        }
        chargeReset()
    }

    /// Whoever asked learns that it was the answer's fault, before the stream's end.
    private func tellBadResponse(_ id: Int32, _ fault: MessageError) {
        guard !isServer, let record = unsafe record(id),
            unsafe !record.pointee.facts.isReset
        else { return }
        unsafe state.pointee.events.append(.badHead(lastStream, fault, isEnd: false))
    }

    private func chargeReset() {
        unsafe state.pointee.facts.chargedResets &+= 1
        if unsafe !state.pointee.meter.chargeReset() { unsafe state.pointee.facts.isSpent = true }
    }

    func onData(_ id: Int32, _ address: UInt, _ count: Int) {
        guard let record = unsafe record(id), unsafe !record.pointee.facts.isReset else {
            // Nobody will take it, so nobody would give the window back.
            consumeConnection(count)
            return
        }
        let start = unsafe Int(bitPattern: address &- state.pointee.facts.inputBase)
        unsafe state.pointee.events.append(.data(lastStream, start..<start &+ count))
    }

    func onClose(_ id: Int32, _ code: UInt32) {
        guard let record = unsafe record(id) else { return }
        let handle = lastStream
        let isAnnounced = unsafe record.pointee.facts.isAnnounced
        // A request that never left, as the peer said GOAWAY before, may be sent elsewhere.
        let isUnsent =
            unsafe !isServer && !record.pointee.facts.isSent && !record.pointee.facts.isReset
        let told = isUnsent ? HTTP2ErrorCode.refusedStream.rawValue : code
        if isAnnounced { unsafe state.pointee.events.append(.closed(handle, code: told)) }
        // Whoever is told of the end finds the slot as it was until then.
        unsafe state.pointee.streams.close(slot: handle.slot, isFree: !isAnnounced)
    }

    func onSent(_ frame: UnsafePointer<nghttp2_frame>) {
        switch unsafe UInt32(cnghttp2_type(frame)) {
        case NGHTTP2_GOAWAY.rawValue:
            if unsafe cnghttp2_goaway_code(frame) != 0 {
                unsafe state.pointee.facts.isOver = true
            }
        case NGHTTP2_RST_STREAM.rawValue: noteSentReset()
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
            let flags = unsafe UInt32(cnghttp2_flags(frame))
            if !isServer {
                unsafe record(cnghttp2_stream(frame))?.pointee.facts.isSent = true
            } else if flags & NGHTTP2_FLAG_END_STREAM.rawValue != 0 {
                noteSentEnd(unsafe cnghttp2_stream(frame))
            }
        default: break
        }
    }

    private func noteSentEnd(_ id: Int32) {
        guard let record = unsafe record(id), unsafe !record.pointee.facts.isInputOver
        else { return }
        unsafe record.pointee.facts.isOutputOver = true
        if unsafe record.pointee.facts.resetsAfterEnd { reset(lastStream, .noError) }
    }

    /// Charges a reset whose cause no callback told, such as a body longer than announced.
    private func noteSentReset() {
        if unsafe state.pointee.facts.ownResets > 0 {
            unsafe state.pointee.facts.ownResets &-= 1
        } else if unsafe state.pointee.facts.chargedResets > 0 {
            unsafe state.pointee.facts.chargedResets &-= 1
        } else if unsafe !state.pointee.meter.chargeReset() {
            unsafe state.pointee.facts.isSpent = true
        }
    }

    /// How many bytes the next DATA frame takes from the stream's buffer.
    func readData(_ id: Int32, _ limit: Int, _ flags: inout UInt32) -> Int {
        guard let record = unsafe record(id) else {
            return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        let buffered = unsafe record.pointee.buffer.count
        let count = min(limit, buffered)
        let isLast = unsafe record.pointee.facts.isEnded && count == buffered
        if count == 0, !isLast {
            unsafe record.pointee.facts.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        flags |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if isLast {
            flags |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if unsafe !record.pointee.trailers.isEmpty {
                flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                unsafe submitTrailers(record)
            }
        }
        return count
    }

    /// Appends a DATA frame: nghttp2's nine octets of header, and what `readData` promised.
    func sendData(_ id: Int32, _ header: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
        if unsafe state.pointee.sink.count >= state.pointee.facts.limit {
            return NGHTTP2_ERR_WOULDBLOCK.rawValue
        }
        guard let record = unsafe record(id), unsafe record.pointee.buffer.count >= count else {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        unsafe state.pointee.sink.reserve(count &+ 9)
        unsafe state.pointee.sink.append(UnsafeRawBufferPointer(start: header, count: 9))
        unsafe record.pointee.buffer.withBytes { bytes in
            unsafe state.pointee.sink.append(bytes, 0..<count)
        }
        unsafe record.pointee.buffer.removeFirst(count, keepingCapacity: true)
        let left = unsafe record.pointee.buffer.count
        unsafe state.pointee.meter.noteData(count, isLast: left == 0)
        if unsafe record.pointee.facts.isCongested, left <= HTTP2Session.lowWater {
            unsafe record.pointee.facts.isCongested = false
            unsafe state.pointee.events.append(.writable(lastStream))
        }
        return 0
    }

    /// The stream that `record` found last.
    private var lastStream: HTTP2StreamHandle {
        unsafe HTTP2StreamHandle(
            id: state.pointee.facts.lastID, slot: state.pointee.facts.lastSlot)
    }

    /// The record of a number's open stream, by what nghttp2 keeps for it. Valid while the callback
    /// that asked runs.
    @unsafe
    private func record(_ id: Int32) -> UnsafeMutablePointer<StreamRecord>? {
        if unsafe id != state.pointee.facts.lastID {
            let data = unsafe nghttp2_session_get_stream_user_data(session, id)
            unsafe state.pointee.facts.lastID = id
            unsafe state.pointee.facts.lastSlot = Int(bitPattern: data) &- 1
        }
        return unsafe state.pointee.streams.find(slot: state.pointee.facts.lastSlot, id: id)
    }
}
