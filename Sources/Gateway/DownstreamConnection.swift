internal import Bytes
internal import EventLoop
internal import HTTP

/// One client's HTTP/1.1 connection: requests in order, one exchange at a time.
///
///     awaitingHead ──▶ receivingBody ──▶ awaitingResponse ──▶ awaitingHead …
///          │                │  └──────────────┬──▶ tunnel
///          │                ▼ (refused)       │
///          └───────▶ discardingBody ──▶ awaitingHead
///                                     lingering ──▶ closed
///
/// Bytes that come too early (a pipelined request, a tunnel's before the 101) are kept and reading
/// stops until their turn. Whatever this connection is asked to do while another one is being handled
/// it does in a turn of its own.
final class DownstreamConnection: EventHandler {
    private enum State: Equatable {
        /// Between requests, or in the middle of a head.
        case awaitingHead
        /// The exchange takes the request's body.
        case receivingBody
        /// The request is whole; its response is not.
        case awaitingResponse
        /// The request was refused; what is left of its body is read and dropped, up to a bound.
        case discardingBody
        /// Raw bytes both ways.
        case tunnel
        /// Everything was said and our direction ended; reads until the client ends too, so that it is
        /// not reset before it has read the answer.
        case lingering
        case closed
    }

    /// Reads in one turn at most, so that one fast upload does not starve the others.
    private static let readsPerTurn = 4
    /// Bytes of a refused request's body that are read to keep the connection.
    private static let maxDiscarded: Int64 = 65536
    /// Bytes and time given to a client to end its side.
    private static let maxLingeringBytes = 1 << 20
    private static let lingeringMilliseconds: Int64 = 2000
    /// Empty lines allowed before a request line (RFC 9112, section 2.2).
    private static let maxLeadingLines = 2

    let client: ClientAddress
    let transport: Transport
    /// Where the worker keeps this connection.
    var index = 0

    private let worker: Worker
    private var state = State.awaitingHead
    /// Bytes that wait for their turn: part of a head, or what came too early.
    private var input = ByteBuffer()
    private var scanner = HeadScanner()
    private var exchange: Exchange?
    private var relay = BodyRelay.none
    /// Whether another request may follow the one at hand.
    private var keepsAlive = true
    /// Whether the client holds its body back until it is told to go on.
    private var awaitsContinue = false
    private var clientVersion: UInt8 = 1
    private var leadingLines = 0
    private var lingeringBytes = 0
    private var hasSeenEnd = false
    private var closesWhenFlushed = false
    private var maxBody = Int64.max

