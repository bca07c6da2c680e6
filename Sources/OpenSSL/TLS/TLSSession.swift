internal import COpenSSL

/// One TLS connection over a non-blocking socket. Confined to one thread; the socket stays its
/// owner's, and must stay open for as long as this lives.
///
/// After `handshake()` gave `complete`, read at once: the peer's first bytes may have come with its
/// last message, and no readiness tells of them.
@safe
package final class TLSSession {
    /// How far the handshake got.
    package enum HandshakeOutcome: Equatable {
        case complete
        case wantsRead
        case wantsWrite
        /// The peer sent much in one go; call again after others had their turn.
        case budgetSpent
        case failed(TLSFault)
    }

    /// What reading gave.
    package enum ReadOutcome: Equatable {
        /// So many bytes. `isDrained`: nothing more is there before the socket turns readable
        /// again.
        case bytes(Int, isDrained: Bool)
        case wouldBlock
        /// The peer sent much that was no data; call again after others had their turn.
        case budgetSpent
        /// The peer said that it has sent everything.
        case endOfStream
        /// The connection ended without that: what came may be cut short.
        case truncated
        case failed(TLSFault)
    }

    /// What writing did.
    package enum WriteOutcome: Equatable {
        /// So many bytes; if not all, the socket is full.
        case wrote(Int)
        case failed(TLSFault)
    }

    private let ssl: OpaquePointer
    private let stream: TLSStream
    /// The context whose records the callbacks read.
    private let owner: AnyObject
    /// Set on the client's side.
    private let client: (context: TLSClientContext, name: TLSServerName)?
    private var state = State()

    private struct State {
        /// What reading met after bytes that were handed out first.
        var ending: ReadOutcome?
        var hasFailed = false
        var isWriteBlocked = false
        var readWantsWrite = false
    }

    init(
        owning ssl: OpaquePointer, _ stream: consuming TLSStream, keeping owner: AnyObject,
        client: (context: TLSClientContext, name: TLSServerName)? = nil
    ) {
        unsafe self.ssl = unsafe ssl
        self.stream = stream
        self.owner = owner
        self.client = client
    }

    deinit {
        unsafe copenssl_close(ssl, stream.pointer)
    }

    /// Whether reading waits for the socket to turn writable (a key update is to be answered).
    package var readWantsWrite: Bool { state.readWantsWrite }

    /// Says that the socket showed the peer's end: from now on a short receive does not mean that
    /// nothing is left, since no readiness will tell of the end again.
    package func noteEndComing() {
        unsafe stream.pointer.pointee.flags |= UInt32(COPENSSL_MAY_END)
    }

    /// Takes the handshake as far as it goes.
    package func handshake() -> HandshakeOutcome {
        if state.hasFailed { return .failed(.closed) }
        switch unsafe copenssl_handshake(ssl, stream.pointer) {
        case COPENSSL_DONE: return .complete
        case COPENSSL_WANTS_READ: return .wantsRead
        case COPENSSL_WANTS_WRITE: return .wantsWrite
        case COPENSSL_BUDGET_SPENT: return .budgetSpent
        case let outcome:
            let met = fault(outcome)
            state.ending = .failed(.closed)
            return .failed(met)
        }
    }

    /// Reads until the buffer is full, the socket drained or the call's budget spent.
    package func read(into buffer: inout MutableSpan<UInt8>) -> ReadOutcome {
        if let ending = state.ending { return ending }
        if state.readWantsWrite { state.readWantsWrite = false }
        var count = 0
        let outcome = unsafe buffer.withUnsafeMutableBufferPointer { target in
            unsafe copenssl_read(ssl, stream.pointer, target.baseAddress, target.count, &count)
        }
        switch outcome {
        case COPENSSL_DONE: return .bytes(count, isDrained: false)
        case COPENSSL_WANTS_READ: return count > 0 ? .bytes(count, isDrained: true) : .wouldBlock
        default: return rarely(outcome, count)
        }
    }

    /// Writes until the socket takes no more. What was not written is given again, at the beginning
    /// of the next call and not cut shorter: OpenSSL holds a part of it, sealed. `moreFollows`: the
    /// caller goes on at once, so the kernel may wait with a short segment.
    package func write(_ bytes: Span<UInt8>, moreFollows: Bool = false) -> WriteOutcome {
        if state.hasFailed { return .failed(.closed) }
        var count = 0
        let outcome = unsafe bytes.withUnsafeBufferPointer { source in
            unsafe copenssl_write(
                ssl, stream.pointer, source.baseAddress, source.count, moreFollows ? 1 : 0, &count)
        }
        switch outcome {
        case COPENSSL_DONE:
            if state.isWriteBlocked { state.isWriteBlocked = false }
            return .wrote(count)
        case COPENSSL_WANTS_WRITE, COPENSSL_WANTS_READ:
            state.isWriteBlocked = true
            return .wrote(count)
        default: return .failed(fault(outcome))
        }
    }

    /// Says that nothing more will be sent, if the socket takes it now; then shut the socket down.
    package func endWriting() {
        guard !state.hasFailed, !state.isWriteBlocked else { return }
        unsafe copenssl_end(ssl, stream.pointer)
    }

    private func rarely(_ outcome: copenssl_outcome, _ count: Int) -> ReadOutcome {
        state.readWantsWrite = outcome == COPENSSL_WANTS_WRITE
        let met: ReadOutcome
        switch outcome {
        case COPENSSL_WANTS_WRITE:
            return count > 0 ? .bytes(count, isDrained: true) : .wouldBlock
        case COPENSSL_BUDGET_SPENT:
            return count > 0 ? .bytes(count, isDrained: false) : .budgetSpent
        case COPENSSL_CLOSE_NOTIFY: met = .endOfStream
        case COPENSSL_TRUNCATED: met = .truncated
        default: met = .failed(fault(outcome))
        }
        state.ending = met
        return count > 0 ? .bytes(count, isDrained: false) : met
    }

    /// Words a failure and empties the error queue, so that no other session takes it for its own.
    private func fault(_ outcome: copenssl_outcome) -> TLSFault {
        state.hasFailed = true
        defer { ERR_clear_error() }
        switch outcome {
        case COPENSSL_SYSTEM: return .system(unsafe stream.pointer.pointee.system_error)
        case COPENSSL_TRUNCATED, COPENSSL_CLOSE_NOTIFY: return .closed
        case COPENSSL_FLOODED: return .protocol("too many records without data")
        default: return unsafe .last(of: ssl)
        }
    }
}

