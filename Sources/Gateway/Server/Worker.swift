internal import Bytes
internal import Configuration
internal import EventLoop
internal import HTTP
internal import HTTP2
internal import JWT
internal import Logging
internal import OpenSSL
internal import Telemetry

/// What all workers of a server share: plain data, counters, and the ways to each other.
struct WorkerContext: Sendable {
    let configuration: Configuration
    let settings: WorkerSettings
    let upstreams: [UpstreamSettings]
    let mailboxes: [Mailbox<WorkerMessage>]
    /// The control thread's.
    let control: Mailbox<ControlMessage>
    /// Checks the signatures for which the workers have no time.
    let verification: VerificationPool
    let budget: ConnectionBudget
    let keyWaiters: KeyWaiters
    /// Nil where no access log is kept.
    let accessLog: AccessLog?
    /// For events that are not requests.
    let logger: Logger
}

/// One thread's world: a loop, its listeners, its connections and pools, and a door of its own.
/// Nothing in it is shared, so nothing in it is locked.
final class Worker {
    /// Records kept for the next requests.
    private static let maxSpareRecords = 256

    /// For a client beyond `limits.connections`: there is no connection to answer on properly.
    private static let overloadedResponse = Array(
        """
        HTTP/1.1 503 Service Unavailable\r
        Retry-After: 5\r
        Content-Length: 0\r
        Connection: close\r
        \r

        """.utf8)

    let loop: EventLoop
    let settings: WorkerSettings
    let requestHeads: RequestHeads
    /// What the worker's HTTP/2 sessions are made of.
    let http2Memory = HTTP2Memory()
    let responseHead: ResponseHead
    private(set) var unixMilliseconds = Instant.unixMilliseconds
    private(set) var date = DateField()
    private(set) var isDraining = false
    var counters = Counters()
    let handshakes: HandshakeTurns
    let logger: Logger
    /// Whether lines are kept for an access log.
    let isLogging: Bool

    /// Its number among the workers.
    let index: Int
    /// Who waits for keys, at all workers.
    var keyWaiters: KeyWaiters { context.keyWaiters }
    private let context: WorkerContext
    private var listeners: [Listener] = []
    private let listenerSettings: [ListenerSettings]
    private var connections: [any ClientConnection] = []
    /// Each listener's TLS, nil where it speaks in the clear.
    private var serverTLS: [TLSServerContext?] = []
    private let ticketKeys = TLSTicketKeys()
    /// HTTP/2 connections that have something to send at the end of the turn.
    private var unflushed: [HTTP2Connection] = []
    private var pools: [UpstreamPool] = []
    private var admissionSlot: Admission?
    private var mailboxReader: MailboxReader<WorkerMessage>?
    private var output = ByteBuffer(capacity: 4096)
    /// Records for the next requests, each with the next one.
    private var spareRecord: RequestRecord?
    private var spareRecords = 0
    private var logLines = ByteBuffer()

    init(index: Int, context: WorkerContext) throws(SystemError) {
        loop = try EventLoop()
        self.index = index
        self.context = context
        settings = context.settings
        logger = context.logger
        handshakes = HandshakeTurns(loop: loop)
        listenerSettings = context.configuration.listeners.map(ListenerSettings.init)
        isLogging = context.accessLog != nil
        requestHeads = RequestHeads(maxFields: settings.limits.requestFields)
        responseHead = ResponseHead(
            maxFields: max(HTTP1Upstream.maxFields, settings.limits.requestFields))
        for listener in context.configuration.listeners {
            guard let tls = listener.tls else {
                serverTLS.append(nil)
                continue
            }
            // The configuration was checked by making one: without it nothing is served, least of
            // all in the clear.
            guard let made = try? TLSServerContext(tls.settings, tickets: ticketKeys) else {
                throw .outOfMemory
            }
            serverTLS.append(made)
        }
        pools = context.upstreams.map { UpstreamPool($0, worker: self) }
        admissionSlot = Admission(context.configuration, pools: pools, worker: self)
        mailboxReader = try MailboxReader(loop: loop, mailbox: context.mailboxes[index]) {
            [unowned self] message in receive(message)
        }
        loop.startOfTurn = { [unowned self] in updateClock() }
        loop.endOfTurn = { [unowned self] in
            flushStreams()
            passLogOn()
        }
        updateClock()
    }

    /// The door; made in the initialiser, for as long as the worker lives.
    var admission: Admission {
        guard let admissionSlot else { preconditionFailure("used before it was made") }
        return admissionSlot
    }

    /// Accepts from these sockets and serves until told to stop.
    func run(_ sockets: [ListeningSocket]) throws(SystemError) {
        for (number, socket) in sockets.enumerated() {
            let listener = Listener(
                loop: loop, socket: socket, isShared: socket.address.port == nil
            ) { [unowned self] socket, address in
                accept(socket, address, listener: number)
            }
            try listener.start()
            listeners.append(listener)
        }
        loop.run()
    }

    // MARK: For the connections

    /// Lends a buffer to compose output in. Lent again meanwhile, it is another one.
    func withOutput(_ body: (inout ByteBuffer) -> Void) {
        var buffer = ByteBuffer()
        swap(&buffer, &output)
        buffer.removeAll(keepingCapacity: true)
        body(&buffer)
        if buffer.capacity > output.capacity, buffer.capacity <= 131_072 {
            swap(&buffer, &output)
        }
    }

    func takeRecord() -> RequestRecord {
        counters.requests &+= 1
        guard let record = spareRecord.take() else {
            let record = RequestRecord()
            record.reset(at: loop.now)
            return record
        }
        spareRecord = record.next.take()
        spareRecords -= 1
        record.reset(at: loop.now)
        return record
    }

