internal import Bytes
internal import EventLoop
internal import HTTP

/// One client's HTTP/1.1 connection: requests in order, one exchange at a time.
///
///     awaitingHead ──▶ receivingBody ──▶ awaitingResponse ──▶ awaitingHead …
///      ▲   │                │  └──────────────┬──▶ tunnel
///      │   │                ▼ (refused)       │
///      │   ├───────▶ discardingBody ──▶ awaitingHead
///      │   ▼                            lingering ──▶ closed
///     awaitingVerdict
///
/// A head that cannot be judged yet is kept with what follows it, and judged again.
/// Bytes that come too early (a pipelined request, a tunnel's before the 101) are kept and reading
/// stops until their turn. Whatever this connection is asked to do while another one is being
/// handled it does in a turn of its own.
final class HTTP1Downstream: ClientConnection {
    enum State: Equatable {
        /// Between requests, or in the middle of a head.
        case awaitingHead
        /// The request's verdict waits for keys, or for its signature; its head is held.
        case awaitingVerdict
        /// The exchange takes the request's body.
        case receivingBody
        /// The request is whole; its response is not.
        case awaitingResponse
        /// The request was refused; what is left of its body is read and dropped, up to a bound.
        case discardingBody
        /// Raw bytes both ways.
        case tunnel
        /// Everything was said and our direction ended; reads until the client ends too, so that it
        /// is not reset before it has read the answer.
        case lingering
        case closed
    }

    /// Reads in one turn at most, so that one fast upload does not starve the others.
    private static let readsPerTurn = 4
    /// Empty lines allowed before a request line (RFC 9112, section 2.2).
    private static let maxLeadingLines = 2

    let client: Client
    let transport: Transport
    /// Where the worker keeps this connection.
    var index = 0

    let worker: Worker
    var state = State.awaitingHead
    /// Part of a head, or what came too early.
    var input = HeldInput()
    var exchange: Exchange?
    /// The request whose verdict waits, or is being resumed.
    var pending: PendingVerdict?
    var relay = BodyRelay.none
    /// Whether another request may follow the one at hand.
    var keepsAlive = true
    /// Whether the client holds its body back until it is told to go on.
    var awaitsContinue = false
    var clientVersion: UInt8 = 1
    private var leadingLines = 0
    private var tunnelBytes: Int64 = 0
    var lingeringBytes = 0
    var hasSeenEnd = false
    var closesWhenFlushed = false
    private var maxBody = Int64.max