extension TLSSession {
    /// What ALPN agreed on.
    package var applicationProtocol: ApplicationProtocol? {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name = unsafe name else { return nil }
        // OpenSSL's memory, for as long as the session lives.
        let chosen = unsafe UnsafeBufferPointer(start: name, count: Int(count))
        for known in [ApplicationProtocol.http2, .http11]
        where unsafe chosen.elementsEqual(known.name.utf8) { return known }
        return nil
    }

    /// Whether the handshake was a short one.
    package var isResumed: Bool { unsafe SSL_session_reused(ssl) == 1 }

    /// The version agreed on.
    package var version: TLSVersion { unsafe SSL_version(ssl) >= TLS1_3_VERSION ? .tls13 : .tls12 }

    /// What the peer showed of itself, verified unless the context believes anybody. Made at each
    /// call: ask once.
    package var peerCertificate: TLSPeerCertificate? {
        guard let certificate = unsafe SSL_get0_peer_certificate(ssl) else { return nil }
        return unsafe TLSPeerCertificate(certificate)
    }

    /// On the client's side: what the server gave last to resume the session with, once.
    package func takeResumption() -> TLSResumption? {
        guard let client, let session = unsafe stream.pointer.pointee.session else { return nil }
        unsafe stream.pointer.pointee.session = nil
        return unsafe TLSResumption(owning: session, client.name, client.context)
    }
}
