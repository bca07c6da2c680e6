internal import Bytes
internal import EventLoop
internal import HTTP

/// How a request is refused, and how a connection goes on or ends behind a response.
extension HTTP1Downstream {
    /// Bytes of a refused request's body that are read to keep the connection.
    private static let maxDiscarded: Int64 = 65536
    /// Bytes and time given to a client to end its side.
    private static let maxLingeringBytes = 1 << 20
    private static let lingeringMilliseconds: Int64 = 2000

    /// Refuses what is no request: the answer, then the end.
    func refuse(_ failure: Failure) {
        keepsAlive = false
        let answer = worker.admission.refusal(failure, client: client)
        send(answer)
        worker.finish(answer.record, upstream: nil)
        input.removeAll()
        closeAfterFlush()
    }

    /// Refuses a request whose head was read.
    func refuse(_ answer: Answer, framing: BodyFraming) {
        state = framing == .none ? .awaitingResponse : .receivingBody
        if announcesClose || answer.failure.isAboutFraming { keepsAlive = false }
        send(answer)
        worker.finish(answer.record, upstream: nil)
        settleRefused()
    }

    func send(_ answer: Answer) {
        worker.withOutput { output in
            let next: Answer.Next =
                announcesClose ? .ends : speaksHTTP11 ? .stays : .keepsAlive
            answer.write(to: &output, next, date: worker.date)
            transport.send(output)
        }
        noticeBrokenTransport()
    }

    func settleRefused() {
        switch state {
        case .awaitingResponse where keepsAlive: awaitNextRequest()
        case .receivingBody where keepsAlive: discardRest()
        default: closeAfterFlush()
        }
    }

    /// Whether reading on to the end of the body costs less than a new connection. A client that
    /// waits for 100 (Continue) may or may not send its body now, so there nothing can be read
    /// past.
    var isRestOfBodyShort: Bool {
        !awaitsContinue && (relay.remainingLength ?? 0) <= Self.maxDiscarded
    }

    func discardRest() {
        state = .discardingBody
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.body)
        relay.beginDiscarding()
        transport.resumeLater()
    }

    func discard(_ bytes: Span<UInt8>, from start: Int) -> Int {
        guard let end = relay.discard(bytes, from: start, max: Self.maxDiscarded)
        else {
            closeAfterFlush()
            return bytes.count
        }
        if relay.isComplete { awaitNextRequest() }
        return end
    }

    func awaitNextRequest() {
        state = .awaitingHead
        relay = .none
        if hasSeenEnd, input.isEmpty { return closeAfterFlush() }
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.idle)
        if !input.isEmpty || transport.isReadable { transport.resumeLater() }
    }

    func closeAfterFlush() {
        guard state != .closed else { return }
        state = .awaitingHead
        relay = .none
        closesWhenFlushed = true
        if transport.isFlushed { return finishClosing() }
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.body)
    }

    /// Everything was written. Where the client may still be sending, closing now would reset it.
    func finishClosing() {
        if hasSeenEnd || transport.isBroken { return close() }
        transport.endWriting()
        state = .lingering
        closesWhenFlushed = false
        input.removeAll()
        transport.setDeadline(inMilliseconds: Self.lingeringMilliseconds)
        if transport.isReadable { transport.resumeLater() }
    }

    func linger(_ bytes: Span<UInt8>) -> Int {
        lingeringBytes += bytes.count
        if lingeringBytes > Self.maxLingeringBytes { close() }
        return bytes.count
    }

    func outputMoved(_ hasMoved: Bool) {
        // A verdict's deadline stands, however the last response is being taken.
        guard hasMoved, state != .awaitingVerdict else { return }
        if !transport.isFlushed { return bodyProgressed() }
        if closesWhenFlushed { return finishClosing() }
        if let exchange {
            if state == .awaitingResponse || state == .tunnel { transport.setDeadline(nil) }
            exchange.downstreamTookBytes()
        } else if state == .awaitingHead {
            if worker.isDraining, input.isEmpty { return closeAfterFlush() }
            transport.setDeadline(inMilliseconds: worker.settings.timeouts.idle)
            if !input.isEmpty { transport.resumeLater() }
        }
    }

    func endOfStream() {
        hasSeenEnd = true
        switch state {
        case .awaitingHead:
            if closesWhenFlushed { return }
            // What is held may be a whole request whose turn is about to come.
            if input.isEmpty { close() } else { transport.resumeLater() }
        case .receivingBody: abort()
        // A client may end its direction and still read the responses.
        case .awaitingResponse, .awaitingVerdict: break
        case .tunnel: exchange?.downstreamEndedTunnel()
        case .discardingBody, .lingering: close()
        case .closed: break
        }
    }

    /// Closes at once. The exchange, if there is one, was told by the caller.
    func close(withReset: Bool = false) {
        guard state != .closed else { return }
        state = .closed
        exchange = nil
        if let pending {
            self.pending = nil
            worker.admission.abandon(pending)
        }
        transport.close(withReset: withReset)
        input.removeAll()
        worker.forget(self)
    }
}