    init(_ socket: consuming Socket, client: ClientAddress, worker: Worker) throws(SystemError) {
        self.client = client
        self.worker = worker
        transport = Transport(socket, loop: worker.loop, isConnecting: false)
        try transport.register(self)
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.head)
    }

    /// Whether nothing is under way, so that a draining server may close it.
    var isIdle: Bool { state == .awaitingHead && input.isEmpty && transport.isFlushed }

    // MARK: The loop's side

    func ready(_ readiness: Readiness) {
        transport.note(readiness)
        if readiness.allowsWriting { outputMoved(transport.flush()) }
        if readiness.showsHangUp, !isReadingWanted, state != .closed { return abort() }
        pump()
    }

    func resume() {
        if transport.isBroken, state != .closed { return abort() }
        consumeHeld()
        pump()
    }

    func deadlineReached() {
        switch state {
        case .awaitingHead:
            if input.isEmpty { return close() }
            refuse(.headTimeout)
        case .receivingBody, .awaitingResponse, .tunnel: exchange?.downstreamDeadline()
        case .discardingBody, .lingering: close()
        case .closed: break
        }
    }

    private func pump() {
        var reads = 0
        while transport.isReadable, isReadingWanted {
            guard reads < DownstreamConnection.readsPerTurn else { return transport.resumeLater() }
            reads += 1
            switch transport.receive({ received($0) }) {
            case .bytes: continue
            case .wouldBlock: return
            case .endOfStream: return endOfStream()
            case .failed: return abort()
            }
        }
    }

    private var isReadingWanted: Bool {
        switch state {
        case .awaitingHead: !closesWhenFlushed && !transport.isCongested
        case .receivingBody: input.isEmpty && exchange?.isUpstreamReady == true
        case .tunnel: input.isEmpty && exchange?.isUpstreamReady == true
        case .awaitingResponse: input.isEmpty
        case .discardingBody, .lingering: true
        case .closed: false
        }
    }

    private func received(_ bytes: Span<UInt8>) {
        if input.isEmpty {
            let used = consume(bytes)
            if used < bytes.count, state != .closed { keep(bytes.extracting(used..<bytes.count)) }
            return
        }
        input.append(bytes)
        if state == .awaitingHead, !isWorthParsing { return headGrew() }
        consumeHeld()
    }

    private func keep(_ bytes: Span<UInt8>) {
        let isStart = state == .awaitingHead && input.isEmpty
        input.append(bytes)
        guard isStart else { return }
        scanner = HeadScanner()
        _ = isWorthParsing
        headGrew()
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.head)
    }

    private var isWorthParsing: Bool { input.withBytes { scanner.isWorthParsing($0) } }

    private func headGrew() {
        if input.count > worker.settings.limits.requestHead { refuse(.message(.headTooLarge)) }
    }

    private func consumeHeld() {
        guard !input.isEmpty, state != .closed else { return }
        var held = ByteBuffer()
        swap(&held, &input)
        let used = held.withBytes { consume($0) }
        guard state != .closed else { return }
        held.removeFirst(used)
        if held.isEmpty { return }
        let isHead = state == .awaitingHead
        swap(&held, &input)
        if isHead {
            scanner = HeadScanner()
            _ = isWorthParsing
            headGrew()
            // What is left is a new head rather than the one that was there before.
            if used > 0 { transport.setDeadline(inMilliseconds: worker.settings.timeouts.head) }
        }
    }

    /// Handles what it can and returns how many bytes that was.
    private func consume(_ bytes: Span<UInt8>) -> Int {
        var offset = 0
        while offset < bytes.count {
            let rest = bytes.extracting(offset..<bytes.count)
            let used: Int
            switch state {
            case .awaitingHead: used = consumeHead(rest)
            case .receivingBody: used = consumeBody(bytes, from: offset) &- offset
            case .discardingBody: used = discard(bytes, from: offset) &- offset
            case .tunnel: used = consumeTunnel(rest)
            case .lingering: used = linger(rest)
            case .awaitingResponse: used = 0
            case .closed: return bytes.count
            }
            if used == 0 { return offset }
            offset &+= used
        }
        return offset
    }

    // MARK: A request arrives

    private func consumeHead(_ bytes: Span<UInt8>) -> Int {
        if closesWhenFlushed { return bytes.count }
        // A client that does not read its responses gets no further ones made.
        if transport.isCongested { return 0 }
        let skipped = skipEmptyLine(bytes)
        if skipped > 0 { return skipped }
        do throws(MessageError) {
            guard try worker.requestHead.parse(bytes) else {
                if bytes.count > worker.settings.limits.requestHead { throw .headTooLarge }
                return 0
            }
            guard worker.requestHead.length <= worker.settings.limits.requestHead else {
                throw .headTooLarge
            }
        } catch {
            refuse(.message(error))
            return bytes.count
        }
        leadingLines = 0
        begin(worker.requestHead, bytes)
        return worker.requestHead.length
    }

    private func skipEmptyLine(_ bytes: Span<UInt8>) -> Int {
        guard leadingLines < DownstreamConnection.maxLeadingLines, bytes.count >= 2,
            bytes[0] == UInt8(ascii: "\r"), bytes[1] == UInt8(ascii: "\n")
        else { return 0 }
        leadingLines += 1
        return 2
    }

    private func begin(_ head: RequestHead, _ bytes: Span<UInt8>) {
        awaitsContinue = head.fields.expectsContinue
        clientVersion = head.minorVersion
        keepsAlive = head.wantsKeepAlive && !worker.isDraining && !hasSeenEnd
        let framing = head.framing
        relay = BodyRelay(framing, as: framing == .chunked ? .chunked : .identity)
        switch worker.admission.judge(head, bytes, client: client) {
        case .refused(let answer):
            refuse(answer, framing: framing)
        case .admitted(let request):
            maxBody = request.route.maxBody
            transport.setDeadline(nil)
            state = framing == .none ? .awaitingResponse : .receivingBody
            let exchange = Exchange(request, downstream: .http1(self), worker: worker)
            self.exchange = exchange
            exchange.start()
            if state == .receivingBody { bodyProgressed() }
        }
    }

    private func consumeBody(_ bytes: Span<UInt8>, from start: Int) -> Int {
        guard let exchange, exchange.isUpstreamReady, let target = exchange.upstreamTransport else {
            return start
        }
        var offset = start
        var failure: MessageError?
        worker.withOutput { output in
            do throws(MessageError) {
                offset = try relay.relay(bytes, from: start, gatheringIn: &output, to: target)
                if relay.count > maxBody { return }
                if relay.isComplete {
                    try relay.end(
                        gatheringIn: &output, maxTrailers: worker.settings.limits.requestFields,
                        isRemoved: { worker.admission.isRemoved($0) })
                }
                target.send(output)
            } catch {
                failure = error
            }
        }
        if let failure { return failBody(.message(failure), bytes.count) }
        if relay.count > maxBody { return failBody(.bodyTooLarge, bytes.count) }
        if relay.isComplete {
            state = .awaitingResponse
            transport.setDeadline(nil)
            exchange.requestEnded(relay.count)
        } else {
            exchange.requestProgressed()
            bodyProgressed()
        }
        return offset
    }

    private func failBody(_ failure: Failure, _ used: Int) -> Int {
        keepsAlive = false
        exchange?.fail(failure)
        return used
    }

    private func bodyProgressed() {
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.body)
    }

    private func consumeTunnel(_ bytes: Span<UInt8>) -> Int {
        guard let exchange, exchange.isUpstreamReady, let target = exchange.upstreamTransport else {
            return 0
        }
        target.send(bytes)
        exchange.requestProgressed()
        return bytes.count
    }

    // MARK: The exchange's side

    /// Whether bytes may be made for the client.
    var isReady: Bool { !transport.isCongested }

    /// Whether the client understands interim responses and chunks (HTTP/1.1).
    var speaksHTTP11: Bool { clientVersion == 1 }

    /// The client was told to send its body.
    func continued() {
        awaitsContinue = false
    }

    /// The client takes its response slowly: it has `timeouts.body` to take something.
    func boundWriting() {
        bodyProgressed()
    }

    /// The upstream takes bytes, or takes them again: goes on with the body or tunnel.
    func resumeReading() {
        if state == .receivingBody { bodyProgressed() }
        transport.resumeLater()
    }

    /// The response is whole and was given to the transport. Goes on with the next request, or
    /// closes.
    func responseEnded() {
        exchange = nil
        guard state != .closed else { return }
        switch state {
        case .awaitingResponse where keepsAlive && !transport.isBroken: awaitNextRequest()
        case .receivingBody where keepsAlive && isRestOfBodyShort: discardRest()
        default: closeAfterFlush()
        }
    }

    /// Marks the connection as ending with the response at hand.
    func endAfterResponse() {
        keepsAlive = false
    }

    /// Whether the client learns that the connection ends with this response.
    var announcesClose: Bool {
        !keepsAlive || (state == .receivingBody && !isRestOfBodyShort)
    }

    /// A tunnel begins: what was held back goes through now.
    func beginTunnel() {
        state = .tunnel
        keepsAlive = false
        transport.setDeadline(nil)
        transport.resumeLater()
    }

    /// The upstream ended its direction of a tunnel.
    func endTunnelWriting() {
        transport.shutdownWriting()
    }

    /// The exchange failed before a response began: the refusal is the response.
    func refuse(_ failure: Failure, for exchange: Exchange) {
        self.exchange = nil
        guard state != .closed else { return }
        let mayGoOn = state == .awaitingResponse || (state == .receivingBody && isRestOfBodyShort)
        if !mayGoOn { keepsAlive = false }
        send(worker.admission.answer(failure, exchange.record, scope: exchange.scope))
        settleRefused()
    }

    /// Ends at once, in the middle of a response: the client must not take it for whole.
    func abort() {
        guard state != .closed else { return }
        let aborted = exchange
        exchange = nil
        close(withReset: true)
        aborted?.downstreamGone()
    }

    /// A server that shuts down wants no further request.
    func drain() {
        keepsAlive = false
        if isIdle { close() }
    }

    /// A short deadline set by the exchange while it waits for something.
    func setDeadline(inMilliseconds milliseconds: Int64?) {
        if let milliseconds {
            transport.setDeadline(inMilliseconds: milliseconds)
        } else {
            transport.setDeadline(nil)
        }
    }

    func noticeBrokenTransport() {
        if transport.isBroken { transport.resumeLater() }
    }

    // MARK: Refusals and endings

    /// Refuses what is no request: the answer, then the end.
    private func refuse(_ failure: Failure) {
        keepsAlive = false
        let answer = worker.admission.refusal(failure, client: client)
        send(answer)
        worker.finish(answer.record, upstream: nil)
        input.removeAll()
        closeAfterFlush()
    }

    /// Refuses a request whose head was read.
    private func refuse(_ answer: Answer, framing: BodyFraming) {
        state = framing == .none ? .awaitingResponse : .receivingBody
        if announcesClose { keepsAlive = false }
        send(answer)
        worker.finish(answer.record, upstream: nil)
        settleRefused()
    }

    private func send(_ answer: Answer) {
        worker.withOutput { output in
            answer.write(to: &output, isClosing: announcesClose, date: worker.date)
            transport.send(output)
        }
        noticeBrokenTransport()
    }

    private func settleRefused() {
        switch state {
        case .awaitingResponse where keepsAlive: awaitNextRequest()
        case .receivingBody where keepsAlive: discardRest()
        default: closeAfterFlush()
        }
    }

    /// Whether reading on to the end of the body costs less than a new connection. A client that waits
    /// for 100 (Continue) may or may not send its body now, so there nothing can be read past.
    private var isRestOfBodyShort: Bool {
        !awaitsContinue && (relay.remainingLength ?? 0) <= DownstreamConnection.maxDiscarded
    }

    private func discardRest() {
        state = .discardingBody
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.body)
        relay.beginDiscarding()
        transport.resumeLater()
    }

    private func discard(_ bytes: Span<UInt8>, from start: Int) -> Int {
        guard let end = relay.discard(bytes, from: start, max: DownstreamConnection.maxDiscarded)
        else {
            closeAfterFlush()
            return bytes.count
        }
        if relay.isComplete { awaitNextRequest() }
        return end
    }

    private func awaitNextRequest() {
        state = .awaitingHead
        relay = .none
        if hasSeenEnd, input.isEmpty { return closeAfterFlush() }
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.idle)
        if !input.isEmpty || transport.isReadable { transport.resumeLater() }
    }

    private func closeAfterFlush() {
        guard state != .closed else { return }
        state = .awaitingHead
        relay = .none
        closesWhenFlushed = true
        if transport.isFlushed { return finishClosing() }
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.body)
    }

    /// Everything was written. Where the client may still be sending, closing now would reset it.
    private func finishClosing() {
        if hasSeenEnd || transport.isBroken { return close() }
        transport.shutdownWriting()
        state = .lingering
        closesWhenFlushed = false
        input.removeAll()
        transport.setDeadline(inMilliseconds: DownstreamConnection.lingeringMilliseconds)
        if transport.isReadable { transport.resumeLater() }
    }

    private func linger(_ bytes: Span<UInt8>) -> Int {
        lingeringBytes += bytes.count
        if lingeringBytes > DownstreamConnection.maxLingeringBytes { close() }
        return bytes.count
    }

    private func outputMoved(_ hasMoved: Bool) {
        guard hasMoved else { return }
        if !transport.isFlushed { return bodyProgressed() }
        if closesWhenFlushed { return finishClosing() }
        if let exchange {
            if state == .awaitingResponse { transport.setDeadline(nil) }
            exchange.downstreamTookBytes()
        } else if state == .awaitingHead {
            transport.setDeadline(inMilliseconds: worker.settings.timeouts.idle)
            if !input.isEmpty { transport.resumeLater() }
        }
    }

    private func endOfStream() {
        hasSeenEnd = true
        switch state {
        case .awaitingHead:
            if closesWhenFlushed { return }
            close()
        case .receivingBody: abort()
        // A client may end its direction and still read the response.
        case .awaitingResponse: keepsAlive = false
        case .tunnel: exchange?.downstreamEndedTunnel()
        case .discardingBody, .lingering: close()
        case .closed: break
        }
    }

    /// Closes at once. The exchange, if there is one, was told by the caller.
    func close(withReset: Bool = false) {
        guard state != .closed else { return }
        state = .closed
        transport.close(withReset: withReset)
        input.removeAll()
        worker.forget(self)
    }
}
