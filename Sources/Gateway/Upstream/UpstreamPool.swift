internal import Configuration
internal import EventLoop
internal import OpenSSL
internal import Telemetry

/// One worker's connections to one upstream: which endpoint comes next, which connection is free,
/// and who waits for one.
///
/// A connection of HTTP/1.1 carries one exchange at a time and rests between them; one of HTTP/2
/// carries as many as the upstream allows, and another is opened when it is full.
final class UpstreamPool {
    /// What became of asking for a connection.
    enum Acquisition {
        /// It is there.
        case ready(UpstreamStream)
        /// It is being opened; the exchange is called back.
        case connecting
        /// None may be opened now; the exchange is called back when one is free.
        case queued
    }

    let settings: UpstreamSettings
    let worker: Worker
    /// Every address known, in the order of the configuration.
    private var endpoints: [Endpoint] = []
    /// Which of `endpoints` belong to which configured endpoint, which may be a name with several
    /// addresses; nil until it was resolved.
    private var groups: [[Endpoint]?]
    private var waiters: [Exchange] = [] {
        didSet { hasWaiters = !waiters.isEmpty }
    }
    /// Kept beside them, since every request that ends asks.
    private var hasWaiters = false
    private var turn = 0
    /// TLS towards this upstream; nil where it is not spoken.
    private var tls: TLSClientContext?
    /// How often its rules changed. What was opened under earlier ones serves what it has, and no
    /// more.
    private(set) var generation = 0

    init(_ settings: UpstreamSettings, worker: Worker) {
        self.settings = settings
        self.worker = worker
        groups = Array(repeating: nil, count: settings.endpoints.count)
        tls = settings.tls.flatMap { try? TLSClientContext($0.settings) }
    }

    /// Takes up the addresses of the configured endpoint at `index`. Those that stay keep their
    /// connections; those that went close theirs as they come to rest.
    func update(_ index: Int, addresses: [SocketAddress]) {
        let known = groups[index] ?? []
        let group = addresses.map { address in
            known.first { $0.address == address }
                ?? Endpoint(address: address, target: settings.endpoints[index])
        }
        groups[index] = group
        endpoints = groups.flatMap { $0 ?? [] }
        for gone in known where !group.contains(where: { $0 === gone }) {
            gone.isGone = true
            letGo(of: gone)
        }
        serveWaiters()
    }

    /// Takes up changed certificates: from now on connections are opened with them.
    func update(_ settings: TLSClientContext.Settings) {
        guard let made = try? TLSClientContext(settings) else { return }
        tls = made
        generation += 1
        for endpoint in endpoints {
            endpoint.resumption = nil
            endpoint.sharedDials.removeAll()
            letGo(of: endpoint)
        }
    }

    /// The name that an endpoint's certificate has to be for.
    func serverName(of endpoint: Endpoint) -> TLSServerName {
        if let name = settings.tls?.serverName { return TLSServerName(name) }
        if case .tcp(_, let host, _) = endpoint.target { return TLSServerName(host) }
        return TLSServerName("localhost")
    }

    // MARK: The exchanges' side

    /// A connection for an exchange: one that has room, or a new one. `failed`: an endpoint that
    /// has just failed this exchange. `isFresh`: only a new connection will do, since one that
    /// was there has just turned out to be dead.
    func acquire(
        for exchange: Exchange, avoiding failed: Endpoint? = nil, isFresh: Bool = false
    ) throws(UpstreamFault) -> Acquisition {
        if let found = try find(for: exchange, avoiding: failed, isFresh: isFresh) { return found }
        waiters.append(exchange)
        guard let slots = settings.slots else { return .queued }
        slots.beginWaiting()
        // A slot may have come free before anybody could know that one is wanted.
        do throws(UpstreamFault) {
            if let found = try find(for: exchange, avoiding: failed, isFresh: isFresh) {
                stopWaiting(exchange)
                return found
            }
        } catch {
            stopWaiting(exchange)
            throw error
        }
        worker.tellOthers(.slotWanted(upstream: settings.index))
        return .queued
    }

    /// Lets go of an exchange that waits: its client went, or it waited long enough.
    func cancelWait(_ exchange: Exchange) {
        stopWaiting(exchange)
        guard let dial = exchange.dial else { return }
        exchange.dial = nil
        dial.exchanges.removeAll { $0 === exchange }
        dial.endpoint.busyCount -= 1
        guard dial.exchanges.isEmpty else { return }
        dial.cancel()
        forget(dial)
        slotFreed()
    }

    /// Tries again for those who wait, as a slot or an address may be there.
    func serveWaiters() {
        while let exchange = waiters.first {
            do throws(UpstreamFault) {
                guard let found = try find(for: exchange) else { return }
                stopWaiting(exchange)
                switch found {
                case .ready(let stream): exchange.begin(on: stream)
                case .connecting: exchange.endWaiting()
                case .queued: return
                }
            } catch {
                stopWaiting(exchange)
                exchange.noConnection(error)
            }
        }
    }

