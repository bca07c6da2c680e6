internal import Bytes
internal import EventLoop
internal import JWT
internal import Keys
internal import OpenSSL

/// What to fetch, and within which bounds.
struct KeyFetchRequest {
    var url: FetchURL
    /// The tag of what is known already.
    var etag: String?
    /// Over all: look-up, connecting, handshake, redirects, body.
    let timeoutMilliseconds: Int64
    /// Whether `http` may leave this machine.
    let allowsPlainHTTP: Bool
    var maxBytes = JWKSet.maxBytes
}

/// How a fetch ended.
enum KeyFetchOutcome: Equatable, Sendable {
    /// A 200's body, its tag, and the milliseconds it asks to be believed for, if it does.
    case body([UInt8], etag: String?, freshFor: Int64?)
    /// What the tag stands for is still the latest.
    case notModified(freshFor: Int64?)
    case failed(KeyFault)
}

/// What fetches share: the control thread's loop and its name look-ups.
struct KeyFetchMeans {
    let loop: EventLoop
    let names: NameLookup
}

/// One GET of a document about keys, over a connection of its own.
///
///     starting ─▶ resolving ─▶ connecting ─▶ handshaking ─▶ reading ─▶ ended
///                                 ▲  │ next address             │
///                                 │  └──────────────────────────│──▶ ended
///                                 └──────── redirected ─────────┘
///
/// Several addresses are tried in turn, each for its share of the time that is left. Nothing is
/// tried in the clear where TLS fails. The end is told once, in a turn of the loop, never from
/// within `init` or `cancel`.
final class KeyFetch: EventHandler {
    private enum State {
        case starting
        case resolving(NameLookup.Ticket)
        case connecting(Transport, TLSSession?)
        case handshaking(Transport)
        case reading(Transport)
        case ended
    }

    /// Reads in one turn at most.
    private static let readsPerTurn = 4
    /// Redirects followed, all within the origin that was configured.
    private static let maxRedirects = 3
    /// Addresses of a name that are tried, so that each has a share of the time that is of use.
    private static let maxAddresses = 8

    private let means: KeyFetchMeans
    private let tls: TLSClientContext?
    private var request: KeyFetchRequest
    private var onEnd: ((KeyFetchOutcome) -> Void)?
    private let deadline: Instant
    private var timer = Registration.none
    private var state = State.starting
    private var addresses: [SocketAddress] = []
    private var nextAddress = 0
    private var redirectCount = 0
    private var reader: KeyResponseReader
    /// Why no address could be used so far.
    private var connectFault: KeyFault?

    /// Starts. `tls`: what an `https` server has to prove.
    init(
        _ request: KeyFetchRequest, tls: TLSClientContext?, means: KeyFetchMeans,
        onEnd: @escaping (KeyFetchOutcome) -> Void
    ) {
        self.request = request
        self.request.etag = request.etag.flatMap(KeyResponseReader.entityTag)
        self.tls = tls
        self.means = means
        self.onEnd = onEnd
        deadline = Instant.now.advanced(byMilliseconds: request.timeoutMilliseconds)
        reader = KeyResponseReader(maxBytes: request.maxBytes)
        timer = means.loop.addTimer(handler: self)
        means.loop.setDeadline(timer, deadline)
        means.loop.resumeLater(timer)
    }

    /// Ends at once. Nobody is told.
    func cancel() {
        onEnd = nil
        close()
    }

    // MARK: The loop's side

    func ready(_ readiness: Readiness) {
        guard let transport else { return }
        transport.note(readiness)
        switch state {
        case .connecting: finishConnecting(readiness)
        case .handshaking: handshake()
        case .reading:
            if readiness.allowsWriting { _ = transport.flush() }
            read()
        case .starting, .resolving, .ended: break
        }
    }

    func resume() {
        switch state {
        case .starting: start()
        case .handshaking: handshake()
        case .reading: read()
        case .resolving, .connecting, .ended: break
        }
    }

