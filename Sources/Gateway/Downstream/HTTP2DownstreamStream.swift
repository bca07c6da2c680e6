internal import Bytes
internal import EventLoop
internal import HTTP
internal import HTTP2

/// One request on a client's HTTP/2 connection, and its response.
///
/// A body that the upstream does not take yet is held, within the stream's window, which is given
/// back only for what went on. Deadlines are a stream's own, so that a slow one ends alone.
final class HTTP2DownstreamStream: EventHandler {
    /// Time for a client to end a request that was answered early: reset at once, some miss why.
    private static let lingeringMilliseconds: Int64 = 2000

    private let connection: HTTP2Downstream
    private let handle: HTTP2StreamHandle
    private var exchange: Exchange?
    /// The request whose verdict waits.
    private var pending: PendingVerdict?
    /// Whether the client may send more.
    private var isReceiving: Bool
    private var isClosed = false
    /// Whether the response was given over since `watchOutput` was called.
    private(set) var isAnswered = false
    /// Bytes of the body that wait for the upstream.
    private var held = ByteBuffer()
    /// Whether the body's end waits behind them.
    private var isEndHeld = false
    private var trailers = ByteBuffer()
    private var count: Int64 = 0
    private var framing = BodyFraming.none
    private var length = BodyLength(.none)
    private var maxBody = Int64.max
    private var timer = Registration.none
    /// What was not sent yet when the deadline was set: a slow reader is not a silent one.
    private var bufferedAtDeadline = 0

    init(_ connection: HTTP2Downstream, _ handle: HTTP2StreamHandle, isReceiving: Bool) {
        self.connection = connection
        self.handle = handle
        self.isReceiving = isReceiving
    }

    private var worker: Worker { connection.worker }

    // MARK: From the client

    /// The request's head came: an RFC 9112 one, made from the header block.
    func begin(_ bytes: Span<UInt8>, lines: Span<FieldLine>) {
        guard let head = parse(bytes, lines) else { return }
        framing = framing(head)
        length = BodyLength(framing)
        judge(head, bytes, resuming: nil)
    }

    private func parse(_ bytes: Span<UInt8>, _ lines: Span<FieldLine>) -> RequestHead? {
        let head = worker.requestHeads.current
        do throws(MessageError) {
            guard try head.parse(bytes, lines: lines) else { throw .startLine }
            return head
        } catch {
            refuse(.message(error))
            return nil
        }
    }

    private func judge(
        _ head: RequestHead, _ bytes: Span<UInt8>, resuming pending: PendingVerdict?
    ) {
        let client = connection.client
        switch worker.admission.judge(
            head, bytes, framing: framing, client: client, resuming: pending)
        {
        case .refused(let answer):
            send(answer)
            worker.finish(answer.record, upstream: nil)
        case .waiting(let pending): return wait(for: pending, head, bytes)
        case .admitted(let request): start(request)
        }
        if pending != nil { worker.requestHeads.giveBack(head) }
    }

    private func start(_ request: consuming UpstreamRequest) {
        maxBody = request.route.maxBody
        // What came while the verdict waited was held without a bound of its own.
        if count > maxBody {
            let record = request.record
            send(worker.admission.answer(.bodyTooLarge, record, scope: request.route.scope))
            return worker.finish(record, upstream: nil)
        }
        let exchange = Exchange(request, downstream: .http2(self))
        self.exchange = exchange
        exchange.start()
        if count > 0 || isEndHeld { forwardHeld() }
        if isReceiving, !exchange.isWaiting { bodyProgressed() }
    }

    // MARK: While the verdict waits

    private func wait(
        for pending: PendingVerdict, _ head: RequestHead, _ bytes: Span<UInt8>
    ) {
        self.pending = pending
        pending.bytes.append(bytes)
        pending.tell(.http2(self), worker.requestHeads.keep(head))
        setDeadline(inMilliseconds: pending.millisecondsLeft(at: worker.loop.now))
    }

    /// The request can be judged again.
    func verdictReady() {
        worker.loop.resumeLater(timer)
    }

    /// Judges the same bytes again.
    private func judgeAgain(_ pending: PendingVerdict) {
        self.pending = nil
        setDeadline(inMilliseconds: nil)
        var bytes = ByteBuffer()
        swap(&bytes, &pending.bytes)
        bytes.withBytes { bytes in
            guard let head = pending.takeHead() ?? parse(bytes, Span()) else { return }
            judge(head, bytes, resuming: pending)
        }
    }

