internal import Bytes
internal import EventLoop
internal import HTTP
internal import HTTP2

/// One request on a connection with streams, and its response.
final class HTTP2UpstreamStream: EventHandler {
    let connection: HTTP2Upstream
    /// Whether the connection served an exchange before this one.
    let isReused: Bool
    /// Whether any part of the response came.
    private(set) var hasResponded = false

    private let worker: Worker
    private var handle: HTTP2StreamHandle?
    /// The connection had no place for it after all.
    private var isHomeless = false
    private var exchange: Exchange?
    private var timer = Registration.none
    private var isRequestComplete = false
    /// Whether the head of the final response came.
    private var hasHead = false
    /// Bytes of the response's body that wait for the client.
    private var held = ByteBuffer()
    private var isEndHeld = false
    private var trailers = ByteBuffer()
    /// What was composed for a client of HTTP/1 and not sent yet.
    private var output = ByteBuffer()
    private var isTouched = false
    private var count: Int64 = 0
    private var length = BodyLength(.none)

    init(_ connection: HTTP2Upstream) {
        self.connection = connection
        isReused = connection.isReused
        worker = connection.worker
    }

    // MARK: The exchange's side

    /// Sends a request's head. `isComplete`: no body follows.
    func begin(_ exchange: Exchange, head: borrowing ByteBuffer, isComplete: Bool) {
        self.exchange = exchange
        timer = worker.loop.addTimer(handler: self)
        handle = head.withBytes { connection.request($0, isEnd: isComplete, for: self) }
        if handle == nil {
            isHomeless = true
            // In a turn of its own: the exchange has not heard yet that it began.
            worker.loop.resumeLater(timer)
        } else if isComplete {
            requestEnded()
        }
    }

    /// Whether body bytes may be made for it.
    var isReady: Bool {
        guard let handle else { return false }
        return !connection.session.isCongested(handle)
    }

    /// Where the request's body goes.
    var bodyTarget: BodyTarget {
        guard let handle else { return .nowhere }
        return .stream(connection, handle)
    }

    /// The whole request was given over: from now on the upstream owes a response.
    func requestEnded() {
        isRequestComplete = true
        if !hasHead { setDeadline(exchange?.timeouts.response) }
    }

    /// The client takes bytes again.
    func resumeReading() {
        if !held.isEmpty || isEndHeld { worker.loop.resumeLater(timer) }
    }

    /// Ends the stream in the middle of an exchange that goes on without it.
    func abandon() {
        exchange = nil
        reset(.cancel)
    }

    // MARK: The loop's side

    func ready(_ readiness: Readiness) {}

    func resume() {
        if isHomeless { return fail(.refused) }
        guard let exchange, exchange.isDownstreamReady else { return }
        // It is flushed below, not when the connection is read next.
        isTouched = true
        if !held.isEmpty {
            var bytes = ByteBuffer()
            swap(&bytes, &held)
            bytes.withBytes { forward($0, to: exchange) }
        }
        if isEndHeld, self.exchange != nil { finish(exchange) } else { flushOutput() }
    }

    func deadlineReached() {
        connection.doubt()
        fail(hasHead ? .streamSilent : .responseTimeout)
    }

    // MARK: From the upstream

    func receivedHead(_ bytes: Span<UInt8>, lines: Span<FieldLine>, isEnd: Bool) {
        guard let exchange else { return }
        hasResponded = true
        let head = worker.responseHead
        do throws(MessageError) {
            guard try head.parse(bytes, lines: lines) else { throw .startLine }
        } catch {
            return fail(.invalid(error))
        }
        if head.status == 101 { return fail(.unexpectedUpgrade) }
        if head.isInterim { return exchange.interimResponse(head, bytes) }
        hasHead = true
        let framing = framing(head, exchange, isEnd: isEnd)
        length = BodyLength(framing)
        if isEnd, !length.isWhole { return fail(.invalid(.contentLength)) }
        exchange.responseTarget = exchange.respond(head, bytes, framing, output: &output)
        if isEnd { return finish(exchange) }
        setDeadline(exchange.timeouts.stream)
        touch()
    }