    /// One address had its share of the time, or all of it is over.
    func deadlineReached() {
        let isOver = Instant.now >= deadline
        switch state {
        case .connecting, .handshaking:
            if isOver { nextAddress = addresses.count }
            tryNext(after: .timeout)
        case .starting, .resolving, .reading:
            if isOver { return end(.failed(.timeout)) }
            means.loop.setDeadline(timer, deadline)
        case .ended: break
        }
    }

    // MARK: Towards a connection

    private func start() {
        let url = request.url
        guard url.isSecure || url.isLoopback || request.allowsPlainHTTP else {
            return end(.failed(.plainHTTP))
        }
        if let fixed = NameLookup.fixedAddresses(of: url.host, port: url.port) {
            return connect(to: fixed)
        }
        do throws(SystemError) {
            let ticket = try means.names.ask(url.host, port: url.port) { [weak self] in
                self?.resolved($0)
            }
            state = .resolving(ticket)
        } catch {
            end(.failed(.unresolved))
        }
    }

    private func resolved(_ answer: Result<[SocketAddress], SystemError>) {
        switch answer {
        case .success(let addresses): connect(to: addresses)
        case .failure: end(.failed(.unresolved))
        }
    }

    private func connect(to addresses: [SocketAddress]) {
        self.addresses = Array(addresses.prefix(KeyFetch.maxAddresses))
        tryNext(after: nil)
    }

    /// Tries the next address that can be tried. `fault`: why the last was of no use.
    private func tryNext(after fault: KeyFault?) {
        transport?.close()
        note(fault)
        while nextAddress < addresses.count {
            nextAddress += 1
            do throws(KeyFault) {
                return try connect(to: addresses[nextAddress - 1])
            } catch {
                note(error)
            }
        }
        end(.failed(connectFault ?? .unresolved))
    }

    /// What an operator can mend is said rather than what may pass.
    private func note(_ fault: KeyFault?) {
        if case .tls = connectFault { return }
        if let fault { connectFault = fault }
    }

    private func connect(to address: SocketAddress) throws(KeyFault) {
        do throws(SystemError) {
            let socket = try Socket.connecting(to: address)
            let transport = Transport(socket, loop: means.loop, isConnecting: true)
            state = .connecting(transport, try session(over: transport))
            try transport.register(self, isUpstream: true)
        } catch {
            transport?.close()
            throw .unreachable
        }
        let left = deadline.milliseconds(since: Instant.now)
        let share = left / Int64(1 + addresses.count - nextAddress)
        means.loop.setDeadline(timer, min(deadline, Instant.now.advanced(byMilliseconds: share)))
    }

    private func session(over transport: Transport) throws(SystemError) -> TLSSession? {
        guard request.url.isSecure else { return nil }
        do throws(OpenSSLError) {
            guard let tls else { throw OpenSSLError.refused }
            return try tls.makeSession(
                descriptor: transport.descriptor, to: TLSServerName(request.url.host),
                offering: [.http11])
        } catch {
            transport.close()
            throw .outOfMemory
        }
    }

    private func finishConnecting(_ readiness: Readiness) {
        guard case .connecting(let transport, let session) = state,
            readiness.allowsWriting || readiness.showsHangUp
        else { return }
        if transport.finishConnecting() != nil { return tryNext(after: .unreachable) }
        if let session {
            transport.startTLS(session)
            state = .handshaking(transport)
            return handshake()
        }
        // Whoever answers before it was asked does not answer us.
        if readiness.contains(.readable) {
            return tryNext(after: readiness.showsEnd ? .cutShort : .malformed)
        }
        ask(over: transport)
    }

    private func handshake() {
        guard case .handshaking(let transport) = state else { return }
        switch transport.handshake() {
        case .waiting: break
        case .failed(let fault): tryNext(after: .tls(fault.description))
        case .complete: ask(over: transport)
        }
    }

