internal import Bytes
internal import EventLoop
internal import HTTP
internal import HTTP2

/// One client's HTTP/2 connection: its streams, and what concerns all of them.
final class HTTP2Downstream: HTTP2Connection, ClientConnection {
    /// What the connection's own deadline stands for. Streams have deadlines of their own.
    private enum Waiting {
        case nothing
        /// Nothing was asked for yet.
        case firstRequest
        /// A header block has begun and not ended.
        case head
        /// Between requests.
        case idle
        /// The client takes nothing.
        case output
        /// The client has been told of the end, and may have requests on their way.
        case farewell
    }

    /// Bytes that a client may send on one stream before the upstream takes any.
    private static let streamWindow = 65535
    /// Bytes on all streams together. They are bounded one by one: a stream that nobody takes
    /// anything from must not hold the others up.
    private static let connectionWindow = 1 << 20
    /// Time for requests on their way when the server shuts down.
    private static let farewellMilliseconds: Int64 = 1000

    let client: Client
    var index = 0

    private var streams = StreamsBySlot<HTTP2DownstreamStream>()
    private var openStreams = 0
    private var hasBegun = false
    private var isDraining = false
    private var isShutDown = false
    private var waiting = Waiting.nothing
    /// How many open streams' responses were given over since the last flush: most are closed by
    /// it, and need no looking after.
    private var answered = 0

    /// Takes over a connection that has shown that it speaks HTTP/2.
    init(_ transport: Transport, client: Client, worker: Worker) {
        self.client = client
        client.speaksHTTP2 = true
        let limits = worker.settings.limits
        super.init(
            transport,
            HTTP2Session.Settings(
                role: .server, maxConcurrentStreams: limits.concurrentStreams,
                streamWindow: HTTP2Downstream.streamWindow,
                connectionWindow: HTTP2Downstream.connectionWindow,
                maxHeadBytes: limits.requestHead, maxFields: limits.requestFields),
            worker: worker)
        settleDeadline()
    }

    /// The bytes that showed the protocol.
    func begin(with bytes: Span<UInt8>) {
        if !bytes.isEmpty { take(bytes) }
        flushLater()
    }

    override func handle(
        _ event: HTTP2Event, input: Span<UInt8>, arena: Span<UInt8>, lines: Span<FieldLine>
    ) {
        switch event {
        case .head(let handle, let range, let places, let isEnd):
            open(handle, isEnd: isEnd).begin(
                arena.extracting(range), lines: lines.extracting(places))
        case .badHead(let handle, let error, let isEnd):
            open(handle, isEnd: isEnd).refuse(.message(error))
        case .data(let handle, let range):
            session.consumeConnection(range.count)
            streams[handle]?.received(input.extracting(range))
        case .trailers(let handle, let range):
            streams[handle]?.receivedTrailers(arena.extracting(range))
        case .end(let handle): streams[handle]?.receivedEnd()
        case .writable(let handle): streams[handle]?.tookBytes()
        case .closed(let handle, _): closed(handle)
        case .pong: if isDraining { shutDown() }
        case .goAway, .settings: break
        }
    }

    override func received() {
        settleDeadline()
    }

    override func flushed(hasMoved: Bool) {
        if answered > 0 {
            answered = 0
            streams.visit { $0.watchOutput() }
        }
        if hasMoved, waiting == .output { waiting = .nothing }
        settleDeadline()
    }

    override func ended() {
        for stream in streams.takeAll() { stream.closed() }
        answered = 0
    }

    override func gone() {
        worker.forget(self)
    }

    override func deadlinePassed() {
        switch waiting {
        case .nothing: break
        case .output: close()
        case .farewell: shutDown()
        case .firstRequest, .head, .idle:
            session.shutDown(.noError)
            closeAfterFlush()
        }
    }

    // MARK: The worker's side

    /// Says that no further request is wanted. Those on their way are still taken: they have left
    /// by the time that the answer to a PING is here (RFC 9113, section 6.8).
    func drain() {
        guard !isClosed, !isDraining else { return }
        isDraining = true
        session.announceShutdown()
        session.ping()
        settleDeadline()
        flushLater()
    }

    func abort() {
        close()
    }

    // MARK: Streams

    /// Looks after this turn's flush whether the client takes a stream's response.
    func watchAfterFlush() {
        answered += 1
    }

    private func open(_ handle: HTTP2StreamHandle, isEnd: Bool) -> HTTP2DownstreamStream {
        let stream = HTTP2DownstreamStream(self, handle, isReceiving: !isEnd)
        streams[handle] = stream
        openStreams += 1
        hasBegun = true
        return stream
    }

    private func closed(_ handle: HTTP2StreamHandle) {
        guard let stream = streams.take(handle) else { return }
        openStreams -= 1
        if stream.isAnswered { answered -= 1 }
        stream.closed()
        if isShutDown, openStreams == 0 { closeAfterFlush() }
    }

    private func shutDown() {
        guard !isShutDown else { return }
        isShutDown = true
        session.shutDown(.noError)
        settleDeadline()
        if openStreams == 0 { closeAfterFlush() } else { flushLater() }
    }

    private func settleDeadline() {
        let wanted: Waiting =
            if !transport.isFlushed {
                .output
            } else if isDraining, !isShutDown {
                .farewell
            } else if session.isMidHead {
                .head
            } else if openStreams > 0 {
                .nothing
            } else {
                hasBegun ? .idle : .firstRequest
            }
        guard wanted != waiting else { return }
        waiting = wanted
        let timeouts = worker.settings.timeouts
        switch wanted {
        case .nothing: transport.setDeadline(nil)
        case .firstRequest, .head: transport.setDeadline(inMilliseconds: timeouts.head)
        case .idle: transport.setDeadline(inMilliseconds: timeouts.idle)
        case .output: transport.setDeadline(inMilliseconds: timeouts.body)
        case .farewell:
            transport.setDeadline(inMilliseconds: HTTP2Downstream.farewellMilliseconds)
        }
    }
}
