internal import Bytes
internal import EventLoop
internal import HTTP
internal import Telemetry

/// The client's side of an exchange. HTTP/2 adds a case.
enum DownstreamStream {
    case http1(HTTP1Downstream)
}

/// The upstream's side of an exchange. HTTP/2 adds a case.
enum UpstreamStream {
    case http1(HTTP1Upstream)
}

/// One request and its response: joins a client's stream and an upstream's.
///
///     waiting ──▶ sending ──▶ responding ──▶ ended
///        ▲           │ └────▶ tunnel ──────▶ ended
///        └── retry ──┘
///
/// The request's head was written once, from what was checked. A retry sends those bytes again.
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

    let timeouts: StreamTimeouts
    let isHeadRequest: Bool
    let record: RequestRecord
    /// The scopes that a challenge lists.
    let scope: String?

    private let worker: Worker
    private var request: UpstreamRequest
    private var state = State.waiting
    private var downstream: DownstreamStream?
    private var upstream: UpstreamStream?
    private var triesLeft: Int
    private var tries = 0
    private var isRequestComplete: Bool
    private var hasSentBody = false
    private var hasClientEndedTunnel = false
    private var hasUpstreamEndedTunnel = false
    private var requestBytes: Int64 = 0
    private var responseBytes: Int64 = 0
    private var status: UInt16 = 0
    private var hasWaitDeadline = false
    private var endpoint: Endpoint?

    init(_ request: consuming UpstreamRequest, downstream: DownstreamStream, worker: Worker) {
        self.worker = worker
        self.downstream = downstream
        timeouts = request.route.timeouts
        isHeadRequest = request.isHead
        record = request.record
        scope = request.route.scope
        isRequestComplete = !request.hasBody
        triesLeft = request.route.pool.settings.retries
        self.request = request
    }

    private var pool: UpstreamPool { request.route.pool }

    // MARK: Finding a connection

    func start() {
        connect(avoiding: nil)
    }

    private func connect(avoiding failed: Endpoint?, isFresh: Bool = false) {
        state = .waiting
        do throws(UpstreamFault) {
            if let connection = try pool.acquire(
                for: self, avoiding: failed, isFresh: isFresh)
            {
                begin(on: connection)
            } else {
                hasWaitDeadline = true
                setDownstreamDeadline(timeouts.connect)
            }
        } catch {
            noConnection(error)
        }
    }

    /// A connection was found: sends the head.
    func begin(on connection: HTTP1Upstream) {
        tries += 1
        state = .sending
        upstream = .http1(connection)
        endpoint = connection.endpoint
        let hasWaited = hasWaitDeadline
        if hasWaited {
            hasWaitDeadline = false
            setDownstreamDeadline(nil)
        }
        worker.withOutput { scratch in
            request.withHead(for: connection.endpoint, scratch: &scratch) { head in
                connection.begin(self, head: head, isComplete: isRequestComplete)
            }
        }
        // A body that waited for this connection goes on.
        if !isRequestComplete, tries > 1 || hasWaited { resumeDownstream() }
    }

    /// No connection can be had.
    func noConnection(_ fault: UpstreamFault) {
        state = .sending
        upstreamFailed(fault, endpoint: nil, mayRepeat: fault.isBeforeSending, isFresh: false)
    }

    /// The connection that was being opened is there.
    func upstreamConnected() {
        resumeDownstream()
    }

    // MARK: From the client

    /// Whether no connection was found yet.
    var isWaiting: Bool {
        if case .waiting = state { return true }
        return false
    }

    /// Whether body bytes have somewhere to go.
    var isUpstreamReady: Bool {
        guard case .http1(let connection) = upstream else { return false }
        return !connection.transport.isCongested
    }

    var upstreamTransport: Transport? {
        guard case .http1(let connection) = upstream else { return nil }
        return connection.transport
    }

    /// Part of the request's body or tunnel was sent on: `count` bytes so far.
    func requestProgressed(_ count: Int64) {
        requestBytes = count
        hasSentBody = true
        guard case .http1(let connection) = upstream else { return }
        connection.tunnelProgressed()
        connection.noticeBrokenTransport()
    }

    /// The request's body ended after `count` bytes and was sent whole.
    func requestEnded(_ count: Int64) {
        requestBytes = count
        hasSentBody = true
        isRequestComplete = true
        if case .http1(let connection) = upstream {
            connection.requestEnded()
            connection.noticeBrokenTransport()
        }
    }

    func downstreamTookBytes() {
        guard isDownstreamReady, case .http1(let connection) = upstream else { return }
        connection.resumeReading()
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
        downstream = nil
        if case .waiting = state { pool.cancelWait(self) }
        dropUpstream()
        end(.clientGone)
    }

    func downstreamEndedTunnel() {
        hasClientEndedTunnel = true
        guard case .http1(let connection) = upstream else { return }
        if hasUpstreamEndedTunnel { return endTunnel() }
        connection.endTunnelWriting()
    }

    // MARK: From the upstream

    /// Whether response bytes have somewhere to go.
    var isDownstreamReady: Bool {
        guard case .http1(let connection) = downstream else { return true }
        return connection.isReady
    }

    var downstreamTransport: Transport? {
        guard case .http1(let connection) = downstream else { return nil }
        return connection.transport
    }

    func upstreamTookBytes() {
        if isUpstreamReady { return resumeDownstream() }
        // Slow, but moving.
        if !isRequestComplete, case .http1(let connection) = downstream {
            connection.bodyProgressed()
        }
    }

    /// Passes on a 100 (Continue), 103 (Early Hints) or another interim response.
    func interimResponse(_ head: ResponseHead, _ bytes: Span<UInt8>) {
        guard case .http1(let connection) = downstream, connection.speaksHTTP11,
            case .sending = state
        else { return }
        if head.status == 100 { connection.continued() }
        worker.withOutput { output in
            ResponseHeadWriter.writeInterim(head, bytes, to: &output)
            connection.transport.send(output)
        }
    }

    /// The response begins: writes its head for the client, and says how the body is to be coded.
    func respond(
        _ head: ResponseHead, _ bytes: Span<UInt8>, _ framing: BodyFraming,
        output: inout ByteBuffer
    ) -> BodyRelay.Coding {
        guard case .http1(let connection) = downstream else { return .identity }
        state = .responding
        status = head.status
        let isOpenEnded = framing == .chunked || framing == .untilClose
        if isOpenEnded, !connection.speaksHTTP11 { connection.endAfterResponse() }
        let coding: BodyRelay.Coding =
            isOpenEnded && connection.speaksHTTP11 ? .chunked : .identity
        ResponseHeadWriter.write(
            head, bytes, edits: request.route.responseEdits, coding: coding,
            connection: connection, date: worker.date, to: &output)
        return coding
    }

    func responseProgressed(_ count: Int64) {
        responseBytes = count
        guard case .http1(let connection) = downstream else { return }
        connection.responseProgressed()
        connection.noticeBrokenTransport()
    }

    /// The response is whole and was given to the client's transport.
    func responseEnded() {
        upstream = nil
        let connection = downstream
        end(nil)
        if case .http1(let connection) = connection { connection.responseEnded() }
    }

    /// The upstream switched protocols. Only what was asked for and allowed becomes a tunnel.
    func beginTunnel(_ head: ResponseHead, _ bytes: Span<UInt8>) -> Bool {
        guard request.wantsUpgrade, case .http1(let connection) = downstream, case .sending = state,
            head.isSwitchToWebSocket(bytes)
        else { return false }
        state = .tunnel
        status = head.status
        worker.withOutput { output in
            ResponseHeadWriter.writeSwitch(
                head, bytes, edits: request.route.responseEdits, to: &output)
            connection.transport.send(output)
        }
        connection.beginTunnel()
        return true
    }

    func tunnelFromUpstream(_ bytes: Span<UInt8>) {
        guard case .http1(let connection) = downstream else { return }
        responseBytes &+= Int64(bytes.count)
        connection.transport.send(bytes)
        connection.responseProgressed()
        connection.noticeBrokenTransport()
    }

    /// The upstream ended its direction of the tunnel. Returns whether the other direction goes on.
    func upstreamEndedTunnel() -> Bool {
        hasUpstreamEndedTunnel = true
        guard !hasClientEndedTunnel, case .http1(let connection) = downstream else { return false }
        connection.endTunnelWriting()
        return true
    }

    /// The upstream gave no response, or no whole one.
    func upstreamFailed(_ fault: UpstreamFault, from connection: HTTP1Upstream) {
        let isStale = connection.isReused && !connection.hasResponded && fault == .closed
        if isStale { pool.closeIdle(at: connection.endpoint) }
        upstreamFailed(
            fault, endpoint: isStale ? nil : connection.endpoint,
            mayRepeat: isStale ? request.isIdempotent && !hasSentBody : fault.isBeforeSending,
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
        let connection = downstream
        if case .http1(let connection) = connection { connection.refuse(failure, for: self) }
        end(failure)
    }

    /// Ends the exchange in the middle of the response: the client's connection ends with it.
    private func abort(_ failure: Failure) {
        dropUpstream()
        let connection = downstream
        downstream = nil
        end(failure)
        if case .http1(let connection) = connection { connection.abort() }
    }

    private func endTunnel() {
        let connection = downstream
        dropUpstream()
        end(nil)
        if case .http1(let connection) = connection { connection.responseEnded() }
    }

    private func dropUpstream() {
        guard case .http1(let connection) = upstream else { return }
        upstream = nil
        connection.abandon()
    }

    private func end(_ failure: Failure?) {
        if case .ended = state { return }
        state = .ended
        downstream = nil
        upstream = nil
        if status != 0 { record.outcome.status = Int(status) }
        record.outcome.upstreamStatus = Int(status)
        if let failure { record.outcome.reason = failure.reason }
        record.outcome.bytesIn = requestBytes
        record.outcome.bytesOut = responseBytes
        record.outcome.tries = tries
        worker.finish(record, upstream: endpoint)
    }

    private func resumeDownstream() {
        if case .http1(let connection) = downstream { connection.resumeReading() }
    }

    private func setDownstreamDeadline(_ milliseconds: Int64?) {
        if case .http1(let connection) = downstream {
            connection.setDeadline(inMilliseconds: milliseconds)
        }
    }
}