    /// Refuses a request that breaks its own word before there is a verdict.
    private func refuse(_ failure: Failure, _ pending: PendingVerdict) {
        self.pending = nil
        worker.admission.forget(pending)
        send(worker.admission.answer(failure, pending.record, scope: nil))
        worker.finish(pending.record, upstream: nil)
    }

    /// Refuses what is no request.
    func refuse(_ failure: Failure) {
        let answer = worker.admission.refusal(failure, client: connection.client)
        send(answer)
        worker.finish(answer.record, upstream: nil)
    }

    func received(_ bytes: Span<UInt8>) {
        guard let exchange else { return hold(bytes) }
        count &+= Int64(bytes.count)
        guard length.take(bytes.count) else { return exchange.fail(.message(.contentLength)) }
        if count > maxBody { return exchange.fail(.bodyTooLarge) }
        if held.isEmpty, exchange.isUpstreamReady {
            forward(bytes, to: exchange)
        } else {
            held.append(bytes)
        }
        // While it waits for a connection, that deadline stands.
        if self.exchange != nil, !exchange.isWaiting { bodyProgressed() }
    }

    /// Of a refused request nothing more is wanted, and no window is given for it. Where the
    /// verdict waits, the window bounds what is held.
    private func hold(_ bytes: Span<UInt8>) {
        guard let pending else { return }
        count &+= Int64(bytes.count)
        guard length.take(bytes.count) else { return refuse(.message(.contentLength), pending) }
        held.append(bytes)
    }

    func receivedTrailers(_ lines: Span<UInt8>) {
        do throws(MessageError) {
            try TrailerSection.appendForwardable(
                lines, maxFields: worker.settings.limits.requestFields, to: &trailers,
                isRemoved: { worker.admission.isRemoved($0) })
        } catch {
            isReceiving = false
            if let pending { return refuse(.message(error), pending) }
            exchange?.fail(.message(error))
            return
        }
        receivedEnd()
    }

    func receivedEnd() {
        isReceiving = false
        if let pending {
            guard length.isWhole else { return refuse(.message(.contentLength), pending) }
            isEndHeld = true
        }
        guard let exchange else { return }
        guard length.isWhole else { return exchange.fail(.message(.contentLength)) }
        if held.isEmpty, exchange.isUpstreamReady {
            endBody(of: exchange)
        } else {
            isEndHeld = true
        }
    }

    /// The client takes response bytes again.
    func tookBytes() {
        settleDeadline()
        exchange?.downstreamTookBytes()
    }

    /// The stream is gone.
    func closed() {
        guard !isClosed else { return }
        isClosed = true
        if timer != .none {
            worker.loop.forget(timer)
            timer = .none
        }
        let gone = exchange
        exchange = nil
        gone?.downstreamGone()
        guard let pending else { return }
        self.pending = nil
        worker.admission.abandon(pending)
    }

    // MARK: The loop's side

    func ready(_ readiness: Readiness) {}

    /// There is a verdict, or the upstream takes bytes again.
    func resume() {
        guard let pending else { return forwardHeld() }
        if pending.isSettled { judgeAgain(pending) }
    }

    private func forwardHeld() {
        guard let exchange, exchange.isUpstreamReady else { return }
        if !held.isEmpty {
            var bytes = ByteBuffer()
            swap(&bytes, &held)
            bytes.withBytes { forward($0, to: exchange) }
        }
        if isEndHeld, self.exchange != nil {
            isEndHeld = false
            endBody(of: exchange)
        }
    }

    func deadlineReached() {
        if let pending {
            worker.admission.expire(pending)
            return judgeAgain(pending)
        }
        let buffered = connection.session.buffered(handle)
        if exchange == nil, buffered == 0 {
            if isReceiving { connection.resetAfterEnd(handle) }
            return
        }
        // A stream whose turn does not come on a slow connection: that one's deadline counts.
        let waitsForTurn = buffered > 0 && !connection.transport.isFlushed
        if buffered < bufferedAtDeadline || waitsForTurn { return bodyProgressed() }
        // Both sides may talk and be quiet as they like, as gRPC's do.
        if buffered == 0, exchange?.isResponding == true { return }
        if let exchange { return exchange.downstreamDeadline() }
        if buffered > 0 { connection.reset(handle, .cancel) }
    }

    // MARK: What the exchange tells

    var isReady: Bool { !connection.session.isCongested(handle) }

    func sendInterim(_ head: ResponseHead, _ bytes: Span<UInt8>) {
        worker.withOutput { output in
            ResponseHeadWriter.writeInterim(head, bytes, to: &output)
            output.withBytes { connection.session.sendInterim(handle, $0) }
        }
        connection.flushLater()
    }

