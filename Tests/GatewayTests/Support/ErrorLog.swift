import Logging
import Synchronization

/// The errors logged, each with its fault.
final class ErrorLog: Sendable {
    private let kept = Mutex<[(message: String, metadata: String)]>([])

    /// Messages with what stands beside them.
    var lines: [String] { kept.withLock { $0.map { "\($0.message) \($0.metadata)" } } }
    var messages: [String] { kept.withLock { $0.map(\.message) } }

    func add(_ message: String, _ metadata: String) {
        kept.withLock { $0.append((message, metadata)) }
    }
}

struct ErrorHandler: LogHandler {
    let log: ErrorLog
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(log: ErrorLog) { self.log = log }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        guard event.level >= .warning else { return }
        log.add("\(event.message)", "\(event.metadata ?? [:])")
    }
}
