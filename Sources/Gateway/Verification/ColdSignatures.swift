internal import EventLoop
internal import JWT
internal import OpenSSL

/// One worker's signatures of tokens that are not in its cache: some are checked at once, the
/// others when their turn comes, here or by the pool.
///
/// A check costs as much as two to five forwarded requests, so a worker gives at most 1 ms of a
/// turn to them, and 50 µs while others come whom that would hold up. One is checked at once; more
/// that come in the same turn wait for its end in a queue that is fair to senders, and for the next
/// turns where the time does not suffice. What would wait for longer than a few milliseconds goes
/// to the pool, as far as that keeps up. Requests whose tokens are known, or that need none, pass
/// by all of this; beside them a worker that has spent a turn's time lets whoever waits for its
/// processor go first, since that may be their client or their upstream.
final class ColdSignatures: EventHandler {
    /// Time of one turn of the loop. Checks in a row cost less than checks between other work, and
    /// so do requests that go on together: whoever takes them is woken once.
    private static let nanosecondsPerTurn: Int64 = 1_000_000
    /// The same while other requests come, each of which may wait for it twice, on its way there
    /// and back.
    private static let nanosecondsBesideOthers: Int64 = 50_000
    /// How long others are counted with after the last one came.
    private static let othersMilliseconds: Int64 = 100
    /// Work beyond this goes to the pool. Less is done before the pool has woken up, and for less
    /// than the handing over costs.
    private static let nanosecondsKept: Int64 = 10_000_000
    /// Most requests that wait: about 6 KiB each.
    private static let maxWaiting = 1024
    /// Most of one sender: as many connections as a busy client keeps open.
    private static let maxPerSender = 256
    /// Most octets of the tokens that wait; their claims take about three times as much.
    private static let maxWaitingBytes = 2 << 20
    /// Most that the pool has of this worker. It serves them in order, so fairness ends there.
    private static let maxHandedOver = 16
    /// How long the pool may take. Its threads give way to everything else on the machine, and may
    /// get no processor at all while this one has time.
    private static let poolMilliseconds: Int64 = 50

    private struct Waiting {
        let token: ExaminedToken
        let request: PendingVerdict
    }

    private let loop: EventLoop
    private let verifier: TokenVerifier
    private let handOver: ([VerificationJob]) -> Void
    private let countOthers: () -> UInt64
    private var registration = Registration.none
    private var queue = FairQueue<Waiting>(
        maxCount: ColdSignatures.maxWaiting, maxPerSender: ColdSignatures.maxPerSender,
        maxWeight: ColdSignatures.maxWaitingBytes)
    private var handedOver: [UInt64: Waiting] = [:]
    /// What the pool did not do in time.
    private var overdue = FIFO<Waiting>()
    private var lastTicket: UInt64 = 0
    private var turn = Instant(nanoseconds: 0)
    private var spent: Int64 = 0
    private var isBesideOthers = false
    private var others: UInt64 = 0
    private var othersUntil = Instant(nanoseconds: 0)
    /// What a check took lately, on average.
    private var usualCost: Int64 = 50_000

    /// `handOver`: gives signatures to the pool, whose results come to `take`. `countOthers`: how
    /// many requests have come so far that brought no token to check.
    init(
        loop: EventLoop, verifier: TokenVerifier, handOver: @escaping ([VerificationJob]) -> Void,
        countOthers: @escaping () -> UInt64
    ) {
        self.loop = loop
        self.verifier = verifier
        self.handOver = handOver
        self.countOthers = countOthers
        registration = loop.addTimer(handler: self)
    }

    /// How many requests wait here or at the pool.
    var count: Int { queue.count + handedOver.count + overdue.count }

    /// What a turn may spend.
    private var budget: Int64 {
        isBesideOthers
            ? ColdSignatures.nanosecondsBesideOthers : ColdSignatures.nanosecondsPerTurn
    }

