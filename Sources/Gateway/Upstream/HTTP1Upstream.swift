internal import Bytes
internal import EventLoop
internal import HTTP
internal import Telemetry

/// One HTTP/1.1 connection to an endpoint: carries one exchange at a time, rests in the pool
/// between them.
///
///     idle ──▶ awaitingHead ──▶ receivingBody ──▶ idle …
///      │            │   └────▶ tunnel              │
///      └────────────┴──────── closed ◀─────────────┘
final class HTTP1Upstream: EventHandler {
    private enum State: Equatable {
        case idle, awaitingHead, receivingBody, tunnel, closed
    }

    /// Reads in one turn at most, so that one fast response does not starve the others.
    private static let readsPerTurn = 4
    /// Bytes of a response's head and lines of it, at least: what servers send, many cookies among
    /// it, does not depend on what clients may.
    static let maxHead = 65536
    static let maxFields = 256

    let endpoint: Endpoint
    /// The pool's generation as it was opened.
    let generation: Int
    private let pool: UpstreamPool
    private let worker: Worker
    let transport: Transport
    private var state = State.idle
    private var exchange: Exchange?
    /// Bytes of a head that has not come whole.
    private var input = HeldInput()
    /// Whether there are any. Kept beside them: asking what a class keeps costs a check each time.
    private var holdsInput = false
    /// The body under way. Taken out while it moves: what a class keeps in place is checked for
    /// exclusive use at each step.
    private var relay = BodyRelay.none
    /// Whether this connection served an exchange before: it may have died while it rested.
    private(set) var isReused = false
    /// Whether any byte of the current response came.
    private(set) var hasResponded = false
    private var canBeReused = true
    private var isRequestComplete = false
    private(set) var bodyTarget = BodyTarget.nowhere

    /// Takes over a connection that was opened; at rest until an exchange begins on it.
    init(_ transport: Transport, for dial: Dial, pool: UpstreamPool, worker: Worker) {
        self.pool = pool
        endpoint = dial.endpoint
        generation = dial.generation
        self.worker = worker
        self.transport = transport
        transport.handOver(to: self)
        transport.setDeadline(nil)
    }

    // MARK: The exchange's side

    /// Sends a request's head. `isComplete`: no body follows. `isOpenEnded`: the body goes in
    /// chunks.
    func begin(
        _ exchange: Exchange, head: borrowing ByteBuffer, isComplete: Bool, isOpenEnded: Bool
    ) {
        self.exchange = exchange
        hasResponded = false
        isRequestComplete = false
        bodyTarget = isOpenEnded ? .chunked(transport) : .identity(transport)
        state = .awaitingHead
        transport.send(head)
        if isComplete {
            // A body that turned out to be empty before this try.
            if isOpenEnded { endBody() }
            return requestEnded()
        }
        // The one for resting; until the request is whole its sender's deadline counts.
        transport.setDeadline(nil)
        noticeBrokenTransport()
    }

    private func endBody() {
        worker.withOutput { output in
            bodyTarget.end(trailers: Span(), gatheringIn: &output)
            transport.send(output)
        }
    }

    /// The whole request was given over: from now on the upstream owes a response.
    func requestEnded() {
        isRequestComplete = true
        if state == .awaitingHead {
            transport.setDeadline(inMilliseconds: exchange?.timeouts.response ?? 0)
        }
        noticeBrokenTransport()
    }

    /// Whether body bytes may be made for it.
    var isReady: Bool { !transport.isCongested }

    /// Part of a body or tunnel was given over.
    func requestProgressed() {
        // The client sent something through the tunnel: it is not silent.
        if state == .tunnel {
            transport.setDeadline(inMilliseconds: exchange?.timeouts.stream ?? 0)
        }
        noticeBrokenTransport()
    }

    /// Where `send` found the connection dead, acts on it in a turn of its own.
    func noticeBrokenTransport() {
        if transport.isBroken { transport.resumeLater() }
    }

    /// The client takes bytes again.
    func resumeReading() {
        if transport.isReadable { transport.resumeLater() }
    }