    /// Gives the response's head to the session, and says where the body goes.
    func respond(
        _ head: ResponseHead, _ bytes: Span<UInt8>, _ framing: BodyFraming, edits: FieldEdits,
        output: inout ByteBuffer
    ) -> BodyTarget {
        ResponseHeadWriter.dropFields(head, bytes, edits: edits)
        ResponseHeadWriter.appendAdded(head, edits: edits, worker, to: &output)
        let isEnd = framing == .none || framing == .length(0)
        output.withBytes {
            connection.session.respond(handle, bytes, head.fields, more: $0, isEnd: isEnd)
        }
        output.removeAll(keepingCapacity: true)
        connection.flushLater()
        return isEnd ? .nowhere : .stream(connection, handle)
    }

    func responseProgressed() {
        if !isReady || isReceiving { bodyProgressed() }
    }

    func responseEnded() {
        exchange = nil
        settle()
    }

    func refuse(_ failure: Failure, for exchange: Exchange) {
        self.exchange = nil
        if isClosed { return }
        send(worker.admission.answer(failure, exchange.record, scope: exchange.scope))
    }

    func abort() {
        exchange = nil
        if !isClosed { connection.reset(handle, .internalError) }
    }

    func resumeReading() {
        if isReceiving || !held.isEmpty { bodyProgressed() }
        if held.isEmpty, !isEndHeld { return }
        takeTimer()
        worker.loop.resumeLater(timer)
    }

    func bodyProgressed() {
        setDeadline(inMilliseconds: worker.settings.timeouts.body)
    }

    func setDeadline(inMilliseconds milliseconds: Int64?) {
        guard !isClosed else { return }
        guard let milliseconds else {
            if timer != .none { worker.loop.setDeadline(timer, nil) }
            return
        }
        takeTimer()
        bufferedAtDeadline = connection.session.buffered(handle)
        worker.loop.setDeadline(timer, inMilliseconds: milliseconds)
    }

    // MARK: Parts

    /// What delimits the body is the stream; a length that was announced is what nghttp2 holds it
    /// to, and what an HTTP/1.1 upstream is told.
    private func framing(_ head: RequestHead) -> BodyFraming {
        guard isReceiving else { return .none }
        guard let length = head.fields.contentLength else { return .chunked }
        return length == 0 ? .none : .length(length)
    }

    private func forward(_ bytes: Span<UInt8>, to exchange: Exchange) {
        let target = exchange.requestTarget
        worker.withOutput { output in
            target.append(bytes, gatheringIn: &output)
            target.send(output)
        }
        connection.session.consume(handle, bytes.count)
        connection.flushLater()
        exchange.requestProgressed(count)
    }

    private func endBody(of exchange: Exchange) {
        let target = exchange.requestTarget
        worker.withOutput { output in
            trailers.withBytes { target.end(trailers: $0, gatheringIn: &output) }
            target.send(output)
        }
        settleDeadline()
        exchange.requestEnded(count, hasTrailers: !trailers.isEmpty)
    }

    /// The client has a deadline where it owes a part of its body, or has to take what is there.
    private func settleDeadline() {
        let isRestLeft = exchange == nil && connection.session.buffered(handle) > 0
        if isReceiving || isRestLeft || !isReady { return bodyProgressed() }
        setDeadline(inMilliseconds: nil)
    }

    private func send(_ answer: Answer) {
        let session = connection.session
        var body = ByteBuffer()
        worker.withOutput { output in
            answer.writeHead(to: &output, .isStream, date: worker.date, body: &body)
            output.withBytes { session.respond(handle, $0, isEnd: body.isEmpty) }
        }
        if !body.isEmpty {
            body.withBytes { session.write(handle, $0) }
            session.end(handle, trailers: Span())
        }
        connection.flushLater()
        settle()
    }

    /// The response was given over whole. What is left of the request is not wanted, and a client
    /// that does not take its response has a deadline for it.
    private func settle() {
        if count > 0 { held.removeAll() }
        if isClosed { return }
        setDeadline(inMilliseconds: isReceiving ? Self.lingeringMilliseconds : nil)
        isAnswered = true
        connection.watchAfterFlush()
    }

    /// What could be sent was sent. Where something is left of a response that was given over since
    /// the last time, the client has to take it in time.
    func watchOutput() {
        guard isAnswered else { return }
        isAnswered = false
        if !isClosed, connection.session.buffered(handle) > 0 { bodyProgressed() }
    }

    private func takeTimer() {
        if timer == .none, !isClosed { timer = worker.loop.addTimer(handler: self) }
    }
}
