internal import Configuration
internal import EventLoop
internal import JWT
internal import Logging

/// The control thread: hears signals, obtains issuers' keys, watches certificates, makes keys for
/// session tickets, answers at the admin address, resolves names in a thread beside it, and ends
/// the workers in good order.
final class Control: EventHandler {
    /// What the workers are told of while they serve. Of what was at hand when it was opened, they
    /// are told before their first connection.
    struct Sources {
        fileprivate let keys: KeyService
        fileprivate let ticketKeys: TicketKeys?
        fileprivate let certificateFiles: CertificateFiles
    }

    /// What the timer stands for, as the server ends.
    private enum Ending {
        case drain, accessLog
    }

    /// Milliseconds given to whoever takes the access log's last lines.
    private static let accessLogMilliseconds: Int64 = 2000

    private let configuration: Configuration
    private let context: WorkerContext
    private let logger: Logger
    private let loop: EventLoop
    private let mailbox: Mailbox<ControlMessage>
    private var workersLeft: Int
    private var failure: SystemError?
    private var isDraining = false
    private var keys: KeyService?
    private let startedAt = Instant.unixMilliseconds / 1000
    private var timer = Registration.none
    private var ending = Ending.drain

    init(
        _ configuration: Configuration, context: WorkerContext, logger: Logger
    ) throws(SystemError) {
        self.configuration = configuration
        self.context = context
        self.logger = logger
        loop = try EventLoop()
        mailbox = context.control
        workersLeft = context.mailboxes.count
    }

    /// Reads what the disk has, makes what is made here, and begins to fetch the rest.
    func openSources() throws(SystemError) -> Sources {
        tellFixedAddresses()
        let keys = try makeKeyService()
        keys.start()
        self.keys = keys
        return Sources(
            keys: keys, ticketKeys: makeTicketKeys(), certificateFiles: watchCertificates(keys))
    }

    /// Starts the rest, serves, and returns when all workers have ended.
    func run(
        _ sources: Sources, _ sockets: [[ListeningSocket]], admin adminSocket: ListeningSocket?
    ) throws(SystemError) {
        let signals = try Signals(loop: loop) { [unowned self] in take($0) }
        let reader = try MailboxReader(loop: loop, mailbox: mailbox) { [unowned self] in take($0) }
        try startAccessLog()
        try startResolution()
        let admin = try startAdmin(adminSocket, sources.keys)
        let workers = try WorkerThreads.start(sockets, context) { [mailbox] failure in
            mailbox.post(failure.map { .workerFailed($0) } ?? .workerEnded)
        }
        for socket in sockets[0] {
            logger.info("listening", metadata: ["address": "\(socket.address)"])
        }
        loop.run()
        workers.join()
        admin?.stop()
        sources.keys.finish()
        endAccessLog()
        withExtendedLifetime((signals, reader, sources)) {}
        if let failure { throw failure }
    }

    func ready(_ readiness: Readiness) {}

    func deadlineReached() {
        switch ending {
        case .drain:
            logger.warning("drain timed out: open connections are closed")
            tellAll(.stop)
        case .accessLog:
            logger.warning("the access log's last lines were not taken in time")
            loop.stop()
        }
    }

    private func take(_ signal: Signals.Signal) {
        switch signal {
        case .hangUp:
            context.accessLog?.reopen()
            logger.warning(
                "SIGHUP: the access log was reopened; reloading is not in this version"
            )
        case .interrupt, .terminate: isDraining ? tellAll(.stop) : drain()
        }
    }

    private func drain() {
        isDraining = true
        logger.info("draining")
        tellAll(.drain)
        setTimer(.drain, milliseconds: context.settings.timeouts.drain)
    }

    private func setTimer(_ ending: Ending, milliseconds: Int64) {
        self.ending = ending
        if timer == .none { timer = loop.addTimer(handler: self) }
        loop.setDeadline(timer, Instant.now.advanced(byMilliseconds: milliseconds))
    }

    private func take(_ message: ControlMessage) {
        switch message {
        case .addresses(let upstream, let endpoint, let addresses):
            tellAll(.addresses(upstream: upstream, endpoint: endpoint, addresses))
            return
        case .accessLogEnded: return loop.stop()
        case .keysWanted(let place, let worker):
            keys?.wanted(place, by: worker)
            return
        case .keysUsed(let uses):
            keys?.used(uses)
            return
        case .workerFailed(let error):
            failure = error
            tellAll(.stop)
        case .workerEnded: break
        }
        workersLeft -= 1
        if workersLeft == 0 { loop.stop() }
    }

