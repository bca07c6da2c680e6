internal import Bytes
internal import EventLoop
internal import HTTP
internal import HTTP2
internal import OpenSSL

/// One HTTP/2 connection to an endpoint: carries the exchanges of many clients at a time.
///
///     awaiting settings ──▶ open ──▶ retired ──▶ closed with its last stream
///
/// It is retired by the peer's GOAWAY, or when it is not wanted any more.
///
/// A peer that says nothing while something is owed is asked with a PING whether it is still there.
final class HTTP2Upstream: HTTP2Connection {
    /// Bytes of a response that may wait for one slow client.
    private static let streamWindow = 131_072
    /// Bytes of all responses together. What waits is bounded stream by stream: one slow client
    /// must not hold the others up.
    private static let connectionWindow = 16 << 20
    /// Silence, while something is owed, after which a PING is sent.
    private static let silenceMilliseconds: Int64 = 10_000
    /// Silence behind an answered PING after which another is sent. gRPC servers take more than one
    /// in five minutes without a message of theirs for an attack, and close.
    private static let askAgainMilliseconds: Int64 = 310_000
    /// Silence after which a response that is overdue makes the connection doubtful.
    private static let doubtMilliseconds: Int64 = 100
    /// Time for its answer.
    private static let pingMilliseconds: Int64 = 5000

    let endpoint: Endpoint
    let isSecure: Bool
    /// Whether an exchange ended well on it: it may have died since.
    private(set) var isReused = false

    private let pool: UpstreamPool
    /// Who opened it, until the peer's settings are here.
    private var dial: Dial?
    /// Whether the pool counts it, and no longer the dial's place.
    private var isOpened = false
    private var streams = StreamsBySlot<HTTP2UpstreamStream>()
    /// Places given out: streams, and exchanges about to begin on one.
    private var openStreams = 0
    private var isRetired = false
    private var isPinging = false
    /// Whether it was asked since the peer's last message.
    private var hasAsked = false
    private var heardAt: Instant
    /// Streams with output for a client that leaves when all events of a read were told.
    private var touched: [HTTP2UpstreamStream] = []

    /// Takes over a connection that was opened, with the deadline that opening has.
    init(_ transport: Transport, for dial: Dial, pool: UpstreamPool, worker: Worker) {
        self.pool = pool
        self.dial = dial
        endpoint = dial.endpoint
        isSecure = transport.session != nil
        heardAt = worker.loop.now
        super.init(
            transport,
            HTTP2Session.Settings(
                role: .client, maxConcurrentStreams: 0, streamWindow: HTTP2Upstream.streamWindow,
                connectionWindow: HTTP2Upstream.connectionWindow,
                maxHeadBytes: max(HTTP1Upstream.maxHead, worker.settings.limits.requestHead),
                maxFields: max(HTTP1Upstream.maxFields, worker.settings.limits.requestFields)),
            worker: worker)
        transport.handOver(to: self)
        // What came with the handshake, the peer's settings, is read in a turn of its own.
        transport.resumeLater()
        flushLater()
    }

    // MARK: The pool's side

    /// Whether another exchange fits on it.
    var hasRoom: Bool {
        !isRetired && !isClosed && openStreams < session.maxStreams && session.canOpenStream
    }

    /// Whether it carries nothing.
    var isIdle: Bool { openStreams == 0 }

    /// A place for an exchange, which begins on it at once.
    func makeStream() -> HTTP2UpstreamStream {
        openStreams += 1
        return HTTP2UpstreamStream(self)
    }

    /// Takes no more exchanges, and closes with the last it has.
    func retire() {
        guard !isRetired, !isClosed else { return }
        isRetired = true
        pool.retired(self)
        if openStreams == 0 { sayGoodbye() }
    }

    // MARK: The streams' side

    /// Sends a request's head, and keeps the stream for what comes of it.
    func request(
        _ head: Span<UInt8>, isEnd: Bool, for stream: HTTP2UpstreamStream
    ) -> HTTP2StreamHandle? {
        guard !isClosed,
            let handle = session.request(head, isSecure: isSecure, isEnd: isEnd)
        else { return nil }
        streams[handle] = stream
        watch()
        flushLater()
        return handle
    }

    /// A place was not used, or its stream has come to its end.
    func release() {
        openStreams -= 1
        if openStreams == 0, !isPinging { rest() }
        pool.streamEnded(on: self)
        if isRetired, openStreams == 0 { sayGoodbye() }
    }

    /// An exchange ended well.
    func succeeded() {
        if isReused { return }
        isReused = true
        endpoint.keepResumption(of: transport)
    }

    /// What a stream has for its client leaves when the events at hand were told.
    func flushLater(_ stream: HTTP2UpstreamStream) {
        touched.append(stream)
    }

