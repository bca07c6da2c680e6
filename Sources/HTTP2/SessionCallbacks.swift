internal import CNghttp2

/// nghttp2's callbacks: each recovers the session and calls the method of its name.
enum SessionCallbacks {
    static func make() -> OpaquePointer {
        var created: OpaquePointer?
        guard unsafe nghttp2_session_callbacks_new(&created) == 0,
            let callbacks = unsafe created
        else { preconditionFailure("callbacks are refused only where there is no memory") }
        unsafe setInput(callbacks)
        unsafe setOutput(callbacks)
        return unsafe callbacks
    }

    private static func setInput(_ callbacks: OpaquePointer) {
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) {
            _, frame, user in
            guard let frame = unsafe frame else { return 0 }
            return unsafe session(user)._withUnsafeGuaranteedRef { unsafe $0.onBeginHeaders(frame) }
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, _, name, nameLength, value, valueLength, _, user in
            // nghttp2 keeps both readable for the call.
            let name = unsafe Span(_unsafeStart: name.unsafelyUnwrapped, count: nameLength)
            let value = unsafe Span(_unsafeStart: value.unsafelyUnwrapped, count: valueLength)
            return unsafe session(user)._withUnsafeGuaranteedRef { $0.onHeader(name, value) }
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks) {
            _, _, _, _, _, _, _, _ in
            // Without this they would be left out in silence. The stream ends with PROTOCOL_ERROR.
            NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            if let frame = unsafe frame {
                unsafe session(user)._withUnsafeGuaranteedRef { unsafe $0.onFrame(frame) }
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) {
            _, frame, _, user in
            guard let frame = unsafe frame else { return 0 }
            unsafe session(user)._withUnsafeGuaranteedRef { unsafe $0.onInvalidFrame(frame) }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
            _, _, stream, data, count, user in
            let address = UInt(bitPattern: data)
            unsafe session(user)._withUnsafeGuaranteedRef { $0.onData(stream, address, count) }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) {
            _, stream, code, user in
            unsafe session(user)._withUnsafeGuaranteedRef { $0.onClose(stream, code) }
            return 0
        }
    }

    private static func setOutput(_ callbacks: OpaquePointer) {
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            if let frame = unsafe frame {
                unsafe session(user)._withUnsafeGuaranteedRef { unsafe $0.onSent(frame) }
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_send_data_callback(callbacks) {
            _, frame, header, count, _, user in
            guard let frame = unsafe frame, let header = unsafe header else { return 0 }
            let stream = unsafe cnghttp2_stream(frame)
            return unsafe session(user)._withUnsafeGuaranteedRef {
                unsafe $0.sendData(stream, header, count)
            }
        }
    }

    /// Says how much of a stream's buffer may go into the next DATA frame.
    static let readData: nghttp2_data_source_read_callback = {
        _, stream, _, limit, flags, _, user in
        guard let flags = unsafe flags else { return 0 }
        return unsafe session(user)._withUnsafeGuaranteedRef {
            unsafe $0.readData(stream, limit, &flags.pointee)
        }
    }
}

/// The session whose call this is; it outlives the call and is not kept, so nothing is counted.
private func session(_ user: UnsafeMutableRawPointer?) -> Unmanaged<HTTP2Session> {
    guard let user = unsafe user else { preconditionFailure("set before the first call") }
    return unsafe Unmanaged<HTTP2Session>.fromOpaque(user)
}
