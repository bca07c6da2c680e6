package import Configuration
internal import EventLoop
package import Logging

/// The whole server: binds the listeners, starts the workers, and tells them what changes.
///
/// The calling thread becomes the control thread: it hears signals, watches key files and waits for
/// the workers to end.
package struct Server {
    /// Why a server does not start.
    package enum Failure: Error, Equatable, CustomStringConvertible {
        /// An address cannot be listened at: the address and the system's words.
        case listener(String, String)
        /// The access log cannot be opened: its path and the system's words.
        case accessLog(String, String)
        /// The system gives no thread, loop or signal.
        case system(String)

        /// What is wrong and where.
        package var description: String {
            switch self {
            case .listener(let address, let why): "cannot listen at \(address): \(why)"
            case .accessLog(let path, let why): "cannot open the access log \(path): \(why)"
            case .system(let why): "cannot start: \(why)"
            }
        }
    }

    private let configuration: Configuration
    private let logger: Logger

    /// A server for a configuration, not yet started.
    package init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Serves until SIGTERM or SIGINT, and returns when everything under way has ended.
    package func run() throws(Failure) {
        Signals.block()
        let descriptors = Process.raiseDescriptorLimit()
        let workerCount = configuration.workers ?? Process.processorCount
        let binder = ListenerBinder(workerCount: workerCount)
        // The admin address first and the listeners in their order: who reaches one can reach those
        // before it.
        let admin = try adminSocket(binder)
        let sockets = try binder.bind(configuration.listeners)
        do throws(SystemError) {
            let accessLog = try openAccessLog()
            let mailboxes = try makeMailboxes(workerCount)
            let verification = try VerificationPool.start(logger: logger) { worker, message in
                mailboxes[worker].post(message)
            }
            let context = try makeContext(
                mailboxes, verification.pool, descriptors, accessLog)
            let control = try Control(configuration, context: context, logger: logger)
            try control.run(sockets, admin: admin)
            verification.stop()
        } catch {
            throw error.call == .open && accessLogPath != nil
                ? .accessLog(accessLogPath ?? "", error.message) : .system(error.description)
        }
        for socket in sockets[0] { socket.removeFile() }
    }

    private func adminSocket(_ binder: ListenerBinder) throws(Failure) -> ListeningSocket? {
        guard let admin = configuration.admin else { return nil }
        return try binder.bind(admin.address)
    }

    private var accessLogPath: String? {
        if case .file(let path) = configuration.log.access { return path }
        return nil
    }

    private func openAccessLog() throws(SystemError) -> AccessLog? {
        switch configuration.log.access {
        case .off: nil
        case .stdout: try AccessLog(.standardOutput)
        case .file(let path): try AccessLog(.file(path: path))
        }
    }

    private func makeMailboxes(
        _ count: Int
    ) throws(SystemError) -> [Mailbox<WorkerMessage>] {
        var mailboxes: [Mailbox<WorkerMessage>] = []
        for _ in 0..<count { mailboxes.append(try Mailbox()) }
        return mailboxes
    }

    private func makeContext(
        _ mailboxes: [Mailbox<WorkerMessage>], _ verification: VerificationPool,
        _ descriptors: Int, _ accessLog: AccessLog?
    ) throws(SystemError) -> WorkerContext {
        let workerCount = mailboxes.count
        // Clients that rest need one descriptor, those with an exchange another for its upstream.
        // An eighth is kept for upstreams and a few for the server itself; beyond that requests are
        // 503.
        let reserved = 32 + 8 * workerCount + max(64, descriptors / 8)
        let affordable = max(16, descriptors - reserved)
        return WorkerContext(
            configuration: configuration, settings: WorkerSettings(configuration),
            upstreams: configuration.upstreams.enumerated().map {
                UpstreamSettings($0.element, index: $0.offset)
            },
            mailboxes: mailboxes, control: try Mailbox(), verification: verification,
            budget: ConnectionBudget(
                limit: configuration.limits.connections ?? affordable, workers: workerCount),
            keyWaiters: KeyWaiters(issuers: configuration.issuers.count),
            accessLog: accessLog, logger: logger)
    }
}