    /// Whether anything is to be checked here.
    private var hasWork: Bool { !queue.isEmpty || overdue.count > 0 }

    /// Whether a signature can be checked at once: it is the first of this turn, and nobody waits
    /// whose turn would come before. HMAC costs less than waiting does.
    func mayCheckNow(_ token: ExaminedToken) -> Bool {
        if token.algorithm.family == .hmac { return true }
        beginTurn()
        return spent == 0 && !hasWork
    }

    /// Checks a signature here and now.
    func check(_ token: ExaminedToken) throws(TokenError) -> VerifiedToken {
        let start = Instant.now.nanoseconds
        defer {
            let cost = Instant.now.nanoseconds &- start
            spent &+= cost
            // What takes longer was interrupted by another thread.
            usualCost &+= (min(cost, ColdSignatures.nanosecondsPerTurn) &- usualCost) / 8
            if isBesideOthers, spent >= budget { Thread.giveWay() }
        }
        return try verifier.complete(token)
    }

    /// Lets a request wait for its signature. Says no where there is no room for this sender's.
    func add(_ token: ExaminedToken, _ request: PendingVerdict, from sender: SenderKey) -> Bool {
        let waiting = Waiting(token: token, request: request)
        guard queue.append(waiting, weighing: token.signedCount, from: sender) else {
            return false
        }
        request.awaitSignature()
        loop.resumeLater(registration)
        return true
    }

    /// Results came from the pool.
    func take(_ results: [VerificationResult]) {
        for result in results {
            guard let request = handedOver.removeValue(forKey: result.ticket)?.request else {
                continue
            }
            switch result.verdict {
            case .success(let token): request.settle(.verified(token))
            case .failure(let error): request.settle(.refused(error))
            }
        }
        if handedOver.isEmpty { loop.setDeadline(registration, nil) }
        if hasWork { loop.resumeLater(registration) }
    }

    /// The pool has had its time. What it still has is done here, and its results come too late.
    func deadlineReached() {
        for ticket in handedOver.keys.sorted() {
            if let waiting = handedOver.removeValue(forKey: ticket) { overdue.append(waiting) }
        }
        loop.resumeLater(registration)
    }

    // MARK: The queue's turns

    func ready(_ readiness: Readiness) {}

    func resume() {
        beginTurn()
        while spent < budget, let next = takeNext() { settle(next) }
        handOverExcess()
        if hasWork { loop.resumeLater(registration) }
    }

    private func settle(_ next: Waiting) {
        do throws(TokenError) {
            next.request.settle(.verified(try check(next.token)))
        } catch {
            next.request.settle(.refused(error))
        }
    }

    /// What would wait for long goes to the pool.
    private func handOverExcess() {
        let kept = Int(ColdSignatures.nanosecondsKept / max(1000, usualCost))
        var jobs: [VerificationJob] = []
        // A pool that does not keep up gets nothing until what it had is done.
        while overdue.count == 0, queue.count > kept,
            handedOver.count < ColdSignatures.maxHandedOver, let next = takeNext()
        {
            lastTicket &+= 1
            handedOver[lastTicket] = next
            jobs.append(VerificationJob(ticket: lastTicket, token: next.token))
        }
        if jobs.isEmpty { return }
        loop.setDeadline(registration, inMilliseconds: ColdSignatures.poolMilliseconds)
        handOver(jobs)
    }

    /// The next one whose client is still there.
    private func takeNext() -> Waiting? {
        while let next = overdue.popFirst() ?? queue.popFirst() {
            if next.request.isAwaited { return next }
        }
        return nil
    }

    private func beginTurn() {
        guard turn != loop.now else { return }
        turn = loop.now
        spent = 0
        let others = countOthers()
        if others != self.others {
            self.others = others
            othersUntil = turn.advanced(byMilliseconds: ColdSignatures.othersMilliseconds)
        }
        isBesideOthers = turn < othersUntil
    }
}
