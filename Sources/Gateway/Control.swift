internal import Configuration
internal import EventLoop
internal import Logging

/// The control thread: hears signals, watches key files, resolves names in a thread beside it, and
/// ends the workers in good order.
final class Control: EventHandler {
    /// What the workers' threads tell it.
    private enum Message: Sendable {
        case workerEnded
        case workerFailed(SystemError)
        case addresses(upstream: Int, endpoint: Int, [SocketAddress])
    }

    private let configuration: Configuration
    private let context: WorkerContext
    private let logger: Logger
    private let loop: EventLoop
    private let mailbox: Mailbox<Message>
    private var workersLeft: Int
    private var failure: SystemError?
    private var isDraining = false
    private var drainTimer = Registration.none

    init(
        _ configuration: Configuration, context: WorkerContext, logger: Logger
    ) throws(SystemError) {
        self.configuration = configuration
        self.context = context
        self.logger = logger
        loop = try EventLoop()
        mailbox = try Mailbox()
        workersLeft = context.mailboxes.count
    }

    /// Starts everything, serves, and returns when all workers have ended.
    func run(_ sockets: [[ListeningSocket]]) throws(SystemError) {
        let signals = try Signals(loop: loop) { [unowned self] in take($0) }
        let reader = try MailboxReader(loop: loop, mailbox: mailbox) { [unowned self] in take($0) }
        tellFixedAddresses()
        let keyFiles = KeyFiles(configuration.issuers, loop: loop, logger: logger) {
            [unowned self] issuer, set in
            tellAll(.keys(issuer: issuer, set))
        }
        keyFiles.start()
        let logThread = try startAccessLog()
        try startResolution()
        let workers = try WorkerThreads.start(sockets, context) { [mailbox] failure in
            mailbox.post(failure.map { .workerFailed($0) } ?? .workerEnded)
        }
        for socket in sockets[0] {
            logger.info("listening", metadata: ["address": "\(socket.address)"])
        }
        loop.run()
        workers.join()
        context.accessLog?.end()
        logThread.join()
        withExtendedLifetime((signals, reader, keyFiles)) {}
        if let failure { throw failure }
    }

    func ready(_ readiness: Readiness) {}

    func deadlineReached() {
        logger.warning("drain timed out: open connections are closed")
        tellAll(.stop)
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
        drainTimer = loop.addTimer(handler: self)
        loop.setDeadline(
            drainTimer, loop.now.advanced(byMilliseconds: context.settings.timeouts.drain))
    }

    private func take(_ message: Message) {
        switch message {
        case .addresses(let upstream, let endpoint, let addresses):
            tellAll(.addresses(upstream: upstream, endpoint: endpoint, addresses))
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

    private func startAccessLog() throws(SystemError) -> LogThread {
        guard let log = context.accessLog else { return LogThread(thread: nil) }
        let logger = self.logger
        let thread = try Thread.start(name: "access-log") {
            do throws(SystemError) {
                try log.write { error in
                    logger.error("access log cannot be written", metadata: ["error": "\(error)"])
                }
            } catch {
                logger.error("access log cannot be written", metadata: ["error": "\(error)"])
            }
        }
        return LogThread(thread: thread)
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

/// The access log's thread, where there is one.
private struct LogThread: ~Copyable {
    var thread: Thread?

    consuming func join() {
        thread?.join()
    }
}
