internal import Bytes
internal import EventLoop
internal import OpenSSL

/// One connection's bytes in both directions: a registered socket, what it has not taken yet, and
/// whether it may have something to read. In the clear or through TLS; whoever uses it does not see
/// which.
///
/// Not recursive: handlers are told of readiness by the loop and call these methods; none of them
/// calls back, but for `receive`'s body.
final class Transport {
    let loop: EventLoop
    /// The place in the loop; `.none` after `close`.
    private(set) var registration = Registration.none
    /// Whether reading may find bytes: an edge came and no short read since.
    private(set) var isReadable = false
    /// Whether the connection could not be written to any more.
    private(set) var isBroken = false
    /// What TLS said of the connection's end, where it was more than an end.
    private(set) var fault: TLSFault?

    private var socket: Socket?
    private(set) var descriptor: Int32
    private var tls: TLSSession?
    /// Bytes in the clear that wait for the socket.
    private var pending = ByteBuffer()
    /// Whether everything given was taken by the kernel: nothing is pending. Kept beside it, since
    /// asking a buffer in a class costs an exclusivity check.
    private(set) var isFlushed = true
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

    /// From now on another handler is told.
    func handOver(to handler: any EventHandler) {
        loop.handOver(registration, to: handler)
    }

    var isOpen: Bool { descriptor >= 0 }

    /// Whether the peer takes its bytes so slowly that no more should be made for it.
    var isCongested: Bool { isBlocked && !isFlushed }

    /// Notes what the loop told.
    func note(_ readiness: Readiness) {
        if readiness.allowsReading { isReadable = true }
        if readiness.showsEnd {
            mayEnd = true
            tls?.noteEndComing()
        }
    }

    /// Takes up the outcome of connecting; nil where it succeeded.
    func finishConnecting() -> SystemError? {
        isBlocked = false
        return socket?.takeError()
    }

    // MARK: Reading

    /// Reads once.
    func receive(_ body: (Span<UInt8>) -> Void) -> EventLoop.ReceiveOutcome {
        if let tls { return receive(through: tls, body) }
        let outcome = loop.receive(descriptor, body)
        switch outcome {
        case .bytes(let isDrained): if isDrained, !mayEnd { isReadable = false }
        case .wouldBlock, .endOfStream, .failed: isReadable = false
        }
        return outcome
    }

    // MARK: Writing

    /// Sends a message head or other bytes that stand alone.
    func send(_ bytes: borrowing ByteBuffer) {
        bytes.withBytes { send($0) }
    }

    /// Sends, keeping what the kernel does not take.
    func send(_ bytes: Span<UInt8>) {
        guard !bytes.isEmpty, canSend(bytes) else { return }
        switch put(bytes) {
        case .sent(let count) where count == bytes.count: break
        case .sent(let count): block(keeping: bytes.extracting(count..<bytes.count))
        case .wouldBlock: block(keeping: bytes)
        case .failed: isBroken = true
        }
    }

    /// Sends a head and the first part of its body in one call.
    func send(_ head: borrowing ByteBuffer, _ body: Span<UInt8>) {
        if head.isEmpty { return send(body) }
        if tls != nil { return sendInRecords(head, body) }
        head.withBytes { head in
            guard canSend(head, body) else { return }
            switch Socket.send(head, body, to: descriptor) {
            case .sent(let count) where count < head.count:
                block(keeping: head.extracting(count..<head.count), body)
            case .sent(let count):
                let sent = count &- head.count
                if sent < body.count { block(keeping: body.extracting(sent..<body.count)) }
            case .wouldBlock: block(keeping: head, body)
            case .failed: isBroken = true
            }
        }
    }

    /// Writes what was kept, as the socket is writable again. Returns whether bytes moved.
    func flush() -> Bool {
        guard isOpen, !isBroken else { return false }
        isBlocked = false
        // Reading may have waited for room to write in: TLS has messages of its own.
        if tls != nil { isReadable = true }
        if isFlushed { return false }
        var bytes = ByteBuffer()
        swap(&bytes, &pending)
        let outcome = bytes.withBytes { put($0) }
        if case .sent(let count) = outcome { bytes.removeFirst(count) }
        isFlushed = bytes.isEmpty
        swap(&bytes, &pending)
        switch outcome {
        case .sent:
            isBlocked = !isFlushed
            if endsWhenFlushed, isFlushed { shutdownWriting() }
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
        if isFlushed { shutdownWriting() }
    }

    // MARK: Turns and the end

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
        if withReset {
            socket?.resetOnClose()
        } else if !isBroken, !isBlocked {
            tls?.endWriting()
        }
        loop.forget(registration)
        registration = .none
        descriptor = -1
        tls = nil
        socket = nil
        pending.removeAll()
        isFlushed = true
        isReadable = false
    }

