internal import CNghttp2

/// Owns an `nghttp2_session`.
@safe
struct SessionHandle: ~Copyable {
    let pointer: OpaquePointer

    private init(owning pointer: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
    }

    deinit {
        unsafe nghttp2_session_del(pointer)
    }

    /// A session without user data, whose owner keeps `memory`. The first callback comes with the
    /// first `receive` or output.
    static func make(isServer: Bool, in memory: HTTP2Memory) -> SessionHandle {
        let callbacks = unsafe SessionCallbacks.make()
        defer { unsafe nghttp2_session_callbacks_del(callbacks) }
        let option = unsafe makeOptions()
        defer { unsafe nghttp2_option_del(option) }
        var session: OpaquePointer?
        let code = unsafe memory.withSession { memory in
            isServer
                ? unsafe nghttp2_session_server_new3(&session, callbacks, nil, option, memory)
                : unsafe nghttp2_session_client_new3(&session, callbacks, nil, option, memory)
        }
        guard code == 0, let session = unsafe session else {
            preconditionFailure("a session is refused only where there is no memory")
        }
        return unsafe SessionHandle(owning: session)
    }

    private static func makeOptions() -> OpaquePointer {
        var created: OpaquePointer?
        guard unsafe nghttp2_option_new(&created) == 0, let option = unsafe created else {
            preconditionFailure("options are refused only where there is no memory")
        }
        // Windows are given back as bodies are taken, not as they arrive.
        unsafe nghttp2_option_set_no_auto_window_update(option, 1)
        unsafe nghttp2_option_set_no_closed_streams(option, 1)
        unsafe nghttp2_option_set_max_reserved_remote_streams(option, 0)
        // nghttp2 counts a frame anew for each piece that its header comes in, nine at most. The
        // meter counts frames, so this may be as large as a frame torn to octets makes it.
        unsafe nghttp2_option_set_max_continuations(option, FloodBudget.continuations &* 9)
        // A rewritten head may be larger than one that a client may send.
        unsafe nghttp2_option_set_max_send_header_block_length(option, maxSentBlock)
        return unsafe option
    }

    /// Largest header block that is sent; heads of ours are far below.
    private static let maxSentBlock = 1 << 20
}
