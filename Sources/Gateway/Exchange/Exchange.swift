internal import Bytes
internal import EventLoop
internal import HTTP
internal import Telemetry

/// One request and its response: joins a client's stream and an upstream's.
///
///     waiting ──▶ sending ──▶ responding ──▶ ended
///        ▲           │ └────▶ tunnel ──────▶ ended
///        └── retry ──┘
///
/// The request's head was written once, from what was checked. A retry sends those bytes again.
/// Either side speaks either version of HTTP; neither knows which the other speaks.
final class Exchange {
    private enum State {
        /// No connection yet: one is being opened, or none is free.
        case waiting
        /// The head went out; the response has not begun.
        case sending
        /// The response's head went to the client.
        case responding
        case tunnel
        case ended
    }

    /// Connections that may turn out to be full before a request is given up.
    private static let maxRestarts = 4

    /// The connection that is being opened for it.
    var dial: Dial?

    private let request: UpstreamRequest
    private let client: DownstreamStream
    private var state = State.waiting
    /// Whether `client` is told anything any more.
    private var hasClient = true
    private var upstream: UpstreamStream?
    /// Where the response's body goes, as `respond` said: kept here for a body that does not come
    /// with its head.
    var responseTarget = BodyTarget.nowhere
    private var triesLeft: Int
    private var tries = 0
    private var restarts = 0
    private var isRequestComplete: Bool
    private var hasSentBody = false
    private var hasClientEndedTunnel = false
    private var hasUpstreamEndedTunnel = false
    private var requestBytes: Int64 = 0
    private var responseBytes: Int64 = 0
    private var status: UInt16 = 0
    private var hasWaitDeadline = false
    /// Whether the client's side is still in the call that started this.
    private var isStarting = false
    private var endpoint: Endpoint?

    init(_ request: consuming UpstreamRequest, downstream: DownstreamStream) {
        client = downstream
        isRequestComplete = !request.hasBody
        triesLeft = request.route.pool.settings.retries
        self.request = request
    }

    // Read where they are: another reference to each would be counted for each request.
    var timeouts: StreamTimeouts { request.route.timeouts }
    var isHeadRequest: Bool { request.isHead }
    var record: RequestRecord { request.record }
    /// The scopes that a challenge lists.
    var scope: String? { request.route.scope }
    /// Whether only HTTP/1.1 will do on the way to the upstream: for a WebSocket.
    var needsHTTP1: Bool { request.wantsUpgrade }

    private var pool: UpstreamPool { request.route.pool }
    private var worker: Worker { request.route.pool.worker }

    // MARK: Finding a connection

    func start() {
        isStarting = true
        connect(avoiding: nil)
        isStarting = false
    }

    /// Looks for a connection again: the one it waited for carries others.
    func restart() {
        restarts += 1
        // An upstream that takes connections and no streams would be asked for ever.
        if restarts > Exchange.maxRestarts { return noConnection(.noSlot) }
        connect(avoiding: nil)
    }

    private func connect(avoiding failed: Endpoint?, isFresh: Bool = false) {
        state = .waiting
        do throws(UpstreamFault) {
            switch try pool.acquire(for: self, avoiding: failed, isFresh: isFresh) {
            case .ready(let stream): begin(on: stream)
            case .connecting: break
            case .queued:
                hasWaitDeadline = true
                setDownstreamDeadline(timeouts.connect)
            }
        } catch {
            noConnection(error)
        }
    }

    /// A connection was found: sends the head.
    func begin(on stream: UpstreamStream) {
        tries += 1
        state = .sending
        upstream = stream
        endpoint = stream.endpoint
        endWaiting()
        sendHead(on: stream)
        // A body that waited for this connection goes on.
        if !isRequestComplete, !isStarting { resumeDownstream() }
    }

    private func sendHead(on stream: UpstreamStream) {
        let isComplete = isRequestComplete
        let isOpenEnded = request.isOpenEnded
        guard let offset = request.hostOffset else {
            return stream.begin(
                self, head: record.head, isComplete: isComplete, isOpenEnded: isOpenEnded)
        }
        worker.withOutput { head in
            request.appendHead(for: stream.endpoint, hostOffset: offset, to: &head)
            stream.begin(self, head: head, isComplete: isComplete, isOpenEnded: isOpenEnded)
        }
    }