    // MARK: The exchange

    private func ask(over transport: Transport) {
        state = .reading(transport)
        means.loop.setDeadline(timer, deadline)
        reader = KeyResponseReader(maxBytes: request.maxBytes)
        transport.send(request.head)
        read()
    }

    private func read() {
        guard case .reading(let transport) = state else { return }
        var reads = 0
        while transport.isReadable {
            guard reads < KeyFetch.readsPerTurn else { return transport.resumeLater() }
            reads += 1
            do throws(KeyFault) {
                guard let response = try receive(transport) else { continue }
                return take(response)
            } catch {
                return end(.failed(error))
            }
        }
        if transport.isBroken { end(.failed(lost(transport))) }
    }

    private func receive(_ transport: Transport) throws(KeyFault) -> KeyResponse? {
        var result: Result<KeyResponse?, KeyFault> = .success(nil)
        let outcome = transport.receive { bytes in
            do throws(KeyFault) {
                result = .success(try reader.read(bytes))
            } catch {
                result = .failure(error)
            }
        }
        switch outcome {
        case .bytes, .wouldBlock: return try result.get()
        case .endOfStream: return try reader.end()
        case .failed: throw lost(transport)
        }
    }

    private func lost(_ transport: Transport) -> KeyFault {
        transport.fault.map { KeyFault.tls($0.description) } ?? .cutShort
    }

    private func take(_ response: KeyResponse) {
        if response.isRedirect { return follow(response) }
        let freshFor = response.freshness.lifetime(unixSeconds: Instant.unixMilliseconds / 1000)
        switch response.status {
        case 200:
            let etag = redirectCount == 0 ? response.etag : nil
            end(.body(response.body, etag: etag, freshFor: freshFor))
        case 304 where request.etag != nil: end(.notModified(freshFor: freshFor))
        default: end(.failed(.status(response.status)))
        }
    }

    /// Within the same origin only: whose word counts was configured.
    private func follow(_ response: KeyResponse) {
        redirectCount += 1
        guard redirectCount <= KeyFetch.maxRedirects else {
            return end(.failed(.tooManyRedirects))
        }
        guard let url = response.location.flatMap({ request.url.resolving($0) }) else {
            return end(.failed(.redirectElsewhere))
        }
        guard url.hasSameOrigin(as: request.url) else { return end(.failed(.redirectElsewhere)) }
        request.url = url
        // Where a redirect leads may change, and a tag means nothing elsewhere.
        request.etag = nil
        // The address that served this once will do so again.
        nextAddress -= 1
        connectFault = nil
        tryNext(after: nil)
    }

    // MARK: The end

    private var transport: Transport? {
        switch state {
        case .connecting(let transport, _), .handshaking(let transport), .reading(let transport):
            transport
        case .starting, .resolving, .ended: nil
        }
    }

    private func end(_ outcome: KeyFetchOutcome) {
        let tell = onEnd
        onEnd = nil
        close()
        tell?(outcome)
    }

    private func close() {
        if case .resolving(let ticket) = state { means.names.forget(ticket) }
        transport?.close()
        state = .ended
        means.loop.forget(timer)
        timer = .none
    }
}

extension KeyFetchRequest {
    /// The request as it is sent (RFC 9112, section 2.1). Everything in it was checked: a URL and a
    /// tag are visible ASCII.
    var head: ByteBuffer {
        var head = ByteBuffer(capacity: 512)
        head.append("GET \(url.target) HTTP/1.1\r\nHost: \(url.authority)\r\n")
        head.append("User-Agent: bearward/\(Product.version)\r\n")
        head.append("Accept: application/json, application/jwk-set+json, */*;q=0.1\r\n")
        head.append("Accept-Encoding: identity\r\nConnection: close\r\n")
        if let etag { head.append("If-None-Match: \(etag)\r\n") }
        head.append("\r\n")
        return head
    }
}
