internal import Bytes
internal import HTTP

/// What an exchange tells the client's connection.
extension HTTP1Downstream {
    /// Whether bytes may be made for the client.
    var isReady: Bool { !transport.isCongested }

    /// Whether the client understands interim responses and chunks (HTTP/1.1).
    var speaksHTTP11: Bool { clientVersion == 1 }

    /// Passes on an interim response, which HTTP/1.0 does not know.
    func sendInterim(_ head: ResponseHead, _ bytes: Span<UInt8>) {
        guard speaksHTTP11 else { return }
        // The client was told to send its body.
        if head.status == 100 { awaitsContinue = false }
        worker.withOutput { output in
            ResponseHeadWriter.writeInterim(head, bytes, to: &output)
            transport.send(output)
        }
    }

    /// Writes the response's head to `output`, and says how the body goes behind it.
    func respond(
        _ head: ResponseHead, _ bytes: Span<UInt8>, _ framing: BodyFraming, edits: FieldEdits,
        output: inout ByteBuffer
    ) -> BodyTarget {
        let isOpenEnded = framing == .chunked || framing == .untilClose
        if isOpenEnded, !speaksHTTP11 { keepsAlive = false }
        let isChunked = isOpenEnded && speaksHTTP11
        ResponseHeadWriter.write(
            head, bytes, edits: edits, isChunked: isChunked, worker, to: &output)
        // A response of HTTP/2 need not say that it is empty.
        if framing == .length(0) { output.append("Content-Length: 0\r\n") }
        if announcesClose {
            // Said is said, even if the request's body turns out whole before the response does.
            keepsAlive = false
            output.append("Connection: close\r\n")
        } else if !speaksHTTP11 {
            output.append("Connection: keep-alive\r\n")
        }
        output.append("\r\n")
        return isChunked ? .chunked(transport) : .identity(transport)
    }

    /// Part of a response or tunnel was sent. A client that takes it slowly has `timeouts.body` to
    /// take something; one that is still sending is not silent as long as its response moves.
    func responseProgressed() {
        if !isReady || state == .receivingBody { bodyProgressed() }
        noticeBrokenTransport()
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
        noticeBrokenTransport()
        switch state {
        case .awaitingResponse where keepsAlive && !transport.isBroken: awaitNextRequest()
        case .receivingBody where keepsAlive && isRestOfBodyShort: discardRest()
        default: closeAfterFlush()
        }
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
        transport.endWriting()
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

    /// A server that shuts down wants no further request. One that was on its way already is still
    /// taken.
    func drain() {
        if isIdle { pump(evenIfQuiet: true) }
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
}
