internal import Authorization
internal import Configuration
internal import EventLoop
internal import JWT
internal import OpenSSL
internal import Telemetry

/// From a token's bytes to what is known of it: the cache of verified ones first, then the
/// examination, then the signature. A worker has one. A request whose token lacks a key that may be
/// on its way, or whose signature has to wait for its turn, is judged again later.
final class TokenReader {
    /// What a token shows, if it can be said yet.
    enum Finding {
        case credential(Credential)
        case waiting(PendingVerdict)
    }

    private let authorizer: Authorizer
    private let verifier: TokenVerifier
    private let cache: TokenCache
    private let waits: KeyWaits
    private let uses: KeyUses
    private let signatures: ColdSignatures
    private let worker: Worker

    init(_ configuration: Configuration, _ authorizer: Authorizer, worker: Worker) {
        self.authorizer = authorizer
        verifier = TokenVerifier(
            configuration.issuers.map(\.rules), maxTokenBytes: configuration.limits.token,
            askForTable: { [unowned worker] in worker.askForTable(of: $0) })
        cache = TokenCache(configuration.tokenCache)
        waits = KeyWaits(
            cooldowns: configuration.issuers.map(\.keys.unknownKeyCooldown),
            waiters: worker.keyWaiters
        ) { [unowned worker] in worker.tellControl(.keysWanted($0, worker: worker.index)) }
        uses = KeyUses(loop: worker.loop) { [unowned worker] in
            worker.tellControl(.keysUsed($0))
        }
        signatures = ColdSignatures(
            loop: worker.loop, verifier: verifier,
            handOver: { [unowned worker] in worker.handOver($0) },
            countOthers: { [unowned worker] in
                worker.counters.requests &- worker.counters.tokenCacheMisses
            })
        self.worker = worker
        for (index, issuer) in configuration.issuers.enumerated() {
            if case .inline(let set) = issuer.keys {
                replaceKeys(of: KeyPlace(issuer: index), with: set)
            }
        }
    }

    // MARK: Keys

    /// Takes a new key set; nil withdraws the keys. Requests that wait for them are judged again.
    func replaceKeys(of place: KeyPlace, with set: JWKSet?) {
        if verifier.replaceKeys(of: place, with: set) { waits.keysChanged(place) }
    }

    /// A look for keys that was asked for came to its end: see `WorkerMessage.lookEnded`.
    func lookEnded(_ place: KeyPlace, didSucceed: Bool, nextAt: Int64) {
        waits.lookEnded(place, didSucceed: didSucceed, nextAt: nextAt)
    }

    /// A request does not wait any more.
    func endWait(of pending: PendingVerdict) {
        waits.remove(pending)
    }

    /// The pool has checked signatures.
    func take(_ results: [VerificationResult]) {
        signatures.take(results)
    }

    /// The pool has made a table.
    func adopt(_ table: PointTable) {
        verifier.adopt(table)
    }

    // MARK: Tokens

    /// Looks at what follows `Bearer ` in the field. `pending`: the same request as it waited.
    func read(
        _ token: Span<UInt8>, route: Int, from client: Client, _ record: RequestRecord,
        _ pending: PendingVerdict?
    ) throws(Failure) -> Finding {
        let now = now
        let key = cache.key(of: token)
        let outcome = pending?.takeOutcome()
        // A key that went meanwhile takes its tokens along.
        if case .verified(let verified)? = outcome,
            verifier.stillTrusts(verified, now: now.wallSeconds)
        {
            return .credential(admit(verified, key, now))
        }
        if let known = cache.find(token, key, at: now, trustedBy: verifier) {
            worker.counters.tokenCacheHits += 1
            return .credential(.verified(known))
        }
        switch outcome {
        case nil: worker.counters.tokenCacheMisses += 1
        case .lookAgain, .verified: break
        case .refused(let error): return .credential(.refused(error))
        case .overloaded: throw .overloaded
        }
        return try examine(token, key, route, client, record, pending, now)
    }

    /// Looks at a token that is not known. It may lack a key that is worth waiting for, or have to
    /// wait for its signature's turn.
    private func examine(
        _ token: Span<UInt8>, _ key: TokenKey, _ route: Int, _ client: Client,
        _ record: RequestRecord, _ pending: PendingVerdict?, _ now: TokenTime
    ) throws(Failure) -> Finding {
        let examined: ExaminedToken
        do throws(TokenError) {
            let admitted = authorizer.issuers(ofRoute: route)
            switch try verifier.examine(token, admitting: admitted, now: now.wallSeconds) {
            case .ready(let ready): examined = ready
            case .lacksKey(let need):
                if let waiting = wait(for: need, record, pending, now) { return .waiting(waiting) }
                return .credential(.refused(need.refusal))
            }
            if signatures.mayCheckNow(examined) {
                return .credential(admit(try signatures.check(examined), key, now))
            }
        } catch {
            // One that could be taken apart is well-formed; of others it is yet to be seen.
            guard BearerToken.isWellFormed(token) else { throw .authorizationField }
            return .credential(.refused(error))
        }
        return .waiting(try wait(forSignatureOf: examined, from: client, record, pending))
    }

    /// Lets a request wait for its signature's turn.
    private func wait(
        forSignatureOf token: ExaminedToken, from client: Client, _ record: RequestRecord,
        _ pending: PendingVerdict?
    ) throws(Failure) -> PendingVerdict {
        let waiting = pending ?? PendingVerdict(record, now: worker.loop.now)
        guard waiting.mayWait(at: worker.loop.now),
            signatures.add(token, waiting, from: SenderKey(client))
        else { throw .overloaded }
        worker.counters.waitsForSignatures &+= 1
        return waiting
    }

    private func admit(
        _ verified: VerifiedToken, _ key: TokenKey, _ now: TokenTime
    ) -> Credential {
        cache.insert(verified, key, at: now)
        uses.note(verified, unixSeconds: now.wallSeconds)
        return .verified(verified)
    }

    /// Lets a request wait for a key, if that may help and there is time and room.
    private func wait(
        for need: KeyNeed, _ record: RequestRecord, _ pending: PendingVerdict?, _ now: TokenTime
    ) -> PendingVerdict? {
        guard pending?.mayWait(at: worker.loop.now) ?? true,
            waits.mayWait(for: need, after: pending, now: now.monotonicMilliseconds)
        else { return nil }
        let waiting = pending ?? PendingVerdict(record, now: worker.loop.now)
        waits.add(waiting, for: need)
        worker.counters.waitsForKeys &+= 1
        return waiting
    }

    private var now: TokenTime {
        TokenTime(
            wallSeconds: worker.unixMilliseconds / 1000,
            monotonicMilliseconds: worker.loop.now.nanoseconds / 1_000_000)
    }
}
