internal import CLinux
internal import Glibc

/// A non-blocking stream socket with one owner; closed when it goes away.
package struct Socket: ~Copyable {
    /// The descriptor, for registration with a loop. Valid while this value lives.
    package let descriptor: Int32

    /// What sending did.
    package enum SendOutcome: Equatable, Sendable {
        /// The kernel took this many bytes, at least one.
        case sent(Int)
        /// The kernel's buffer is full; readiness will tell.
        case wouldBlock
        /// The connection is gone.
        case failed(SystemError)
    }

    /// Takes over an open, non-blocking descriptor.
    package init(adopting descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Starts connecting. The socket turns writable when the outcome is known.
    package static func connecting(
        to address: SocketAddress
    ) throws(SystemError) -> Socket {
        guard address.isNameable else { throw SystemError(.connect, code: ENAMETOOLONG) }
        let socket = Socket(adopting: try open(address.family))
        if address.family != AF_UNIX {
            try setOption(socket.descriptor, level: Int32(IPPROTO_TCP), name: TCP_NODELAY, to: 1)
        }
        let outcome = unsafe address.withNative { unsafe connect(socket.descriptor, $0, $1) }
        // A full unix backlog is EAGAIN; it is a refusal there, since readiness would not tell.
        if outcome != 0, errno != EINPROGRESS, errno != EINTR { throw .last(.connect) }
        return socket
    }

    /// Two connected sockets, for tests and in-process peers.
    package static func pair() throws(SystemError) -> (Int32, Int32) {
        var descriptors: InlineArray<2, Int32> = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue) | O_NONBLOCK | O_CLOEXEC
        var span = descriptors.mutableSpan
        let outcome = unsafe span.withUnsafeMutableBufferPointer {
            // Two elements, as socketpair wants.
            unsafe socketpair(AF_UNIX, type, 0, $0.baseAddress)
        }
        guard outcome == 0 else { throw .last(.socket) }
        return (descriptors[0], descriptors[1])
    }

    /// The pending error, nil where connecting succeeded.
    package func takeError() -> SystemError? {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        // Both locals outlive the call and `length` is the size of `code`.
        guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else {
            return .last(.connect)
        }
        return code == 0 ? nil : SystemError(.connect, code: code)
    }

    /// Sends as much as the kernel takes at once.
    package func send(_ bytes: Span<UInt8>) -> SendOutcome {
        Socket.send(bytes, to: descriptor)
    }

    /// Sends two runs as one.
    package func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> SendOutcome {
        Socket.send(first, second, to: descriptor)
    }

    /// The same for whoever owns the socket but does not want to borrow it for the call: the
    /// descriptor is that of an open socket.
    package static func send(_ bytes: Span<UInt8>, to descriptor: Int32) -> SendOutcome {
        while true {
            // The span's bytes live for the call.
            let sent = unsafe bytes.withUnsafeBytes {
                unsafe clinux_send(descriptor, $0.baseAddress, $0.count)
            }
            if sent >= 0 { return .sent(sent) }
            if errno == EINTR { continue }
            return Socket.blockedOrFailed()
        }
    }

    /// The same for two runs.
    package static func send(
        _ first: Span<UInt8>, _ second: Span<UInt8>, to descriptor: Int32
    ) -> SendOutcome {
        while true {
            // Both spans' bytes, and the vector that names them, live for the call.
            let sent = unsafe first.withUnsafeBytes { head in
                unsafe second.withUnsafeBytes { tail in
                    unsafe Socket.sendVector(descriptor, head, tail)
                }
            }
            if sent >= 0 { return .sent(sent) }
            if errno == EINTR { continue }
            return Socket.blockedOrFailed()
        }
    }

    /// Ends this direction; the peer reads the end of the stream.
    package func shutdownWriting() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Makes closing send a reset at once instead of what is still queued.
    package func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        // The option is a local of the size given.
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// Gives the descriptor away without closing it.
    package consuming func release() -> Int32 {
        let descriptor = self.descriptor
        discard self
        return descriptor
    }

    static func open(_ family: Int32) throws(SystemError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | O_NONBLOCK | O_CLOEXEC
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { throw .last(.socket) }
        return descriptor
    }

    static func setOption(
        _ descriptor: Int32, level: Int32, name: Int32, to value: Int32
    ) throws(SystemError) {
        var value = value
        // The value is a local of the size given.
        let outcome = unsafe setsockopt(
            descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
        guard outcome == 0 else { throw .last(.setsockopt) }
    }

    private static func blockedOrFailed() -> SendOutcome {
        errno == EAGAIN || errno == EWOULDBLOCK ? .wouldBlock : .failed(.last(.send))
    }

    @unsafe
    private static func sendVector(
        _ descriptor: Int32, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> Int {
        var parts: InlineArray<2, iovec> = unsafe [
            iovec(
                iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count
            ),
            iovec(
                iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress),
                iov_len: second.count),
        ]
        var span = unsafe parts.mutableSpan
        return unsafe span.withUnsafeMutableBufferPointer { vector in
            var message = unsafe msghdr()
            unsafe message.msg_iov = vector.baseAddress
            unsafe message.msg_iovlen = 2
            return unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
        }
    }
}