    /// What was queued has its connection being opened now, which has a deadline of its own.
    func endWaiting() {
        guard hasWaitDeadline else { return }
        hasWaitDeadline = false
        setDownstreamDeadline(nil)
    }

    /// No connection can be had. `endpoint`: where it was tried.
    func noConnection(_ fault: UpstreamFault, at endpoint: Endpoint? = nil) {
        if let endpoint {
            self.endpoint = endpoint
            tries += 1
        }
        state = .sending
        // Nothing was sent, where a connection ended before it was one.
        let mayRepeat = fault.isBeforeSending || (endpoint != nil && fault == .closed)
        upstreamFailed(fault, endpoint: endpoint, mayRepeat: mayRepeat, isFresh: false)
    }

    // MARK: From the client

    /// Whether no connection was found yet.
    var isWaiting: Bool {
        if case .waiting = state { return true }
        return false
    }

    /// Whether the response has begun: how long it may be silent is `timeouts.stream`'s affair.
    var isResponding: Bool {
        if case .responding = state { return true }
        return false
    }

    /// Whether body bytes have somewhere to go.
    var isUpstreamReady: Bool { upstream?.isReady ?? false }

    /// Where the request's body goes.
    var requestTarget: BodyTarget { upstream?.bodyTarget ?? .nowhere }

    /// Part of the request's body or tunnel was sent on: `count` bytes so far.
    func requestProgressed(_ count: Int64) {
        requestBytes = count
        hasSentBody = true
        upstream?.requestProgressed()
    }

    /// The request's body ended after `count` bytes and was sent whole. `hasTrailers`: with more
    /// than its end.
    func requestEnded(_ count: Int64, hasTrailers: Bool) {
        requestBytes = count
        if count > 0 || hasTrailers { hasSentBody = true }
        isRequestComplete = true
        upstream?.requestEnded()
    }

    func downstreamTookBytes() {
        guard isDownstreamReady else { return }
        upstream?.resumeReading()
    }

    /// The client's deadline passed while this exchange was under way.
    func downstreamDeadline() {
        switch state {
        case .waiting:
            pool.cancelWait(self)
            noConnection(.noSlot)
        case .sending where isUpstreamReady:
            fail(.bodyTimeout)
        case .sending:
            fail(.upstream(.bodyStalled))
        case .responding, .tunnel: abort(.bodyTimeout)
        case .ended: break
        }
    }

    /// The client is gone: whatever was asked for is not wanted any more.
    func downstreamGone() {
        hasClient = false
        if case .waiting = state { pool.cancelWait(self) }
        dropUpstream()
        end(.clientGone)
    }

    func downstreamEndedTunnel() {
        hasClientEndedTunnel = true
        if hasUpstreamEndedTunnel { return endTunnel() }
        upstream?.endTunnelWriting()
    }

    // MARK: From the upstream

    /// Whether response bytes have somewhere to go.
    var isDownstreamReady: Bool { hasClient ? client.isReady : true }

    func upstreamTookBytes() {
        if isUpstreamReady { return resumeDownstream() }
        // Slow, but moving.
        if !isRequestComplete, hasClient { client.bodyProgressed() }
    }

    /// Passes on a 100 (Continue), 103 (Early Hints) or another interim response.
    func interimResponse(_ head: ResponseHead, _ bytes: Span<UInt8>) {
        guard case .sending = state else { return }
        if hasClient { client.sendInterim(head, bytes) }
    }

    /// The response begins: writes its head for the client. What is not sent yet is left in
    /// `output`. Says where the body goes.
    func respond(
        _ head: ResponseHead, _ bytes: Span<UInt8>, _ framing: BodyFraming,
        output: inout ByteBuffer
    ) -> BodyTarget {
        state = .responding
        status = head.status
        guard hasClient else { return .nowhere }
        return client.respond(
            head, bytes, framing, edits: request.route.responseEdits, output: &output)
    }

    func responseProgressed(_ count: Int64) {
        responseBytes = count
        if hasClient { client.responseProgressed() }
    }

    /// The response is whole and was given to the client's side. `count`: bytes of its body, where
    /// not all of them were told of.
    func responseEnded(_ count: Int64?) {
        if let count { responseBytes = count }
        upstream = nil
        let isTold = hasClient
        end(nil)
        if isTold { client.responseEnded() }
    }

