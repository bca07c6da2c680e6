internal import Bytes
internal import EventLoop

/// One connection's bytes in both directions: a registered socket, what it has not taken yet, and
/// whether it may have something to read.
///
/// Plain TCP and unix sockets; TLS belongs behind this same face. Not recursive: handlers are told
/// of readiness by the loop and call these methods; none of them calls back, but for `receive`'s
/// body.
final class Transport {
    let loop: EventLoop
    /// The place in the loop; `.none` after `close`.
    private(set) var registration = Registration.none
    /// Whether reading may find bytes: an edge came and no short read since.
    private(set) var isReadable = false
    /// Whether the connection could not be written to any more.
    private(set) var isBroken = false

    private var socket: Socket?
    private var descriptor: Int32
    private var pending = ByteBuffer()
    /// Waiting for the kernel: still connecting, or its buffer was full.
    private var isBlocked: Bool
    private var endsWhenFlushed = false
    /// The peer's end was seen coming, so that a short read does not mean drained.
    private var mayEnd = false

    /// Takes a socket over. `isConnecting`: nothing is sent before `finishConnecting`.
    init(_ socket: consuming Socket, loop: EventLoop, isConnecting: Bool) {
        self.loop = loop
        descriptor = socket.descriptor
        isBlocked = isConnecting
        self.socket = consume socket
    }

    /// Begins to tell a handler what the socket is ready for. `isUpstream`: before any client is
    /// told anything in the same turn.
    func register(_ handler: any EventHandler, isUpstream: Bool) throws(SystemError) {
        registration = try loop.add(
            descriptor, isUpstream ? .answeringStream : .stream, handler: handler)
    }

    var isOpen: Bool { descriptor >= 0 }

    /// Whether everything given was taken by the kernel.
    var isFlushed: Bool { pending.isEmpty }

    /// Whether the peer takes its bytes so slowly that no more should be made for it.
    var isCongested: Bool { isBlocked && !pending.isEmpty }

    /// Notes what the loop told.
    func note(_ readiness: Readiness) {
        if readiness.allowsReading { isReadable = true }
        if readiness.showsEnd { mayEnd = true }
    }

    /// Takes up the outcome of connecting; nil where it succeeded.
    func finishConnecting() -> SystemError? {
        isBlocked = false
        return socket?.takeError()
    }

    /// Reads once.
    func receive(_ body: (Span<UInt8>) -> Void) -> EventLoop.ReceiveOutcome {
        let outcome = loop.receive(descriptor, body)
        switch outcome {
        case .bytes(let isDrained): if isDrained, !mayEnd { isReadable = false }
        case .wouldBlock, .endOfStream, .failed: isReadable = false
        }
        return outcome
    }

    /// Sends a message head or other bytes that stand alone.
    func send(_ bytes: borrowing ByteBuffer) {
        bytes.withBytes { send($0) }
    }

    /// Sends, keeping what the kernel does not take.
    func send(_ bytes: Span<UInt8>) {
        guard canSend(bytes) else { return }
        switch Socket.send(bytes, to: descriptor) {
        case .sent(let count) where count == bytes.count: break
        case .sent(let count): block(keeping: bytes.extracting(count..<bytes.count))
        case .wouldBlock: block(keeping: bytes)
        case .failed: isBroken = true
        }
    }

    /// Sends a head and the first part of its body in one call.
    func send(_ head: borrowing ByteBuffer, _ body: Span<UInt8>) {
        if head.isEmpty { return send(body) }
        head.withBytes { head in
            guard canSend(head, body) else { return }
            switch Socket.send(head, body, to: descriptor) {
            case .sent(let count) where count < head.count:
                block(keeping: head.extracting(count..<head.count))
                pending.append(body)
            case .sent(let count):
                let sent = count &- head.count
                if sent < body.count { block(keeping: body.extracting(sent..<body.count)) }
            case .wouldBlock:
                block(keeping: head)
                pending.append(body)
            case .failed: isBroken = true
            }
        }
    }

    /// Writes what was kept, as the socket is writable again. Returns whether bytes moved.
    func flush() -> Bool {
        guard isOpen, !isBroken else { return false }
        isBlocked = false
        if pending.isEmpty { return false }
        var bytes = ByteBuffer()
        swap(&bytes, &pending)
        let outcome = bytes.withBytes { Socket.send($0, to: descriptor) }
        if case .sent(let count) = outcome { bytes.removeFirst(count) }
        swap(&bytes, &pending)
        switch outcome {
        case .sent:
            isBlocked = !pending.isEmpty
            if endsWhenFlushed, pending.isEmpty { socket?.shutdownWriting() }
            return true
        case .wouldBlock:
            isBlocked = true
            return false
        case .failed:
            isBroken = true
            return false
        }
    }

    /// Ends our direction once everything given was written.
    func endWriting() {
        endsWhenFlushed = true
        if pending.isEmpty { socket?.shutdownWriting() }
    }

    func setDeadline(_ instant: Instant?) {
        loop.setDeadline(registration, instant)
    }

    /// Sets the deadline to a number of milliseconds from now.
    func setDeadline(inMilliseconds milliseconds: Int64) {
        loop.setDeadline(registration, inMilliseconds: milliseconds)
    }

    /// Asks for a turn, outside of the call that is running.
    func resumeLater() {
        loop.resumeLater(registration)
    }

    /// Closes at once; what was kept is dropped. `withReset`: the peer must not take what it got
    /// for a whole message.
    func close(withReset: Bool = false) {
        guard isOpen else { return }
        if withReset { socket?.resetOnClose() }
        loop.forget(registration)
        registration = .none
        descriptor = -1
        socket = nil
        pending.removeAll()
        isReadable = false
    }

    private func canSend(_ first: Span<UInt8>, _ second: Span<UInt8> = Span()) -> Bool {
        guard isOpen, !isBroken else { return false }
        guard isBlocked || !pending.isEmpty else { return true }
        pending.append(first)
        pending.append(second)
        return false
    }

    private func block(keeping rest: Span<UInt8>) {
        isBlocked = true
        pending.append(rest)
    }
}
