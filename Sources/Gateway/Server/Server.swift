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
        let accessLog = try openAccessLog()
        let mailboxes = try system(try makeMailboxes(workerCount))
        let verification = try system(
            try VerificationPool.start(logger: logger) { mailboxes[$0].post($1) })
        let pool = verification.pool
        let context = try system(try makeContext(mailboxes, pool, descriptors, accessLog))
        let control = try system(try Control(configuration, context: context, logger: logger))
        let sources = try system(try control.openSources())
        // Last, so that whoever connects finds the keys that were at hand. The admin address comes
        // first and the listeners in their order: who reaches one can reach those before it.
        let binder = ListenerBinder(workerCount: workerCount)
        let admin = try adminSocket(binder)
        let sockets = try binder.bind(configuration.listeners)
        try system(try control.run(sources, sockets, admin: admin))
        verification.stop()
        for socket in sockets[0] { socket.removeFile() }
    }

    /// Does what only the system can refuse.
    private func system<Result: ~Copyable>(
        _ work: @autoclosure () throws(SystemError) -> Result
    ) throws(Failure) -> Result {
        do throws(SystemError) {
            return try work()
        } catch {
            throw .system(error.description)
        }
    }

    private func adminSocket(_ binder: ListenerBinder) throws(Failure) -> ListeningSocket? {
        guard let admin = configuration.admin else { return nil }
        return try binder.bind(admin.address)
    }

    private func openAccessLog() throws(Failure) -> AccessLog? {
        switch configuration.log.access {
        case .off: return nil
        case .stdout: return try system(try AccessLog(.standardOutput))
        case .file(let path):
            do throws(SystemError) {
                return try AccessLog(.file(path: path))
            } catch {
                throw .accessLog(path, error.message)
            }
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
