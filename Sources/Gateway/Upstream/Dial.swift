internal import Configuration
internal import EventLoop
internal import HTTP
internal import OpenSSL
internal import Telemetry

/// A connection to an endpoint that is being opened: connecting, then the TLS handshake where the
/// endpoint speaks TLS, then, with HTTP/2, its settings, which say how many streams it takes.
///
///     connecting ──▶ handshaking ──▶ awaitingSettings ──▶ the pool takes it
///          └──────────────┴────────────────┴──▶ the pool hears why not
///
/// Nothing is tried in the clear where TLS fails.
final class Dial: EventHandler {
    private enum State {
        case connecting, handshaking
        case awaitingSettings(HTTP2Upstream)
        case ended
    }

    let endpoint: Endpoint
    /// The pool's generation as it began.
    let generation: Int
    /// The exchanges that wait for it: one, or as many as fit on a connection with streams.
    var exchanges: [Exchange] = []
    /// Whether another may wait for it: as many as one of its kind took last time.
    var hasRoom: Bool { exchanges.count < endpoint.streamLimit }

    private let pool: UpstreamPool
    private let worker: Worker
    private let transport: Transport
    private let session: TLSSession?
    private var state = State.connecting

    /// Starts connecting. The pool is told how it went. `onlyHTTP1`: HTTP/2 is not offered.
    init(
        _ endpoint: Endpoint, timeout: Int64, tls: TLSClientContext?, onlyHTTP1: Bool,
        pool: UpstreamPool, worker: Worker
    ) throws(SystemError) {
        self.endpoint = endpoint
        self.pool = pool
        self.worker = worker
        generation = pool.generation
        let socket = try Socket.connecting(to: endpoint.address)
        transport = Transport(socket, loop: worker.loop, isConnecting: true)
        if let tls {
            do throws(OpenSSLError) {
                session = try tls.makeSession(
                    descriptor: transport.descriptor, to: pool.serverName(of: endpoint),
                    resuming: endpoint.resumption, offering: onlyHTTP1 ? [.http11] : nil)
            } catch {
                throw .outOfMemory
            }
        } else {
            session = nil
        }
        try transport.register(self, isUpstream: true)
        transport.setDeadline(inMilliseconds: timeout)
    }

    func ready(_ readiness: Readiness) {
        transport.note(readiness)
        switch state {
        case .connecting: finishConnecting(readiness)
        case .handshaking: handshake()
        case .awaitingSettings, .ended: break
        }
    }

    func resume() {
        if case .handshaking = state { handshake() }
    }

    func deadlineReached() {
        fail(.connectTimeout)
    }

    /// Nobody waits for it any more.
    func cancel() {
        close()
    }

    /// The peer's settings are here: exchanges may begin.
    func settled(_ connection: HTTP2Upstream) {
        guard case .awaitingSettings = state else { return }
        state = .ended
        endpoint.connected()
        pool.opened(self, connection)
    }

    private func finishConnecting(_ readiness: Readiness) {
        guard readiness.allowsWriting || readiness.showsHangUp else { return }
        if let error = transport.finishConnecting() { return fail(.unreachable(error)) }
        if let session {
            transport.startTLS(session)
            state = .handshaking
            return handshake()
        }
        // Whoever answers before it was asked would answer the next request with it; only a server
        // that speaks HTTP/2 may begin.
        if endpoint.target.transport == .http, readiness.contains(.readable) {
            return fail(readiness.showsEnd ? .closed : .invalid(.startLine))
        }
        succeed(endpoint.target.transport == .h2c ? .http2 : .http11)
    }

    private func handshake() {
        switch transport.handshake() {
        case .waiting: break
        case .failed(let fault): fail(.tls(fault))
        case .complete: succeed(session?.applicationProtocol ?? .http11)
        }
    }

    private func succeed(_ version: ApplicationProtocol) {
        switch version {
        case .http11:
            state = .ended
            endpoint.connected()
            pool.opened(self, transport)
        case .http2:
            let connection = HTTP2Upstream(transport, for: self, pool: pool, worker: worker)
            state = .awaitingSettings(connection)
        }
    }

    /// The connection cannot be had.
    func fail(_ fault: UpstreamFault) {
        if case .ended = state { return }
        close()
        endpoint.failedToConnect(now: worker.loop.now)
        worker.counters.upstreamConnectFailures += 1
        pool.failed(self, fault)
    }

    private func close() {
        let last = state
        state = .ended
        switch last {
        case .connecting, .handshaking: transport.close()
        case .awaitingSettings(let connection): connection.close()
        case .ended: break
        }
    }
}