    private func shutdownWriting() {
        tls?.endWriting()
        socket?.shutdownWriting()
    }

    private func put(_ bytes: Span<UInt8>) -> Socket.SendOutcome {
        guard let tls else { return Socket.send(bytes, to: descriptor) }
        switch tls.write(bytes) {
        case .wrote(0): return .wouldBlock
        case .wrote(let count): return .sent(count)
        case .failed(let fault):
            note(fault)
            return .failed(.connectionReset)
        }
    }

    private func canSend(_ first: Span<UInt8>, _ second: Span<UInt8> = Span()) -> Bool {
        guard isOpen, !isBroken else { return false }
        guard isBlocked || !isFlushed else { return true }
        keep(first, second)
        return false
    }

    private func block(keeping rest: Span<UInt8>, _ more: Span<UInt8> = Span()) {
        isBlocked = true
        keep(rest, more)
    }

    private func keep(_ first: Span<UInt8>, _ second: Span<UInt8>) {
        pending.append(first)
        pending.append(second)
        isFlushed = pending.isEmpty
    }
}

/// TLS over the same socket.
extension Transport {
    /// What became of a handshake so far.
    enum HandshakeOutcome: Equatable {
        case complete
        /// More has to come, or go, first; readiness will tell.
        case waiting
        case failed(TLSFault)
    }

    /// Most of a record's content (RFC 8446, section 5.1).
    private static let recordSize = 16384

    /// From now on all bytes go through TLS. Nothing was sent or received yet; nothing is until the
    /// handshake is complete.
    func startTLS(_ session: TLSSession) {
        tls = session
        isBlocked = true
        if mayEnd { session.noteEndComing() }
    }

    /// What was negotiated, once the handshake is complete.
    var session: TLSSession? { tls }

    /// Goes on with the handshake.
    func handshake() -> HandshakeOutcome {
        guard isOpen, let tls else { return .failed(.closed) }
        switch tls.handshake() {
        case .complete:
            isBlocked = false
            // What came with the handshake's last message is in TLS's own buffer: no edge tells.
            isReadable = true
            return .complete
        case .wantsRead, .wantsWrite: return .waiting
        case .budgetSpent:
            resumeLater()
            return .waiting
        case .failed(let fault): return .failed(fault)
        }
    }

    private func receive(
        through tls: TLSSession, _ body: (Span<UInt8>) -> Void
    ) -> EventLoop.ReceiveOutcome {
        var outcome = TLSSession.ReadOutcome.wouldBlock
        loop.receive(
            filling: { room in
                outcome = tls.read(into: &room)
                if case .bytes(let count, _) = outcome { return count }
                return 0
            },
            { bytes in
                if case .bytes(_, true) = outcome, !mayEnd { isReadable = false }
                body(bytes)
            })
        switch outcome {
        case .bytes(_, let isDrained): return .bytes(isDrained: isDrained)
        case .budgetSpent:
            resumeLater()
            return .wouldBlock
        case .wouldBlock:
            isReadable = false
            return .wouldBlock
        case .endOfStream:
            isReadable = false
            return .endOfStream
        case .truncated:
            isReadable = false
            return .failed(.connectionReset)
        case .failed(let fault):
            isReadable = false
            note(fault)
            return .failed(.connectionReset)
        }
    }

    private func note(_ met: TLSFault) {
        switch met {
        case .alert, .protocol, .certificate: fault = fault ?? met
        // The same as without TLS.
        case .closed, .system: break
        }
    }

    /// A head in the same record as what follows it: a record each would cost a call each.
    private func sendInRecords(_ head: borrowing ByteBuffer, _ body: Span<UInt8>) {
        let room = max(0, Transport.recordSize - head.count)
        let joined = min(room, body.count)
        var first = ByteBuffer(capacity: head.count + joined)
        first.append(head)
        first.append(body.extracting(0..<joined))
        send(first)
        send(body.extracting(joined..<body.count))
    }
}