    // MARK: The connections' side

    /// A connection of HTTP/1.1 is open: the first that waited for it goes ahead.
    func opened(_ dial: Dial, _ transport: Transport) {
        var exchanges = take(dial, .http11)[...]
        let endpoint = dial.endpoint
        let connection = HTTP1Upstream(transport, for: dial, pool: self, worker: worker)
        endpoint.busyCount += 1
        if let first = exchanges.popFirst() {
            first.begin(on: .http1(connection))
        } else {
            release(connection)
        }
        settle(exchanges)
    }

    /// A connection of HTTP/2 is open: as many as fit on it go ahead.
    func opened(_ dial: Dial, _ connection: HTTP2Upstream) {
        var exchanges = take(dial, .http2)[...]
        dial.endpoint.multiplexed.append(connection)
        while connection.hasRoom, let next = exchanges.popFirst() {
            dial.endpoint.busyCount += 1
            next.begin(on: .http2(connection.makeStream()))
        }
        if dial.generation != generation { connection.retire() }
        settle(exchanges)
    }

    /// Ends a dial: who waited for it, no longer counted.
    private func take(_ dial: Dial, _ version: ApplicationProtocol) -> [Exchange] {
        forget(dial)
        let exchanges = dial.exchanges
        for exchange in exchanges { exchange.dial = nil }
        dial.endpoint.busyCount -= exchanges.count
        if exchanges.first?.needsHTTP1 == false { dial.endpoint.version = version }
        return exchanges
    }

    /// A connection carries fewer than those who hoped for it.
    private func settle(_ rest: ArraySlice<Exchange>) {
        for exchange in rest { exchange.restart() }
        serveWaiters()
    }

    /// A connection could not be opened.
    func failed(_ dial: Dial, _ fault: UpstreamFault) {
        let endpoint = dial.endpoint
        forget(dial)
        endpoint.busyCount -= dial.exchanges.count
        for exchange in dial.exchanges { exchange.dial = nil }
        slotFreed()
        for exchange in dial.exchanges { exchange.noConnection(fault, at: endpoint) }
    }

    /// Takes back a connection whose exchange is over and which can serve another.
    func release(_ connection: HTTP1Upstream) {
        let endpoint = connection.endpoint
        endpoint.busyCount -= 1
        let isOutdated = connection.generation != generation || endpoint.isGone
        if !isOutdated, let waiter = nextWaiter() {
            endpoint.busyCount += 1
            waiter.begin(on: .http1(connection))
        } else if isOutdated || settings.slots?.isWaitedFor == true {
            connection.close()
        } else {
            endpoint.idle.append(connection)
        }
    }

    /// Forgets a connection that closed.
    func closed(_ connection: HTTP1Upstream, wasIdle: Bool) {
        let endpoint = connection.endpoint
        if wasIdle {
            endpoint.idle.removeAll { $0 === connection }
        } else {
            endpoint.busyCount -= 1
        }
        slotFreed()
    }

    /// A stream came to its end, and its connection may have room for another.
    func streamEnded(on connection: HTTP2Upstream) {
        connection.endpoint.busyCount -= 1
        if hasWaiters { serveWaiters() }
    }

    /// Forgets a connection with streams, which takes no more of them: those it has go on.
    func retired(_ connection: HTTP2Upstream) {
        connection.endpoint.multiplexed.removeAll { $0 === connection }
    }

    /// A connection with streams closed.
    func closed(_ connection: HTTP2Upstream) {
        retired(connection)
        slotFreed()
    }

    /// Gives up a connection at rest, as a request waits for its slot in another worker.
    func giveUpIdle() {
        guard settings.slots?.isWaitedFor == true else { return }
        for endpoint in endpoints {
            // The one that rested longest.
            if let connection = endpoint.idle.first { return connection.close() }
            if let connection = endpoint.multiplexed.first(where: { $0.isIdle }) {
                return connection.retire()
            }
        }
    }

    /// Closes what rests at an endpoint where one connection turned out to be dead: it was
    /// restarted, and the others are dead too.
    func closeIdle(at endpoint: Endpoint) {
        while let connection = endpoint.idle.popLast() { connection.close() }
    }

    /// Closes what rests; for the end of a drain.
    func closeIdle() {
        for endpoint in endpoints { letGo(of: endpoint) }
    }

    /// Closes what rests at an endpoint. What is under way goes on, and nothing new begins on it.
    private func letGo(of endpoint: Endpoint) {
        closeIdle(at: endpoint)
        for connection in endpoint.multiplexed { connection.retire() }
    }

    // MARK: Finding