    /// Ends a request: counts it, writes its line, and keeps its record for another one.
    func finish(_ record: RequestRecord, upstream: Endpoint?) {
        counters.count(record.outcome)
        if isLogging, record.line.hasBegun {
            record.outcome.nanoseconds = Instant.now.nanoseconds &- record.startedAt.nanoseconds
            let authority = upstream?.authority ?? ""
            record.line.finish(
                record.outcome, upstream: authority.utf8Span.span, to: &logLines,
                keepingCapacity: true)
        }
        if spareRecords < Worker.maxSpareRecords {
            record.next = spareRecord.take()
            spareRecord = record
            spareRecords += 1
        }
    }

    /// Tells every other worker something.
    func tellOthers(_ message: WorkerMessage) {
        for (number, mailbox) in context.mailboxes.enumerated() where number != index {
            mailbox.post(message)
        }
    }

    /// Tells the control thread something.
    func tellControl(_ message: ControlMessage) {
        context.control.post(message)
    }

    /// Hands signatures to the pool.
    func handOver(_ jobs: [VerificationJob]) {
        context.verification.check(jobs, worker: index)
    }

    /// Has the pool make a table, which comes back as a message.
    func askForTable(of key: PublicKey) {
        context.verification.makeTable(of: key, worker: index)
    }

    /// Sends what a connection has made for its streams once this turn's handlers were told: few
    /// calls, and few records, for many streams.
    func flushLater(_ connection: HTTP2Connection) {
        unflushed.append(connection)
    }

    /// A connection turned out to be one of another kind.
    func replace(_ connection: any ClientConnection, by successor: any ClientConnection) {
        connections[connection.index] = successor
    }

    /// Lets go of a connection that closed.
    func forget(_ connection: any ClientConnection) {
        let last = connections.removeLast()
        if last !== connection {
            last.index = connection.index
            connections[connection.index] = last
        }
        context.budget.leave(index)
        endIfDrained()
    }

    // MARK: Connections come

    private func accept(
        _ socket: consuming Socket, _ address: SocketAddress, listener: Int
    ) {
        if let place = context.budget.betterPlace(than: index), !isDraining {
            context.mailboxes[place].post(
                .connection(descriptor: socket.release(), address, listener: listener))
            return
        }
        serve(socket, address, listener: listener)
    }

    private func serve(_ socket: consuming Socket, _ address: SocketAddress, listener: Int) {
        guard context.budget.enter(index) else {
            // Whether the client can still read this is its affair.
            _ = socket.send(Worker.overloadedResponse.span)
            return
        }
        counters.connectionsAccepted += 1
        let settings = listenerSettings[listener]
        do throws(SystemError) {
            let connection = try Arrival(
                socket, client: Client(address, trusting: settings.trustedProxies),
                listener: settings, tls: serverTLS[listener], worker: self)
            connection.index = connections.count
            connections.append(connection)
        } catch {
            context.budget.leave(index)
        }
    }

    // MARK: Messages come

    private func receive(_ message: WorkerMessage) {
        switch message {
        case .keys(let place, let set): admission.replaceKeys(of: place, with: set)
        case .lookEnded(let place, let didSucceed, let nextAt):
            admission.lookEnded(place, didSucceed: didSucceed, nextAt: nextAt)
        case .signatures(let results): admission.take(results)
        case .pointTable(let table): admission.adopt(table)
        case .addresses(let upstream, let endpoint, let addresses):
            pools[upstream].update(endpoint, addresses: addresses)
        case .connection(let descriptor, let address, let listener):
            serve(Socket(adopting: descriptor), address, listener: listener)
        case .serverTLS(let listener, let settings):
            // The control thread has made one of these settings already.
            if let tls = try? TLSServerContext(settings, tickets: ticketKeys) {
                serverTLS[listener] = tls
            }
        case .clientTLS(let upstream, let settings): pools[upstream].update(settings)
        case .ticketKeys(let keys): ticketKeys.replace(with: keys)
        case .slotFreed(let upstream): pools[upstream].serveWaiters()
        case .slotWanted(let upstream): pools[upstream].giveUpIdle()
        case .drain: drain()
        case .stop: stop()
        }
    }

    private func drain() {
        isDraining = true
        for listener in listeners { listener.drainAndStop() }
        for connection in connections { connection.drain() }
        endIfDrained()
    }

    private func endIfDrained() {
        if isDraining, connections.isEmpty { stop() }
    }

    private func stop() {
        // The process's end would close what is under way in order, and a response that ends with
        // its connection would look whole; nor would it get its line in the log.
        for connection in connections { connection.abort() }
        for pool in pools { pool.closeIdle() }
        loop.stop()
    }

    // MARK: Turns begin and end

    /// What a connection tells its streams as it is flushed may make more: that waits for the next
    /// turn, which is asked for.
    private func flushStreams() {
        guard !unflushed.isEmpty else { return }
        var connections: [HTTP2Connection] = []
        swap(&connections, &unflushed)
        for connection in connections { connection.flush() }
        for connection in unflushed { connection.transport.resumeLater() }
        connections.removeAll(keepingCapacity: true)
        if unflushed.isEmpty { swap(&connections, &unflushed) }
    }

    private func passLogOn() {
        guard !logLines.isEmpty, let log = context.accessLog else { return }
        logLines.withBytes { counters.logLinesDropped &+= log.append($0) }
        logLines.removeAll(keepingCapacity: logLines.capacity <= 131_072)
    }

    /// After the wait, which may have been long: tokens are held against this clock.
    private func updateClock() {
        unixMilliseconds = Instant.unixMilliseconds
        date.update(unixSeconds: unixMilliseconds / 1000)
    }
}