    /// A response did not come in time: asks whether anybody is there.
    func doubt() {
        guard !isClosed, !isPinging, !hasAsked else { return }
        if silence > HTTP2Upstream.doubtMilliseconds { ping() }
    }

    // MARK: Events

    override func handle(
        _ event: HTTP2Event, input: Span<UInt8>, arena: Span<UInt8>, lines: Span<FieldLine>
    ) {
        switch event {
        case .head(let handle, let range, let places, let isEnd):
            hasAsked = false
            streams[handle]?.receivedHead(
                arena.extracting(range), lines: lines.extracting(places), isEnd: isEnd)
        case .badHead(let handle, let error, _):
            streams[handle]?.fail(.invalid(error))
        case .data(let handle, let range):
            hasAsked = false
            session.consumeConnection(range.count)
            streams[handle]?.received(input.extracting(range))
        case .trailers(let handle, let range):
            streams[handle]?.receivedTrailers(arena.extracting(range))
        case .end(let handle): streams[handle]?.receivedEnd()
        case .writable(let handle): streams[handle]?.tookBytes()
        case .closed(let handle, let code): closed(handle, code)
        // No more streams are taken. Those above the last it looked at are refused.
        case .goAway: retire()
        case .settings: settled()
        case .pong: break
        }
    }

    override func received() {
        heardAt = worker.loop.now
        if isPinging {
            isPinging = false
            openStreams == 0 ? rest() : watch()
        }
        var streams: [HTTP2UpstreamStream] = []
        swap(&streams, &touched)
        for stream in streams { stream.flushOutput() }
        streams.removeAll(keepingCapacity: true)
        if touched.isEmpty { swap(&streams, &touched) }
    }

    override func ended() {
        isRetired = true
        if let dial {
            // Nothing was asked for on it yet; the dial gives its place back.
            self.dial = nil
            return dial.fail(UpstreamFault(endOf: transport))
        }
        pool.retired(self)
        let fault = UpstreamFault(endOf: transport)
        for stream in streams.takeAll() {
            pool.streamEnded(on: self)
            stream.closed(fault)
        }
    }

    override func gone() {
        if isOpened { pool.closed(self) }
    }

    /// A server learns nothing from our last words that it has to read.
    override var lingers: Bool { false }

    override func deadlinePassed() {
        if let dial { return dial.fail(session.maxStreams == 0 ? .noSlot : .connectTimeout) }
        if isPinging { return close() }
        guard openStreams > 0 else { return isRetired ? close() : retire() }
        let allowed =
            hasAsked ? HTTP2Upstream.askAgainMilliseconds : HTTP2Upstream.silenceMilliseconds
        let left = allowed &- silence
        left > 0 ? transport.setDeadline(inMilliseconds: left) : ping()
    }

    // MARK: Parts

    private func closed(_ handle: HTTP2StreamHandle, _ code: UInt32) {
        guard let stream = streams[handle] else { return }
        streams[handle] = nil
        stream.closed(code == HTTP2ErrorCode.refusedStream.rawValue ? .refused : .reset(code))
        release()
    }

    private func settled() {
        endpoint.streamLimit = max(1, session.maxStreams)
        guard let dial else {
            // More streams may be allowed than before.
            return pool.serveWaiters()
        }
        // It may be over already, by an error in the same read, or take no streams for now.
        guard session.canOpenStream else { return }
        self.dial = nil
        isOpened = true
        rest()
        dial.settled(self)
    }

    private func sayGoodbye() {
        session.shutDown(.noError)
        closeAfterFlush()
        transport.setDeadline(inMilliseconds: HTTP2Upstream.pingMilliseconds)
    }

    /// Milliseconds since the peer said anything.
    private var silence: Int64 {
        (worker.loop.now.nanoseconds &- heardAt.nanoseconds) / 1_000_000
    }

    private func ping() {
        isPinging = true
        hasAsked = true
        session.ping()
        flushLater()
        transport.setDeadline(inMilliseconds: HTTP2Upstream.pingMilliseconds)
    }

    /// Nothing is owed.
    private func rest() {
        if !isClosed { transport.setDeadline(inMilliseconds: pool.settings.idleTimeout) }
    }

    /// From now on the peer owes something.
    private func watch() {
        guard !isPinging else { return }
        if openStreams == 1, !hasAsked, silence > HTTP2Upstream.silenceMilliseconds {
            // It rested long: it may be gone, and a stream would wait for nothing.
            return ping()
        }
        if openStreams == 1 {
            transport.setDeadline(inMilliseconds: HTTP2Upstream.silenceMilliseconds)
        }
    }
}
