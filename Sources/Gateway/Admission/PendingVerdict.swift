internal import Bytes
internal import EventLoop
internal import HTTP
internal import JWT

/// A request that is judged later: it waits for keys, or for its signature to be checked in another
/// thread.
///
///     Admission makes it ──▶ waits ──▶ settled ──▶ judged again ──▶ gone
///                              ▲                        │
///                              └────────────────────────┘ (a key first, then the signature)
///
/// What the head's bytes say by themselves is kept, with the head as it was parsed; what depends on
/// anything else, the token and its keys, is judged anew, so that no decision rests on half-known
/// facts. Whoever settles it holds it by reference; once its client has gone, settling it does
/// nothing.
final class PendingVerdict {
    /// What the wait has brought.
    enum Outcome {
        /// What was missing may be there: look again.
        case lookAgain
        /// The signature is right; the verifier has to say whether its key is still trusted.
        case verified(VerifiedToken)
        case refused(TokenError)
        /// The signature's turn did not come in time.
        case overloaded
    }

    /// Most milliseconds that one request waits, for whatever, all taken together.
    static let maxMilliseconds: Int64 = 1000

    /// The request's record, as far as it was written.
    let record: RequestRecord
    /// The bytes of the request's head, where its connection does not keep them.
    var bytes = ByteBuffer()
    /// The head as it was parsed, where there was one to keep; its worker's to be given back.
    private var head: RequestHead?
    /// Where the head leads, as far as it is kept.
    var target: Admission.Target?
    /// Whose keys it waits for, or last waited for.
    private(set) var place: KeyPlace?
    /// How many looks at those keys had ended when this began to wait, and for how many it waited.
    private(set) var looksBefore = 0
    /// When the look was asked for that it waits for, in milliseconds of the monotonic clock.
    private(set) var lookAskedAt = Int64.min
    private(set) var waits = 0

    private let deadline: Instant
    private var waiter: DownstreamStream?
    private var outcome: Outcome?
    /// What comes of it where nobody settles it in time.
    private var lateOutcome = Outcome.lookAgain

    init(_ record: RequestRecord, now: Instant) {
        self.record = record
        deadline = now.advanced(byMilliseconds: PendingVerdict.maxMilliseconds)
    }

    // MARK: The door's side

    /// Whether there is time left to wait in.
    func mayWait(at now: Instant) -> Bool { now < deadline }

    /// Begins to wait for keys. `looks`: how many looks at them have ended so far.
    func awaitKeys(for need: KeyNeed, looks: Int, askedAt: Int64) {
        place = need.place
        looksBefore = looks
        lookAskedAt = askedAt
        waits += 1
        lateOutcome = .refused(need.refusal)
    }

    /// Begins to wait for the signature to be checked.
    func awaitSignature() {
        place = nil
        lateOutcome = .overloaded
    }

    /// What the wait has brought. It does not wait any more then.
    func takeOutcome() -> Outcome {
        waiter = nil
        return outcome.take() ?? .lookAgain
    }

    // MARK: The side of whoever is waited for

    /// Whether anyone still wants to hear of it.
    var isAwaited: Bool { waiter != nil && outcome == nil }

    /// Says what came of it. The client's side judges the request again in a turn of its own.
    func settle(_ outcome: Outcome) {
        guard self.outcome == nil, let waiter else { return }
        self.outcome = outcome
        waiter.verdictReady()
    }

    // MARK: The client's side

    /// Whether it can be judged again.
    var isSettled: Bool { outcome != nil }

    /// Milliseconds that are left, at least one.
    func millisecondsLeft(at now: Instant) -> Int64 {
        max(1, deadline.milliseconds(since: now))
    }

    /// Who is told when it is settled, and the head as it was parsed.
    func tell(_ waiter: DownstreamStream, _ head: RequestHead?) {
        self.waiter = waiter
        self.head = head
        if head == nil { target = nil }
    }

    /// Takes the head out, to judge the same bytes again.
    func takeHead() -> RequestHead? { head.take() }

    /// The time is up. It can be judged again at once.
    func expire() {
        waiter = nil
        if outcome == nil { outcome = lateOutcome }
    }

    /// The client has gone.
    func forget() {
        waiter = nil
    }
}
