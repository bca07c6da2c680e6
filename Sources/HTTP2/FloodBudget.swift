/// How much a peer may ask of a connection beyond requests and bodies (docs/threat-model.md). Each
/// budget is a bucket: a burst, and what comes back each second. Those for control frames and
/// window updates also grow with the useful work they belong to, so that busy peers do not meet
/// them.
enum FloodBudget {
    /// RST_STREAM received, and resets that the peer's faults made us send: the "rapid reset" and
    /// "made you reset" attacks (CVE-2023-44487, CVE-2025-8671). A page left by its reader cancels
    /// some dozens.
    static let resets = Budget(burst: 200, perSecond: 20)
    /// SETTINGS, PING, PRIORITY, GOAWAY, frames of unknown types, empty DATA, and HEADERS that open
    /// nothing: each costs work or an answer and moves no message.
    static let control = Budget(burst: 200, perSecond: 20)
    /// WINDOW_UPDATE: real peers send some for each body they take.
    static let windowUpdates = Budget(burst: 1000, perSecond: 20)

    /// Control frames earned by a HEADERS frame that opens a stream: its trailers, and the empty
    /// DATA that some peers send before them.
    static let controlPerStream = 2
    /// DATA bytes sent that earn a WINDOW_UPDATE.
    static let bytesPerWindowUpdate = 256
    /// DATA bytes sent or received that earn a control frame: gRPC peers measure the path by PINGs
    /// as data comes.
    static let bytesPerControl = 1024
    /// WINDOW_UPDATEs earned by a DATA frame that emptied its stream's buffer: gRPC answers a small
    /// message with up to three, two for the stream and one for the connection. A frame cut short
    /// by a small window earns nothing, or one-byte windows would pay for themselves.
    static let updatesPerLastFrame = 4
    /// Control frames earned by the same.
    static let controlPerLastFrame = 2

    /// How much more of everything an upstream may ask, which the operator chose: it answers many
    /// clients on one connection, and gRPC servers measure the path as they do.
    static let upstreamFactor = 10

    /// CONTINUATION frames in one header block, and those of them without payload: "CONTINUATION
    /// flood". A head of 64 KiB takes four of the default size.
    static let continuations = 16
    /// See `continuations`.
    static let emptyContinuations = 4

    struct Budget: Equatable, Sendable {
        let burst: Int
        let perSecond: Int
    }
}

/// A bucket of tokens that fills with time.
struct TokenBucket: Equatable, Sendable {
    /// In thousandths, so that a millisecond's share is whole.
    private var level: Int
    private let most: Int
    private let perMillisecond: Int

    init(_ budget: FloodBudget.Budget, times factor: Int = 1) {
        most = budget.burst &* factor &* 1000
        level = most
        perMillisecond = budget.perSecond &* factor
    }

    /// Adds what `milliseconds`, between none and a day, bring.
    mutating func refill(_ milliseconds: Int) { add(milliseconds &* perMillisecond) }

    mutating func credit(_ tokens: Int) { add(tokens &* 1000) }

    /// Takes a token; false where there is none.
    mutating func take() -> Bool {
        if level < 1000 { return false }
        level &-= 1000
        return true
    }

    private mutating func add(_ amount: Int) { level = min(most, level &+ amount) }
}