    /// Takes over a connection whose protocol is known.
    init(_ transport: Transport, client: Client, worker: Worker) {
        self.client = client
        self.worker = worker
        self.transport = transport
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.head)
    }

    /// The bytes that showed the protocol.
    func begin(with bytes: Span<UInt8>) {
        received(bytes)
    }

    /// Whether nothing is under way, so that a draining server may close it.
    var isIdle: Bool { state == .awaitingHead && input.isEmpty && transport.isFlushed }

    // MARK: The loop's side

    func ready(_ readiness: Readiness) {
        transport.note(readiness)
        if readiness.allowsWriting { outputMoved(transport.flush()) }
        if transport.isBroken || (readiness.showsHangUp && !isReadingWanted) { return abort() }
        pump()
    }

    func resume() {
        if transport.isBroken, state != .closed { return abort() }
        if state == .awaitingVerdict, pending?.isSettled == true { state = .awaitingHead }
        consumeHeld()
        if hasSeenEnd, state == .awaitingHead { return closeAfterFlush() }
        pump()
    }

    func deadlineReached() {
        switch state {
        case .awaitingHead:
            if input.isEmpty { return close() }
            refuse(.headTimeout)
        case .awaitingVerdict:
            if let pending { worker.admission.expire(pending) }
            resume()
        case .receivingBody, .awaitingResponse, .tunnel: exchange?.downstreamDeadline()
        case .discardingBody, .lingering: close()
        case .closed: break
        }
    }

    /// Reads what is wanted now. `evenIfQuiet`: looks even where the loop has told of nothing.
    func pump(evenIfQuiet: Bool = false) {
        var reads = 0
        while transport.isReadable || (evenIfQuiet && reads == 0), isReadingWanted {
            guard reads < HTTP1Downstream.readsPerTurn else { return transport.resumeLater() }
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
        // What follows the head is not wanted yet.
        case .awaitingVerdict, .closed: false
        }
    }

    private func received(_ bytes: Span<UInt8>) {
        if input.isEmpty {
            let used = consume(bytes)
            if used < bytes.count, state != .closed { keep(bytes.extracting(used..<bytes.count)) }
            return
        }
        input.append(bytes)
        if state == .awaitingHead, !input.isWorthParsing() { return headGrew() }
        consumeHeld()
    }

    private func keep(_ bytes: Span<UInt8>) {
        let isStart = state == .awaitingHead && input.isEmpty
        input.append(bytes)
        guard isStart else { return }
        input.startHead()
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.head)
        headGrew()
    }

    private func headGrew() {
        // What waits because its sender does not read may be many heads.
        if transport.isCongested { return bodyProgressed() }
        if input.count > worker.settings.limits.requestHead { refuse(.message(.headTooLarge)) }
    }

    private func consumeHeld() {
        guard !input.isEmpty, state != .closed else { return }
        var held = input.take()
        let used = held.withBytes { consume($0) }
        guard state != .closed else { return }
        held.removeFirst(used)
        if held.isEmpty { return }
        input.putBack(held)
        guard state == .awaitingHead else { return }
        input.startHead()
        // What is left is a new head rather than the one that was there before.
        if used > 0 { transport.setDeadline(inMilliseconds: worker.settings.timeouts.head) }
        headGrew()
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
            case .awaitingResponse, .awaitingVerdict: used = 0
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
        if transport.isCongested, pending == nil { return 0 }
        if let head = pending?.takeHead() {
            // What it describes was held, unchanged, since it was parsed.
            return begin(head, bytes)
        }
        let head = worker.requestHeads.current
        let skipped = skipEmptyLine(bytes)
        if skipped > 0 { return skipped }
        if mayBeEmptyLine(bytes) { return 0 }
        do throws(MessageError) {
            guard try head.parse(bytes) else {
                if bytes.count > worker.settings.limits.requestHead { throw .headTooLarge }
                return 0
            }
            guard head.length <= worker.settings.limits.requestHead else {
                throw .headTooLarge
            }
        } catch {
            refuse(.message(error))
            return bytes.count
        }
        leadingLines = 0
        return begin(head, bytes)
    }

    private func skipEmptyLine(_ bytes: Span<UInt8>) -> Int {
        guard mayBeEmptyLine(bytes), bytes.count >= 2 else { return 0 }
        leadingLines += 1
        return 2
    }

    /// Whether the bytes begin with a permitted empty line, or with the part of one that is there.
    private func mayBeEmptyLine(_ bytes: Span<UInt8>) -> Bool {
        leadingLines < HTTP1Downstream.maxLeadingLines && bytes[0] == UInt8(ascii: "\r")
            && (bytes.count == 1 || bytes[1] == UInt8(ascii: "\n"))
    }

    /// Judges a request whose head begins the bytes. Returns how many of these it used.
    private func begin(_ head: RequestHead, _ bytes: Span<UInt8>) -> Int {
        let length = head.length
        awaitsContinue = head.fields.expectsContinue
        clientVersion = head.minorVersion
        keepsAlive = head.wantsKeepAlive && !worker.isDraining
        let framing = head.framing
        relay = BodyRelay(framing)
        let resumed = pending
        if resumed != nil { pending = nil }
        switch worker.admission.judge(
            head, bytes, framing: framing, client: client, resuming: resumed)
        {
        case .refused(let answer):
            refuse(answer, framing: framing)
        case .waiting(let pending):
            wait(for: pending, head)
            return 0
        case .admitted(let request):
            maxBody = request.route.maxBody
            transport.setDeadline(nil)
            state = framing == .none ? .awaitingResponse : .receivingBody
            let exchange = Exchange(request, downstream: .http1(self))
            self.exchange = exchange
            exchange.start()
            // While it waits for a connection, its own deadline stands.
            if state == .receivingBody, !exchange.isWaiting { bodyProgressed() }
        }
        if resumed != nil { worker.requestHeads.giveBack(head) }
        return length
    }

    /// The head and what follows stay in `input`: nothing of them is consumed.
    private func wait(for pending: PendingVerdict, _ head: RequestHead) {
        self.pending = pending
        state = .awaitingVerdict
        pending.tell(.http1(self), worker.requestHeads.keep(head))
        transport.setDeadline(inMilliseconds: pending.millisecondsLeft(at: worker.loop.now))
    }

    /// The request can be judged again.
    func verdictReady() {
        transport.resumeLater()
    }

    private func consumeBody(_ bytes: Span<UInt8>, from start: Int) -> Int {
        guard let exchange, exchange.isUpstreamReady else { return start }
        let target = exchange.requestTarget
        var offset = start
        var failure: MessageError?
        worker.withOutput { output in
            do throws(MessageError) {
                offset = try relay.relay(bytes, from: start, gatheringIn: &output, to: target)
                if relay.count > maxBody { return }
                if relay.isComplete {
                    try relay.end(
                        gatheringIn: &output, to: target,
                        maxTrailers: worker.settings.limits.requestFields,
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
            exchange.requestEnded(relay.count, hasTrailers: relay.hasTrailers)
        } else {
            exchange.requestProgressed(relay.count)
            bodyProgressed()
        }
        return offset
    }

    private func failBody(_ failure: Failure, _ used: Int) -> Int {
        keepsAlive = false
        exchange?.fail(failure)
        return used
    }

    func bodyProgressed() {
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.body)
    }

    private func consumeTunnel(_ bytes: Span<UInt8>) -> Int {
        guard let exchange, exchange.isUpstreamReady,
            case .identity(let target) = exchange.requestTarget
        else { return 0 }
        target.send(bytes)
        tunnelBytes &+= Int64(bytes.count)
        exchange.requestProgressed(tunnelBytes)
        return bytes.count
    }
}