    /// Ends the connection in the middle of an exchange that goes on without it.
    func abandon() {
        exchange = nil
        close()
    }

    /// The client ended its direction of a tunnel.
    func endTunnelWriting() {
        transport.endWriting()
    }

    // MARK: The loop's side

    func ready(_ readiness: Readiness) {
        transport.note(readiness)
        if readiness.allowsWriting, transport.flush() {
            exchange?.upstreamTookBytes()
        }
        pump()
        failIfBroken()
    }

    func resume() {
        pump()
        failIfBroken()
    }

    /// What cannot be written to may still have said something, which was read first.
    private func failIfBroken() {
        guard state != .closed, transport.isBroken, !transport.isReadable else { return }
        fail(UpstreamFault(endOf: transport))
    }

    func deadlineReached() {
        switch state {
        case .awaitingHead: fail(.responseTimeout)
        case .receivingBody, .tunnel: fail(.streamSilent)
        case .idle, .closed: close()
        }
    }

    private func pump() {
        var reads = 0
        while transport.isReadable, isReadingWanted {
            guard reads < HTTP1Upstream.readsPerTurn else { return transport.resumeLater() }
            reads += 1
            switch transport.receive({ received($0) }) {
            case .bytes: continue
            case .wouldBlock: return
            case .endOfStream: return endOfStream()
            case .failed: return fail(UpstreamFault(endOf: transport))
            }
        }
    }

    private var isReadingWanted: Bool {
        switch state {
        case .closed: false
        case .idle: true
        case .awaitingHead, .receivingBody, .tunnel: exchange?.isDownstreamReady ?? true
        }
    }

    private func received(_ bytes: Span<UInt8>) {
        hasResponded = true
        if !holdsInput { return consume(bytes) }
        input.append(bytes)
        guard input.isWorthParsing() || isInputFull else { return }
        let held = input.take()
        holdsInput = false
        held.withBytes { consume($0) }
    }

    private var isInputFull: Bool { input.count > maxHead }

    private var maxHead: Int { max(HTTP1Upstream.maxHead, worker.settings.limits.requestHead) }

    /// Handles what came; whatever is left over belongs to an unfinished head and is kept.
    private func consume(_ bytes: Span<UInt8>) {
        var offset = 0
        while offset < bytes.count {
            switch state {
            case .awaitingHead:
                guard let length = readHead(bytes.extracting(offset..<bytes.count)) else { return }
                offset &+= length
            case .receivingBody: offset = continueBody(bytes, from: offset)
            case .tunnel:
                exchange?.tunnelFromUpstream(bytes.extracting(offset..<bytes.count))
                transport.setDeadline(inMilliseconds: exchange?.timeouts.stream ?? 0)
                return
            case .idle:
                // Bytes that no request asked for.
                return close()
            case .closed: return
            }
        }
    }

    /// Reads one head, and with it the part of the body that came along. Returns how many bytes
    /// that took, nil where nothing more can be read now.
    private func readHead(_ bytes: Span<UInt8>) -> Int? {
        let head = worker.responseHead
        do throws(MessageError) {
            guard try head.parse(bytes) else {
                if bytes.count > maxHead { throw .headTooLarge }
                input.append(bytes)
                input.startHead()
                holdsInput = true
                return nil
            }
            if head.length > maxHead { throw .headTooLarge }
        } catch {
            fail(.invalid(error))
            return nil
        }
        return takeHead(head, bytes)
    }

    private func takeHead(_ head: ResponseHead, _ bytes: Span<UInt8>) -> Int? {
        guard let exchange else {
            close()
            return nil
        }
        if head.isInterim {
            exchange.interimResponse(head, bytes)
            return head.length
        }
        if head.status == 101 { return takeSwitch(head, bytes, exchange) }
        let framing = head.framing(toHead: exchange.isHeadRequest)
        canBeReused = head.wantsKeepAlive && framing != .untilClose
        state = .receivingBody
        var offset = head.length
        var current = BodyRelay(framing)
        worker.withOutput { output in
            let target = exchange.respond(head, bytes, framing, output: &output)
            offset = relayBody(
                &current, bytes, from: offset, for: exchange, to: target, output: &output)
        }
        return offset
    }

