import Configuration
import EventLoop
import Glibc
import JWT
import Logging
import Synchronization
import Testing

@testable import Gateway

/// A gateway in this process: its workers in threads of their own, told what the control thread
/// would tell them.
final class RunningGateway {
    let configuration: Configuration
    /// Where clients connect, one for each listener.
    let addresses: [SocketAddress]
    let context: WorkerContext

    private var running: WorkerThreads?
    private var verifying: VerificationThreads?
    private let ended: Ended
    private let logPath: String?
    private let folder: TemporaryFolder?

    /// Workers that have ended.
    private final class Ended: Sendable {
        let count = Atomic<Int>(0)
    }

    /// Starts one worker, or as many as the configuration says. `isLogging`: lines are kept for
    /// `logLines`.
    init(_ json: String, isLogging: Bool = false) throws {
        _ = Process.raiseDescriptorLimit()
        let configuration = try decode(json)
        let workerCount = configuration.workers ?? 1
        let sockets = try ListenerBinder(workerCount: workerCount).bind(configuration.listeners)
        folder = isLogging ? TemporaryFolder() : nil
        logPath = folder?.path("access.log")
        let log = try logPath.map { try AccessLog(.file(path: $0)) }
        var mailboxes: [Mailbox<WorkerMessage>] = []
        for _ in 0..<workerCount { mailboxes.append(try Mailbox()) }
        let boxes = mailboxes
        let logger = Logger(label: "bearward")
        let threads = try VerificationPool.start(logger: logger) { worker, message in
            boxes[worker].post(message)
        }
        let pool = threads.pool
        verifying = consume threads
        context = WorkerContext(
            configuration: configuration, settings: WorkerSettings(configuration),
            upstreams: configuration.upstreams.enumerated().map {
                UpstreamSettings($0.element, index: $0.offset)
            },
            mailboxes: mailboxes, control: try Mailbox(), verification: pool,
            budget: ConnectionBudget(
                limit: configuration.limits.connections ?? 10_000, workers: workerCount),
            keyWaiters: KeyWaiters(issuers: configuration.issuers.count),
            accessLog: log, logger: logger)
        self.configuration = configuration
        addresses = sockets[0].map(\.address)
        let ended = Ended()
        self.ended = ended
        running = try WorkerThreads.start(sockets, context) { failure in
            if failure == nil { ended.count.wrappingAdd(1, ordering: .sequentiallyConsistent) }
        }
        for (upstream, settings) in configuration.upstreams.enumerated() {
            for (endpoint, target) in settings.endpoints.enumerated() {
                guard let address = NameResolution.fixedAddress(target) else { continue }
                tellAll(.addresses(upstream: upstream, endpoint: endpoint, [address]))
            }
        }
    }

    deinit { stop() }

    func tellAll(_ message: WorkerMessage) {
        for mailbox in context.mailboxes { mailbox.post(message) }
    }

    /// A client's connection.
    func connect(listener: Int = 0, receiveBuffer: Int32? = nil) throws -> Peer {
        try Peer(to: addresses[listener], receiveBuffer: receiveBuffer)
    }

    /// How many workers ended by themselves.
    var endedWorkers: Int { ended.count.load(ordering: .sequentiallyConsistent) }

    /// Waits for the workers to end by themselves.
    func join() {
        guard let threads = running.take() else { return }
        threads.join()
        verifying.take()?.stop()
    }

    /// Where the pool keeps its tables.
    var shelf: PointTableShelf { context.verification.shelf }

    /// Ends the pool alone: what the workers hand over is never done.
    func stopPool() {
        verifying.take()?.stop()
    }

    /// Ends the workers now.
    func stop() {
        tellAll(.stop)
        join()
    }

    /// Stops, and returns the lines of the access log.
    func logLines() throws -> [String] {
        stop()
        let log = try #require(context.accessLog)
        log.end()
        try log.write { error in Issue.record("\(error)") }
        let bytes = try Files.read(try #require(logPath), maxBytes: 1 << 24)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

/// The configuration of a text that has no problem.
func decode(_ json: String) throws -> Configuration {
    let outcome = ConfigurationDecoder(
        file: "proxy.json", environment: [:], checksKeyFiles: false,
        readFile: { $0 == "secret" ? sharedSecret : try? TLSMaterial.read($0) }
    ).decode(json.utf8Span.span)
    for problem in outcome.problems where problem.severity == .error {
        Issue.record("\(problem)")
    }
    return try #require(outcome.configuration)
}

/// A configuration of parts, each as JSON.
func proxyJSON(
    upstreams: String, routes: String, listeners: String = #"[{"address":"127.0.0.1:0"}]"#,
    more: String = ""
) -> String {
    """
    {
      "listeners": \(listeners),
      "issuers": {
        "login": {
          "issuer": "https://login.example.com/", "audiences": ["https://api.example.com"],
          "keys": { "secretFile": "secret" }
        }
      },
      "upstreams": \(upstreams),
      "routes": \(routes),
      \(more)\(more.isEmpty ? "" : ",")
      "log": { "access": "off" }
    }
    """
}

/// A gateway with one upstream, named `up`, and one public route to it for every path.
func publicGateway(
    to upstream: ScriptedUpstream..., upstreamSettings: String = "", route: String = "",
    listeners: String = #"[{"address":"127.0.0.1:0"}]"#, more: String = "",
    isLogging: Bool = false
) throws -> RunningGateway {
    let endpoints = upstream.map { "\"\($0.url)\"" }.joined(separator: ",")
    let json = proxyJSON(
        upstreams: #"{"up":{"endpoints":[\#(endpoints)]\#(comma(upstreamSettings))}}"#,
        routes: #"[{"path":"/**","access":"public","upstream":"up"\#(comma(route))}]"#,
        listeners: listeners, more: more)
    return try RunningGateway(json, isLogging: isLogging)
}

private func comma(_ members: String) -> String { members.isEmpty ? "" : "," + members }