    func received(_ bytes: Span<UInt8>) {
        guard let exchange else { return }
        guard length.take(bytes.count) else { return fail(.invalid(.contentLength)) }
        if held.isEmpty, exchange.isDownstreamReady {
            forward(bytes, to: exchange)
        } else {
            held.append(bytes)
        }
        setDeadline(exchange.timeouts.stream)
    }

    func receivedTrailers(_ lines: Span<UInt8>) {
        do throws(MessageError) {
            try TrailerSection.appendForwardable(
                lines, maxFields: HTTP1Upstream.maxFields, to: &trailers,
                isRemoved: { _ in false })
        } catch {
            return fail(.invalid(error))
        }
        receivedEnd()
    }

    func receivedEnd() {
        guard let exchange else { return }
        guard length.isWhole else { return fail(.invalid(.contentLength)) }
        if held.isEmpty { return finish(exchange) }
        isEndHeld = true
        // Nothing is owed any more; how slow the client may be is the client's deadline.
        worker.loop.setDeadline(timer, nil)
    }

    /// The upstream takes bytes of the request again.
    func tookBytes() {
        exchange?.upstreamTookBytes()
    }

    /// The stream is gone. An exchange that is not complete failed with it.
    func closed(_ fault: UpstreamFault) {
        handle = nil
        // All that came is there, and goes on to the client as it takes it.
        if isEndHeld { return }
        flushOutput()
        worker.loop.forget(timer)
        timer = .none
        let failed = exchange
        exchange = nil
        failed?.upstreamFailed(fault, from: .http2(self))
    }

    /// Ends the stream for a fault of the response, or for its silence.
    func fail(_ fault: UpstreamFault) {
        let failed = exchange
        exchange = nil
        reset(.cancel)
        failed?.upstreamFailed(fault, from: .http2(self))
    }

    /// Sends what was composed for the client.
    func flushOutput() {
        isTouched = false
        guard !output.isEmpty, let exchange else { return }
        exchange.responseTarget.send(output)
        output.removeAll()
        exchange.responseProgressed(count)
    }

    // MARK: Parts

    private func framing(
        _ head: ResponseHead, _ exchange: Exchange, isEnd: Bool
    ) -> BodyFraming {
        let framing = head.framing(toHead: exchange.isHeadRequest)
        guard framing == .untilClose else { return framing }
        // Known to be empty, without a word about it.
        return isEnd ? .length(0) : .chunked
    }

    private func forward(_ bytes: Span<UInt8>, to exchange: Exchange) {
        count &+= Int64(bytes.count)
        exchange.responseTarget.append(bytes, gatheringIn: &output)
        if let handle { connection.session.consume(handle, bytes.count) }
        connection.flushLater()
        if output.isEmpty { exchange.responseProgressed(count) } else { touch() }
    }

    private func touch() {
        guard !output.isEmpty, !isTouched else { return }
        isTouched = true
        connection.flushLater(self)
    }

    /// The response is whole.
    private func finish(_ exchange: Exchange) {
        let target = exchange.responseTarget
        trailers.withBytes { target.end(trailers: $0, gatheringIn: &output) }
        target.send(output)
        output.removeAll()
        self.exchange = nil
        worker.loop.forget(timer)
        timer = .none
        connection.succeeded()
        // The rest of a request that was answered early is not sent.
        if !isRequestComplete { reset(.noError) }
        exchange.responseEnded(count)
    }

    private func reset(_ code: HTTP2ErrorCode) {
        worker.loop.forget(timer)
        timer = .none
        held.removeAll()
        if isHomeless {
            isHomeless = false
            connection.release()
        }
        if let handle { connection.reset(handle, code) }
    }

    private func setDeadline(_ milliseconds: Int64?) {
        worker.loop.setDeadline(timer, inMilliseconds: milliseconds ?? 0)
    }
}