    private func tellAll(_ message: WorkerMessage) {
        for mailbox in context.mailboxes { mailbox.post(message) }
    }

    private func tellFixedAddresses() {
        for (upstream, settings) in configuration.upstreams.enumerated() {
            for (endpoint, target) in settings.endpoints.enumerated() {
                guard let address = NameResolution.fixedAddress(target) else { continue }
                tellAll(.addresses(upstream: upstream, endpoint: endpoint, [address]))
            }
        }
    }

    /// Before the workers serve, so that their first tickets can be used everywhere.
    private func makeTicketKeys() -> TicketKeys? {
        guard configuration.listeners.contains(where: { $0.tls != nil }) else { return nil }
        let keys = TicketKeys(loop: loop) { [unowned self] in tellAll(.ticketKeys($0)) }
        keys.start()
        return keys
    }

    private func makeKeyService() throws(SystemError) -> KeyService {
        var snapshots: SnapshotFiles?
        if let folder = configuration.stateDirectory {
            snapshots = try SnapshotFiles(folder: folder, loop: loop, logger: logger)
        }
        let means = KeyFetchMeans(loop: loop, names: try NameLookup(loop: loop))
        return KeyService(
            configuration,
            KeySurroundings(
                publish: { [unowned self] in tellAll(.keys($0, $1)) },
                lookEnded: { [context] worker, place, didSucceed, nextAt in
                    context.mailboxes[worker].post(
                        .lookEnded(place, didSucceed: didSucceed, nextAt: nextAt))
                },
                means: means, snapshots: snapshots, logger: logger))
    }

    private func watchCertificates(_ keys: KeyService) -> CertificateFiles {
        let files = CertificateFiles(
            configuration, loop: loop, logger: logger,
            actions: .init(
                onServer: { [unowned self] in tellAll(.serverTLS(listener: $0, $1)) },
                onClient: { [unowned self] in tellAll(.clientTLS(upstream: $0, $1)) },
                onIssuer: { keys.replaceTrust(ofIssuer: $0, with: $1) }))
        files.start()
        return files
    }

    private func startAdmin(
        _ socket: ListeningSocket?, _ keys: KeyService
    ) throws(SystemError) -> AdminServer? {
        guard let socket, let address = configuration.admin?.address else { return nil }
        let readiness = { [unowned self] in
            AdminReadiness(isDraining: isDraining, missing: keys.missing)
        }
        let (startedAt, context) = (self.startedAt, self.context)
        let admin = AdminServer(
            socket, configured: address, loop: loop,
            actions: AdminActions(
                readiness: readiness,
                status: {
                    StatusDocument(
                        version: Product.version, startedAt: startedAt,
                        now: Instant.unixMilliseconds / 1000, workers: context.mailboxes.count,
                        connections: context.budget.count, readiness: readiness(),
                        issuers: keys.statuses)
                },
                refresh: { keys.refresh($0) }))
        try admin.start()
        logger.info("admin listening", metadata: ["address": "\(admin.address)"])
        return admin
    }

    private func startAccessLog() throws(SystemError) {
        guard let log = context.accessLog else { return }
        let (logger, mailbox) = (self.logger, self.mailbox)
        _ = try Thread.start(name: "access-log") {
            do throws(SystemError) {
                try log.write { error in
                    logger.error("access log cannot be written", metadata: ["error": "\(error)"])
                }
            } catch {
                logger.error("access log cannot be written", metadata: ["error": "\(error)"])
            }
            mailbox.post(.accessLogEnded)
        }
    }

    /// Lets the last lines be written, but not for ever: the process ends even where the log goes
    /// to a pipe that nobody reads.
    private func endAccessLog() {
        guard let log = context.accessLog else { return }
        log.end()
        setTimer(.accessLog, milliseconds: Control.accessLogMilliseconds)
        loop.run()
    }

    /// Names are asked for in a thread that ends with the process: a query cannot be interrupted.
    private func startResolution() throws(SystemError) {
        let upstreams = configuration.upstreams
        let (logger, mailbox) = (self.logger, self.mailbox)
        let isNeeded = upstreams.contains { upstream in
            upstream.endpoints.contains { NameResolution.fixedAddress($0) == nil }
        }
        guard isNeeded else { return }
        _ = try Thread.start(name: "resolver") {
            guard let loop = try? EventLoop() else { return }
            let resolution = NameResolution(upstreams, loop: loop, logger: logger) {
                mailbox.post(.addresses(upstream: $0, endpoint: $1, $2))
            }
            resolution.start()
            loop.run()
        }
    }
}
