internal import EventLoop
internal import JWT
internal import Logging
internal import OpenSSL
internal import Synchronization

/// A signature that another thread shall check. `ticket` names the request to the worker that asks,
/// which may have let go of it when the answer comes.
struct VerificationJob: Sendable {
    let ticket: UInt64
    let token: ExaminedToken
}

/// What came of it.
struct VerificationResult: Sendable {
    let ticket: UInt64
    let verdict: Result<VerifiedToken, TokenError>
}

/// Threads that check the signatures for which the workers' loops have no time.
///
/// They run at a lower priority than the workers: where processors are short, tokens that nobody
/// has seen before wait, and requests with known ones do not. Each has its own mailbox, so that
/// nothing but plain data is shared.
final class VerificationPool: Sendable {
    /// What a thread is told.
    fileprivate enum Message: Sendable {
        case check([VerificationJob], worker: Int)
        case makeTable(PublicKey, worker: Int)
        case stop
    }

    /// Results that go to their worker together: a wake-up costs as much as a cheap signature.
    fileprivate static let resultsAtOnce = 4
    /// At 10, a thread gets a tenth of what a worker gets that wants the same processor.
    private static let niceness: Int32 = 10

    /// As many threads as half the processors: the workers use them all, and these only what they
    /// leave.
    static var usualThreadCount: Int { max(1, Process.processorCount / 2) }

    private let mailboxes: [Mailbox<Message>]
    /// The tables of busy keys, for all workers.
    let shelf = PointTableShelf()
    private let next = Atomic<Int>(0)
    /// No more tables are made: whoever waits for the threads' end waits for one at most.
    private let isStopping = Atomic<Bool>(false)

    private init(mailboxes: [Mailbox<Message>]) {
        self.mailboxes = mailboxes
    }

    /// Starts the threads. `deliver` is called in them, with a worker's number and what it is to be
    /// told.
    static func start(
        threads count: Int = VerificationPool.usualThreadCount, logger: Logger,
        deliver: @escaping @Sendable (Int, WorkerMessage) -> Void
    ) throws(SystemError) -> VerificationThreads {
        var mailboxes: [Mailbox<Message>] = []
        for _ in 0..<count { mailboxes.append(try Mailbox()) }
        let pool = VerificationPool(mailboxes: mailboxes)
        var threads = VerificationThreads(pool: pool)
        for (number, mailbox) in mailboxes.enumerated() {
            threads.add(
                try Thread.start(name: "verify-\(number)", niceness: VerificationPool.niceness) {
                    do throws(SystemError) {
                        try VerificationThread(mailbox, of: pool, deliver: deliver).run()
                    } catch {
                        // What was handed over meanwhile is refused when its time is up, and the
                        // workers go on by themselves.
                        logger.error("No thread to check signatures: \(error)")
                    }
                })
        }
        return threads
    }

    /// Hands signatures over. The results come in any order, some earlier than others.
    func check(_ jobs: [VerificationJob], worker: Int) {
        let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
        mailboxes[abs(turn % mailboxes.count)].post(.check(jobs, worker: worker))
    }

    /// Has a table made for a key that checks a lot. It comes when it is done, or never.
    func makeTable(of key: PublicKey, worker: Int) {
        mailboxes[0].post(.makeTable(key, worker: worker))
    }

    /// The table of a key, by a thread of the pool.
    fileprivate func table(of key: PublicKey) -> PointTable? {
        isStopping.load(ordering: .relaxed) ? nil : shelf.table(of: key)
    }

    fileprivate func stop() {
        isStopping.store(true, ordering: .relaxed)
        for mailbox in mailboxes { mailbox.post(.stop) }
    }
}

/// The pool's threads, to be ended once.
struct VerificationThreads: ~Copyable {
    let pool: VerificationPool
    private var threads = ThreadGroup()

    fileprivate init(pool: VerificationPool) {
        self.pool = pool
    }

    fileprivate mutating func add(_ thread: consuming Thread) {
        threads.add(thread)
    }

    /// Lets each thread end, after what it was given before.
    consuming func stop() {
        pool.stop()
        threads.join()
    }
}

/// What one thread of the pool does.
private final class VerificationThread {
    private let loop: EventLoop
    private let checker = SignatureChecker()
    private let deliver: @Sendable (Int, WorkerMessage) -> Void
    private var reader: MailboxReader<VerificationPool.Message>?

    init(
        _ mailbox: Mailbox<VerificationPool.Message>, of pool: VerificationPool,
        deliver: @escaping @Sendable (Int, WorkerMessage) -> Void
    ) throws(SystemError) {
        loop = try EventLoop()
        self.deliver = deliver
        reader = try MailboxReader(loop: loop, mailbox: mailbox) { [unowned self] message in
            switch message {
            case .check(let jobs, let worker): check(jobs, worker)
            case .makeTable(let key, let worker):
                if let table = pool.table(of: key) { deliver(worker, .pointTable(table)) }
            case .stop: loop.stop()
            }
        }
    }

    func run() {
        loop.run()
    }

    private func check(_ jobs: [VerificationJob], _ worker: Int) {
        var results: [VerificationResult] = []
        for job in jobs {
            let verdict: Result<VerifiedToken, TokenError>
            do throws(TokenError) {
                verdict = .success(try checker.check(job.token))
            } catch {
                verdict = .failure(error)
            }
            results.append(VerificationResult(ticket: job.ticket, verdict: verdict))
            if results.count == VerificationPool.resultsAtOnce {
                deliver(worker, .signatures(results))
                results.removeAll(keepingCapacity: true)
            }
        }
        if !results.isEmpty { deliver(worker, .signatures(results)) }
    }
}