    private func find(
        for exchange: Exchange, avoiding failed: Endpoint? = nil, isFresh: Bool = false
    ) throws(UpstreamFault) -> Acquisition? {
        guard !endpoints.isEmpty else {
            if groups.contains(where: { $0 == nil }) { return nil }
            throw .unresolved
        }
        let endpoint = choose(avoiding: failed)
        if let there = reuse(endpoint, for: exchange, isFresh: isFresh) { return there }
        if try connect(to: endpoint, for: exchange) { return .connecting }
        for other in endpoints where !isFresh {
            if let there = reuse(other, for: exchange, isFresh: false) { return there }
        }
        return nil
    }

    /// Whether a connection that carries many will do. A WebSocket needs one of HTTP/1.1, which
    /// ALPN can be asked for; an endpoint that knows nothing but HTTP/2 is asked as for anything
    /// else, and says itself that it does not switch.
    private func mayShare(_ endpoint: Endpoint, _ exchange: Exchange) -> Bool {
        if endpoint.version == .http11 { return false }
        return !exchange.needsHTTP1 || endpoint.target.transport == .h2c
    }

    /// What is there already: a connection with room, or one that is being opened for many.
    private func reuse(
        _ endpoint: Endpoint, for exchange: Exchange, isFresh: Bool
    ) -> Acquisition? {
        let wantsStreams = mayShare(endpoint, exchange)
        if wantsStreams {
            if let connection = endpoint.multiplexed.first(where: { $0.hasRoom }), !isFresh {
                worker.counters.upstreamReuses += 1
                endpoint.busyCount += 1
                return .ready(.http2(connection.makeStream()))
            }
            if let dial = endpoint.sharedDials.first(where: { $0.hasRoom }) {
                join(dial, exchange)
                return .connecting
            }
        }
        if !isFresh, let connection = endpoint.idle.popLast() {
            worker.counters.upstreamReuses += 1
            endpoint.busyCount += 1
            return .ready(.http1(connection))
        }
        return nil
    }

    /// Starts to open a connection, where one more is allowed.
    private func connect(
        to endpoint: Endpoint, for exchange: Exchange
    ) throws(UpstreamFault) -> Bool {
        if let slots = settings.slots, !slots.take() { return false }
        do throws(SystemError) {
            worker.counters.upstreamConnects += 1
            let isSecure = endpoint.target.transport == .https
            // Without its rules nothing is sent, least of all in the clear.
            if isSecure, tls == nil { throw .outOfMemory }
            let dial = try Dial(
                endpoint, timeout: exchange.timeouts.connect,
                tls: isSecure ? tls : nil, onlyHTTP1: exchange.needsHTTP1, pool: self,
                worker: worker)
            // It may turn out to carry many, so others may wait for it too.
            let isShared = mayShare(endpoint, exchange)
            if isShared { endpoint.sharedDials.append(dial) }
            join(dial, exchange)
            return true
        } catch {
            settings.slots?.giveBack()
            if error.isOutOfDescriptors { throw .noSlot }
            endpoint.failedToConnect(now: worker.loop.now)
            worker.counters.upstreamConnectFailures += 1
            throw .unreachable(error)
        }
    }

    private func choose(avoiding failed: Endpoint?) -> Endpoint {
        turn &+= 1
        if endpoints.count == 1 { return endpoints[0] }
        let now = worker.loop.now
        var best: Endpoint?
        for step in 0..<endpoints.count {
            let candidate = endpoints[(turn &+ step) % endpoints.count]
            guard candidate !== failed, candidate.isHealthy(at: now) else { continue }
            if settings.balance == .roundRobin { return candidate }
            if best.map({ candidate.busyCount < $0.busyCount }) ?? true { best = candidate }
        }
        // Where all have failed lately, one of them is tried all the same.
        return best ?? endpoints.first { $0 !== failed } ?? endpoints[0]
    }

    // MARK: Waiting

    private func join(_ dial: Dial, _ exchange: Exchange) {
        dial.exchanges.append(exchange)
        dial.endpoint.busyCount += 1
        exchange.dial = dial
    }

    private func stopWaiting(_ exchange: Exchange) {
        guard let index = waiters.firstIndex(where: { $0 === exchange }) else { return }
        waiters.remove(at: index)
        settings.slots?.endWaiting()
    }

    private func nextWaiter() -> Exchange? {
        guard hasWaiters else { return nil }
        settings.slots?.endWaiting()
        return waiters.removeFirst()
    }

    /// A slot was given back: whoever waits for one, here or in another worker, may have it.
    private func slotFreed() {
        guard let slots = settings.slots else { return }
        slots.giveBack()
        if hasWaiters {
            serveWaiters()
        } else if slots.isWaitedFor {
            worker.tellOthers(.slotFreed(upstream: settings.index))
        }
    }

    private func forget(_ dial: Dial) {
        dial.endpoint.sharedDials.removeAll { $0 === dial }
    }
}
