internal import Bytes
internal import EventLoop
internal import HTTP
internal import Logging
internal import OpenSSL
internal import Telemetry

/// A client's connection before it is known what it speaks: its TLS handshake, and its first bytes
/// where these decide between HTTP/1.1 and HTTP/2 with prior knowledge (RFC 9113, section 3.3).
///
///     handshaking ──▶ HTTP/1.1 or HTTP/2, as ALPN says
///     sniffing    ──▶ HTTP/2 where the preface begins, else HTTP/1.1
final class Arrival: ClientConnection {
    private enum State {
        case handshaking, sniffing, ended
    }

    /// How HTTP/2's preface begins; no request of HTTP/1.1 has such a method.
    private static let prefaceStart: [UInt8] = Array("PRI ".utf8)

    var index = 0
    /// Whether it waits for its turn to go on with the handshake.
    var isInLine = false

    private let worker: Worker
    private let client: Client
    private let listener: ListenerSettings
    private let transport: Transport
    private var state: State
    /// The first bytes, where they were too few to decide.
    private var held = ByteBuffer()

    /// Takes an accepted socket over.
    init(
        _ socket: consuming Socket, client: Client, listener: ListenerSettings,
        tls: TLSServerContext?, worker: Worker
    ) throws(SystemError) {
        self.client = client
        self.worker = worker
        self.listener = listener
        transport = Transport(socket, loop: worker.loop, isConnecting: false)
        state = tls == nil ? .sniffing : .handshaking
        if let tls {
            do throws(OpenSSLError) {
                transport.startTLS(try tls.makeSession(descriptor: transport.descriptor))
            } catch {
                throw .outOfMemory
            }
        }
        try transport.register(self, isUpstream: false)
        transport.setDeadline(inMilliseconds: worker.settings.timeouts.head)
    }

    func ready(_ readiness: Readiness) {
        transport.note(readiness)
        if readiness.showsHangUp, !readiness.allowsReading { return close() }
        go()
    }

    func resume() {
        go()
    }

    /// Neither a handshake nor a first byte in time.
    func deadlineReached() {
        close()
    }

    /// A request that was on its way already is still taken. A handshake goes on, so that its
    /// client learns of the end in an answer and not by a reset.
    func drain() {
        guard state == .sniffing else { return }
        sniff(evenIfQuiet: true)
        if state == .sniffing, held.isEmpty { close() }
    }

    func abort() {
        close()
    }

    private func go() {
        switch state {
        case .handshaking: handshake()
        case .sniffing: sniff()
        case .ended: break
        }
    }

    private func handshake() {
        // A handshake costs as much as dozens of requests: they take turns.
        guard worker.handshakes.mayStep(self) else { return }
        switch transport.handshake() {
        case .waiting: break
        case .failed(let fault):
            worker.counters.handshakeFailures &+= 1
            worker.logger.debug(
                "handshake failed", metadata: ["reason": "\(fault)"])
            close()
        case .complete:
            worker.counters.handshakes &+= 1
            if let session = transport.session {
                client.take(session, listener)
                begin(session.applicationProtocol)
            }
        }
    }

    /// Who does not speak ALPN speaks HTTP/1.1 (RFC 9113, section 3.2).
    private func begin(_ chosen: ApplicationProtocol?) {
        if let chosen { return settle(chosen, Span()) }
        listener.speaksHTTP1 ? settle(.http11, Span()) : close()
    }

    /// Looks at the first bytes. `evenIfQuiet`: even where the loop has told of none.
    private func sniff(evenIfQuiet: Bool = false) {
        if !listener.speaksHTTP2 { return settle(.http11, Span()) }
        if !listener.speaksHTTP1 { return settle(.http2, Span()) }
        guard transport.isReadable || evenIfQuiet else { return }
        switch transport.receive({ sniff($0) }) {
        case .bytes:
            // The end that came with them is told only once.
            if state == .sniffing, transport.isReadable { transport.resumeLater() }
        case .wouldBlock: break
        case .endOfStream, .failed: close()
        }
    }

    private func sniff(_ bytes: Span<UInt8>) {
        if held.isEmpty, let version = Arrival.version(bytes) { return settle(version, bytes) }
        held.append(bytes)
        guard let version = held.withBytes({ Arrival.version($0) }) else { return }
        var first = ByteBuffer()
        swap(&first, &held)
        first.withBytes { settle(version, $0) }
    }

    /// What the first bytes show; nil where more are needed.
    private static func version(_ bytes: Span<UInt8>) -> ApplicationProtocol? {
        for index in 0..<min(bytes.count, prefaceStart.count)
        where bytes[index] != prefaceStart[index] {
            return .http11
        }
        return bytes.count < prefaceStart.count ? nil : .http2
    }

    private func settle(_ version: ApplicationProtocol, _ bytes: Span<UInt8>) {
        state = .ended
        switch version {
        case .http11:
            let connection = HTTP1Downstream(transport, client: client, worker: worker)
            take(over: connection)
            if !bytes.isEmpty {
                connection.begin(with: bytes)
            } else if worker.isDraining {
                connection.drain()
            }
        case .http2:
            let connection = HTTP2Downstream(transport, client: client, worker: worker)
            take(over: connection)
            connection.begin(with: bytes)
            if worker.isDraining { connection.drain() }
        }
        // Outside of this call, which may be lending the receive buffer.
        transport.resumeLater()
    }

    private func take(over connection: some ClientConnection) {
        connection.index = index
        worker.replace(self, by: connection)
        transport.handOver(to: connection)
    }

    private func close() {
        guard state != .ended else { return }
        state = .ended
        transport.close()
        worker.forget(self)
    }
}