    private func takeSwitch(_ head: ResponseHead, _ bytes: Span<UInt8>, _ exchange: Exchange)
        -> Int?
    {
        guard exchange.beginTunnel(head, bytes) else {
            fail(.unexpectedUpgrade)
            return nil
        }
        state = .tunnel
        canBeReused = false
        transport.setDeadline(inMilliseconds: exchange.timeouts.stream)
        return head.length
    }

    private func continueBody(_ bytes: Span<UInt8>, from start: Int) -> Int {
        guard let exchange else {
            close()
            return bytes.count
        }
        var current = BodyRelay.none
        swap(&current, &relay)
        var offset = start
        worker.withOutput { output in
            offset = relayBody(
                &current, bytes, from: start, for: exchange, to: exchange.responseTarget,
                output: &output)
        }
        return offset
    }

    /// Carries body bytes to the client and ends the exchange behind the last.
    private func relayBody(
        _ current: inout BodyRelay, _ bytes: Span<UInt8>, from start: Int,
        for exchange: Exchange, to target: BodyTarget, output: inout ByteBuffer
    ) -> Int {
        do throws(MessageError) {
            let end = try current.relay(bytes, from: start, gatheringIn: &output, to: target)
            if current.isComplete {
                try current.end(
                    gatheringIn: &output, to: target,
                    maxTrailers: worker.settings.limits.requestFields,
                    isRemoved: { _ in false })
            }
            target.send(output)
            let count = current.count
            if current.isComplete {
                finish(after: count, hasExtraBytes: end < bytes.count)
                return bytes.count
            }
            swap(&current, &relay)
            exchange.responseTarget = target
            exchange.responseProgressed(count)
            transport.setDeadline(inMilliseconds: exchange.timeouts.stream)
            return end
        } catch {
            fail(.invalid(error))
            return bytes.count
        }
    }

    /// The response is whole. The connection goes back to the pool where both messages ended where
    /// they should; bytes behind the response are nobody's and end it. `count`: of its body, where
    /// the exchange was not told before.
    private func finish(after count: Int64? = nil, hasExtraBytes: Bool) {
        let finished = exchange
        exchange = nil
        bodyTarget = .nowhere
        if canBeReused, isRequestComplete, !hasExtraBytes, transport.isFlushed, !transport.isBroken
        {
            state = .idle
            if !isReused { endpoint.keepResumption(of: transport) }
            isReused = true
            transport.setDeadline(inMilliseconds: pool.settings.idleTimeout)
            pool.release(self)
        } else {
            close()
        }
        finished?.responseEnded(count)
    }

    private func endOfStream() {
        switch state {
        case .receivingBody where relay.endsWithConnection:
            endWithConnection()
        case .tunnel:
            if let exchange, exchange.upstreamEndedTunnel() { return }
            finish(hasExtraBytes: true)
        case .idle, .closed: close()
        case .awaitingHead, .receivingBody: fail(.closed)
        }
    }

    private func endWithConnection() {
        worker.withOutput { output in
            // No trailers: only chunked bodies have them.
            guard let target = exchange?.responseTarget else { return }
            target.end(trailers: Span(), gatheringIn: &output)
            target.send(output)
        }
        finish(hasExtraBytes: true)
    }

    private func fail(_ fault: UpstreamFault) {
        let failed = exchange
        exchange = nil
        close()
        failed?.upstreamFailed(fault, from: .http1(self))
    }

    /// Closes and leaves the pool. The exchange, if there is one, was told by the caller.
    func close() {
        guard state != .closed else { return }
        let wasIdle = state == .idle
        state = .closed
        exchange = nil
        endpoint.keepResumption(of: transport)
        transport.close()
        input.removeAll()
        pool.closed(self, wasIdle: wasIdle)
    }
}
