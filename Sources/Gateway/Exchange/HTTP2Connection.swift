internal import Bytes
internal import EventLoop
internal import HTTP
internal import HTTP2

/// What the two kinds of HTTP/2 connection share: a transport, a session, and the way from one to
/// the other. Bytes that arrive become events, told one by one; what streams have to say leaves at
/// the end of the loop's turn, for all of them together.
class HTTP2Connection: EventHandler {
    /// Reads in one turn at most, so that one fast peer does not starve the others.
    private static let readsPerTurn = 4
    /// Bytes that one send takes: a few TLS records.
    private static let sendSize = 65536
    /// Bytes and time given to a peer to end its side once we have ended ours: closing while it
    /// still sends would reset it before it has read why.
    private static let maxLingeringBytes = 1 << 20
    private static let lingeringMilliseconds: Int64 = 2000

    let transport: Transport
    let session: HTTP2Session
    let worker: Worker
    private(set) var isClosed = false
    private var isFlushQueued = false
    /// The peer took bytes since the last flush.
    private var hasMoved = false
    /// Nothing more is read; it closes when everything was sent.
    private var endsWhenFlushed = false
    private var isLingering = false
    private var lingeringBytes = 0

    init(_ transport: Transport, _ settings: HTTP2Session.Settings, worker: Worker) {
        self.transport = transport
        self.worker = worker
        session = HTTP2Session(settings, memory: worker.http2Memory)
    }

    // MARK: For the two kinds

    /// Something happened. `input`, `arena` and `lines`: what the event's ranges speak of.
    func handle(
        _ event: HTTP2Event, input: Span<UInt8>, arena: Span<UInt8>, lines: Span<FieldLine>
    ) {}

    /// Bytes were read, and their events told.
    func received() {}

    /// Everything that could be sent was sent, or the peer does not take more now.
    func flushed(hasMoved: Bool) {}

    /// Nothing goes either way any more: every stream ends.
    func ended() {}

    /// The transport was closed, which may be a while behind `ended`.
    func gone() {}

    /// Whether the peer is to read why the connection ends.
    var lingers: Bool { true }

    /// The deadline passed that one of the two kinds had set.
    func deadlinePassed() {}

    // MARK: The loop's side

    func ready(_ readiness: Readiness) {
        transport.note(readiness)
        if isLingering { return linger() }
        if readiness.allowsWriting, transport.flush() {
            hasMoved = true
            flushLater()
        }
        pump()
    }

    func resume() {
        if isLingering { return linger() }
        pump()
        if session.wantsOutput { flushLater() }
    }

    func deadlineReached() {
        isLingering ? leave() : deadlinePassed()
    }

    /// Takes bytes that were read already.
    func take(_ bytes: Span<UInt8>) {
        let goesOn = session.receive(
            bytes, nowMilliseconds: worker.loop.now.nanoseconds / 1_000_000)
        tellEvents(of: bytes)
        if isClosed { return }
        if !goesOn { endsWhenFlushed = true }
        received()
        flushLater()
    }

    /// Tells what a read, or sending, brought about. Any of it may close the connection.
    private func tellEvents(of input: Span<UInt8>) {
        session.withArena { arena, lines in
            while !isClosed, let event = session.nextEvent() {
                handle(event, input: input, arena: arena, lines: lines)
            }
        }
    }

    func pump() {
        var reads = 0
        while !isClosed, transport.isReadable, !endsWhenFlushed {
            // A peer that does not take what it is owed gets no more made.
            if transport.isCongested { return }
            guard reads < HTTP2Connection.readsPerTurn else { return transport.resumeLater() }
            reads += 1
            switch transport.receive({ take($0) }) {
            case .bytes: continue
            case .wouldBlock: break
            case .endOfStream, .failed: return close()
            }
            break
        }
        if !isClosed, transport.isBroken { close() }
    }

    // MARK: For the streams

    /// Appends data to a stream.
    func write(_ stream: HTTP2StreamHandle, _ bytes: Span<UInt8>) {
        session.write(stream, bytes)
        flushLater()
    }

    /// Ends our direction of a stream. `trailers`: field lines, possibly none.
    func end(_ stream: HTTP2StreamHandle, trailers: Span<UInt8>) {
        session.end(stream, trailers: trailers)
        flushLater()
    }

    /// Resets a stream. Its end is told as an event.
    func reset(_ stream: HTTP2StreamHandle, _ code: HTTP2ErrorCode) {
        session.reset(stream, code)
        flushLater()
    }

    /// Resets a stream behind the end of its output, where the peer has not ended its own side.
    func resetAfterEnd(_ stream: HTTP2StreamHandle) {
        session.resetAfterEnd(stream)
        flushLater()
    }

    func flushLater() {
        guard !isFlushQueued, !isClosed else { return }
        isFlushQueued = true
        worker.flushLater(self)
    }

    /// Sends what the streams have made. The worker calls it at the end of a turn.
    func flush() {
        isFlushQueued = false
        guard !isClosed else { return }
        while session.wantsOutput, !transport.isCongested, !transport.isBroken {
            var isEmpty = true
            worker.withOutput { output in
                session.appendOutput(to: &output, upTo: HTTP2Connection.sendSize)
                isEmpty = output.isEmpty
                transport.send(output)
            }
            if isEmpty { break }
            hasMoved = true
        }
        tellEvents(of: Span())
        if isClosed { return }
        // What cannot be written to may still have said something, which is read first.
        if transport.isBroken { return transport.resumeLater() }
        if endsWhenFlushed, transport.isFlushed { return sayNoMore() }
        let moved = hasMoved
        hasMoved = false
        flushed(hasMoved: moved)
    }

    /// Sends what there is, then closes.
    func closeAfterFlush() {
        endsWhenFlushed = true
        flushLater()
    }

    /// Closes at once. Every stream ends.
    func close() {
        if isLingering { return leave() }
        guard !isClosed else { return }
        isClosed = true
        transport.close()
        ended()
        gone()
    }

    /// Everything was said: ends our direction, and waits for the peer to end its own.
    private func sayNoMore() {
        guard lingers else { return close() }
        isClosed = true
        isLingering = true
        transport.endWriting()
        transport.setDeadline(inMilliseconds: HTTP2Connection.lingeringMilliseconds)
        ended()
        linger()
    }

    private func linger() {
        while transport.isReadable {
            switch transport.receive({ lingeringBytes &+= $0.count }) {
            case .bytes where lingeringBytes <= HTTP2Connection.maxLingeringBytes: continue
            case .wouldBlock: return
            case .bytes, .endOfStream, .failed: return leave()
            }
        }
    }

    private func leave() {
        isLingering = false
        transport.close()
        gone()
    }
}
