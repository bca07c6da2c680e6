/// What an exchange tells the client's connection.
extension HTTP1Downstream {
    /// Whether bytes may be made for the client.
    var isReady: Bool { !transport.isCongested }

    /// Whether the client understands interim responses and chunks (HTTP/1.1).
    var speaksHTTP11: Bool { clientVersion == 1 }

    /// The client was told to send its body.
    func continued() {
        awaitsContinue = false
    }

    /// Part of a response or tunnel was sent. A client that takes it slowly has `timeouts.body` to
    /// take something; one that is still sending is not silent as long as its response moves.
    func responseProgressed() {
        if !isReady || state == .receivingBody { bodyProgressed() }
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