    /// The upstream switched protocols. Only what was asked for and allowed becomes a tunnel.
    func beginTunnel(_ head: ResponseHead, _ bytes: Span<UInt8>) -> Bool {
        guard request.wantsUpgrade, hasClient, case .http1(let connection) = client,
            case .sending = state, head.isSwitchToWebSocket(bytes)
        else { return false }
        state = .tunnel
        status = head.status
        worker.withOutput { output in
            ResponseHeadWriter.writeSwitch(
                head, bytes, edits: request.route.responseEdits, to: &output)
            connection.transport.send(output)
        }
        responseTarget = .identity(connection.transport)
        connection.beginTunnel()
        return true
    }

    func tunnelFromUpstream(_ bytes: Span<UInt8>) {
        guard hasClient, case .http1(let connection) = client else { return }
        responseBytes &+= Int64(bytes.count)
        connection.transport.send(bytes)
        connection.responseProgressed()
    }

    /// The upstream ended its direction of the tunnel. Returns whether the other direction goes on.
    func upstreamEndedTunnel() -> Bool {
        hasUpstreamEndedTunnel = true
        guard !hasClientEndedTunnel, hasClient, case .http1(let connection) = client else {
            return false
        }
        connection.endTunnelWriting()
        return true
    }

    /// The upstream gave no response, or no whole one.
    func upstreamFailed(_ fault: UpstreamFault, from stream: UpstreamStream) {
        let isStale = stream.isReused && !stream.hasResponded && fault == .closed
        if isStale { pool.closeIdle(at: stream.endpoint) }
        // What the upstream says it did not look at may be sent again, whatever it was.
        let wasUntouched = fault.isBeforeSending || (fault == .refused && !hasSentBody)
        upstreamFailed(
            fault, endpoint: isStale ? nil : stream.endpoint,
            mayRepeat: isStale ? request.isIdempotent && !hasSentBody : wasUntouched,
            isFresh: isStale)
    }

    private func upstreamFailed(
        _ fault: UpstreamFault, endpoint: Endpoint?, mayRepeat: Bool, isFresh: Bool
    ) {
        upstream = nil
        guard case .sending = state else { return abort(.upstream(fault)) }
        guard mayRepeat, triesLeft > 0, fault != .noSlot else { return fail(.upstream(fault)) }
        triesLeft -= 1
        worker.counters.upstreamRetries += 1
        connect(avoiding: endpoint, isFresh: isFresh)
    }

    // MARK: Endings

    /// Ends the exchange with an answer of our own, where the response has not begun.
    func fail(_ failure: Failure) {
        switch state {
        case .waiting, .sending: break
        case .responding, .tunnel: return abort(failure)
        case .ended: return
        }
        if case .waiting = state { pool.cancelWait(self) }
        dropUpstream()
        if hasClient { client.refuse(failure, for: self) }
        end(failure)
    }

    /// Ends the exchange in the middle of the response: the client's connection or stream ends with
    /// it.
    private func abort(_ failure: Failure) {
        dropUpstream()
        let isTold = hasClient
        hasClient = false
        end(failure)
        if isTold { client.abort() }
    }

    private func endTunnel() {
        let isTold = hasClient
        dropUpstream()
        end(nil)
        if isTold { client.responseEnded() }
    }

    private func dropUpstream() {
        guard let dropped = upstream else { return }
        upstream = nil
        dropped.abandon()
    }

    private func end(_ failure: Failure?) {
        if case .ended = state { return }
        state = .ended
        hasClient = false
        upstream = nil
        responseTarget = .nowhere
        var outcome = record.outcome
        if status != 0 { outcome.status = Int(status) }
        outcome.upstreamStatus = Int(status)
        if let failure { outcome.note(failure) }
        outcome.bytesIn = requestBytes
        outcome.bytesOut = responseBytes
        outcome.tries = tries
        record.outcome = outcome
        worker.finish(record, upstream: endpoint.take())
    }

    private func resumeDownstream() {
        if hasClient { client.resumeReading() }
    }

    private func setDownstreamDeadline(_ milliseconds: Int64?) {
        if hasClient { client.setDeadline(inMilliseconds: milliseconds) }
    }
}
