internal import Bytes
internal import EventLoop
internal import Telemetry

/// What is kept of one request from its head to its end: the head written for the upstream, the id,
/// the log line so far, and the outcome.
///
/// Records are used again and again, with their memory: a request allocates nothing for them.
final class RequestRecord {
    /// The head as the upstream gets it. A retry sends it again.
    var head = ByteBuffer(capacity: 1024)
    /// The request's id.
    var id = ByteBuffer(capacity: 64)
    var line = AccessLogLine()
    var outcome = ExchangeOutcome()
    var startedAt = Instant.now
    /// In what form the client takes an answer of ours.
    var format = AnswerFormat.problem
    var isHead = false
    /// The next spare record, while this is one.
    var next: RequestRecord?

    /// Prepares the record for another request. Head and id are replaced by those who write them.
    func reset(at now: Instant) {
        outcome = ExchangeOutcome()
        startedAt = now
        format = .problem
        isHead = false
    }
}
