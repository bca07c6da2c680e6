internal import Configuration
internal import EventLoop
internal import Telemetry

/// One worker's connections to one upstream: which endpoint comes next, which connection is free,
/// and who waits for one.
final class UpstreamPool {
    let settings: UpstreamSettings
    private let worker: Worker
    /// Every address known, in the order of the configuration.
    private var endpoints: [Endpoint] = []
    /// Which of `endpoints` belong to which configured endpoint, which may be a name with several
    /// addresses; nil until it was resolved.
    private var groups: [[Endpoint]?]
    private var waiters: [Exchange] = []
    private var turn = 0

    init(_ settings: UpstreamSettings, worker: Worker) {
        self.settings = settings
        self.worker = worker
        groups = Array(repeating: nil, count: settings.endpoints.count)
    }

    /// Takes up the addresses of the configured endpoint at `index`. Those that stay keep their
    /// connections; those that went close theirs as they come to rest.
    func update(_ index: Int, addresses: [SocketAddress]) {
        let known = groups[index] ?? []
        let group = addresses.map { address in
            known.first { $0.address == address }
                ?? Endpoint(address: address, authority: settings.endpoints[index].authority)
        }
        groups[index] = group
        endpoints = groups.flatMap { $0 ?? [] }
        for gone in known where !group.contains(where: { $0 === gone }) {
            for connection in gone.idle { connection.close() }
        }
        serveWaiters()
    }

    /// A connection for an exchange: one at rest, or a new one. Nil where the exchange has to wait;
    /// it is then called back. `failed`: an endpoint that has just failed this exchange. `isFresh`:
    /// only a new connection will do, since one at rest has just turned out to be dead.
    func acquire(
        for exchange: Exchange, avoiding failed: Endpoint? = nil, isFresh: Bool = false
    ) throws(UpstreamFault) -> HTTP1Upstream? {
        if let connection = try find(for: exchange, avoiding: failed, isFresh: isFresh) {
            return connection
        }
        waiters.append(exchange)
        guard let slots = settings.slots else { return nil }
        slots.beginWaiting()
        // A slot may have come free before anybody could know that one is wanted.
        do throws(UpstreamFault) {
            if let connection = try find(for: exchange, avoiding: failed, isFresh: isFresh) {
                cancelWait(exchange)
                return connection
            }
        } catch {
            cancelWait(exchange)
            throw error
        }
        worker.tellOthers(.slotWanted(upstream: settings.index))
        return nil
    }

    /// Gives up a connection at rest, as a request waits for its slot in another worker.
    func giveUpIdle() {
        guard settings.slots?.isWaitedFor == true else { return }
        for endpoint in endpoints {
            // The one that rested longest.
            if let connection = endpoint.idle.first { return connection.close() }
        }
    }

    private func find(
        for exchange: Exchange, avoiding failed: Endpoint? = nil, isFresh: Bool = false
    ) throws(UpstreamFault) -> HTTP1Upstream? {
        guard !endpoints.isEmpty else {
            if groups.contains(where: { $0 == nil }) { return nil }
            throw .unresolved
        }
        let endpoint = choose(avoiding: failed)
        if !isFresh, let connection = endpoint.idle.popLast() { return reuse(connection) }
        if let connection = try connect(to: endpoint, for: exchange) { return use(connection) }
        for other in endpoints where !isFresh {
            if let connection = other.idle.popLast() { return reuse(connection) }
        }
        return nil
    }

    /// Takes an exchange out of the queue: its client went, or it waited long enough.
    func cancelWait(_ exchange: Exchange) {
        guard let index = waiters.firstIndex(where: { $0 === exchange }) else { return }
        waiters.remove(at: index)
        settings.slots?.endWaiting()
    }

    /// Takes back a connection whose exchange is over and which can serve another.
    func release(_ connection: HTTP1Upstream) {
        let endpoint = connection.endpoint
        endpoint.busyCount -= 1
        if let waiter = nextWaiter() {
            endpoint.busyCount += 1
            waiter.begin(on: connection)
        } else if isGone(endpoint) || settings.slots?.isWaitedFor == true {
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
        guard let slots = settings.slots else { return }
        slots.giveBack()
        if !waiters.isEmpty {
            serveWaiters()
        } else if slots.isWaitedFor {
            worker.tellOthers(.slotFreed(upstream: settings.index))
        }
    }

    /// Tries again for those who wait, as a slot or an address may be there.
    func serveWaiters() {
        while let exchange = waiters.first {
            do throws(UpstreamFault) {
                guard let connection = try find(for: exchange) else { return }
                cancelWait(exchange)
                exchange.begin(on: connection)
            } catch {
                cancelWait(exchange)
                exchange.noConnection(error)
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
        for endpoint in endpoints {
            for connection in endpoint.idle { connection.close() }
        }
    }

    private func reuse(_ connection: HTTP1Upstream) -> HTTP1Upstream {
        worker.counters.upstreamReuses += 1
        return use(connection)
    }

    private func use(_ connection: HTTP1Upstream) -> HTTP1Upstream {
        connection.endpoint.busyCount += 1
        return connection
    }

    private func connect(
        to endpoint: Endpoint, for exchange: Exchange
    ) throws(UpstreamFault) -> HTTP1Upstream? {
        if let slots = settings.slots, !slots.take() { return nil }
        do throws(SystemError) {
            worker.counters.upstreamConnects += 1
            return try HTTP1Upstream(
                pool: self, endpoint: endpoint, timeout: exchange.timeouts.connect, worker: worker)
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

    private func nextWaiter() -> Exchange? {
        guard !waiters.isEmpty else { return nil }
        settings.slots?.endWaiting()
        return waiters.removeFirst()
    }

    private func isGone(_ endpoint: Endpoint) -> Bool {
        !endpoints.contains { $0 === endpoint }
    }
}
