internal import Bytes
internal import Configuration
internal import EventLoop
internal import JWT
internal import Keys
internal import Logging
internal import OpenSSL

/// One set of keys that is fetched, an issuer's or one tenant's: does what its schedule says, gives
/// new sets to the workers, and tells those who asked.
///
/// Whatever goes wrong with a look, the last good set stays until `maxStale` has passed.
final class FetchedKeySource: EventHandler {
    /// A worker that waits for the end of a look.
    private struct Asker {
        let worker: Int
        /// Whether the look began because of it: what it did not find is missing. A look that was
        /// under way may have been answered before the key was published.
        let beganLook: Bool
    }

    let place: KeyPlace
    /// The set in force.
    private(set) var set: JWKSet?
    /// The last set of which no key can be used, since there was one of which some can.
    private var rejected: JWKSet?

    private let identity: KeySetIdentity
    private let allowsPlainHTTP: Bool
    private let surroundings: KeySurroundings
    private let metadata: Logger.Metadata
    private var schedule: KeySchedule
    private var ledger: KeyLedger
    private var fetch: KeySetFetch
    /// Takes the place of `fetch` at the next look: what servers have to prove has changed.
    private var nextFetch: KeySetFetch?
    private var askers: [Asker] = []
    /// What a snapshot is made of; nil where none is kept.
    private var snapshot: KeySnapshot?
    private var timer = Registration.none
    /// The fault that the log has heard of and that has not ended.
    private var reportedFault: KeyFault?
    private var hasReportedStale = false

    init(
        _ place: KeyPlace, of issuer: Configuration.Issuer, policy: KeyFetchPolicy,
        allowsPlainHTTP: Bool, tls: TLSClientContext?, _ surroundings: KeySurroundings
    ) {
        self.place = place
        self.allowsPlainHTTP = allowsPlainHTTP
        self.surroundings = surroundings
        identity = KeySetIdentity(
            issuer: issuer.rules.issuer, tenant: place.tenant, source: policy.location.text)
        ledger = KeyLedger(
            issuer: issuer.name, tenant: place.tenant, source: policy.location.text)
        schedule = KeySchedule(
            policy: policy, now: surroundings.milliseconds, seed: .random(in: .min ... .max))
        fetch = KeySetFetch(
            policy, allowsPlainHTTP: allowsPlainHTTP, tls: tls, means: surroundings.means)
        var metadata: Logger.Metadata = [
            "issuer": "\(issuer.name)", "source": "\(policy.location.text)",
        ]
        if let tenant = place.tenant { metadata["tenant"] = "\(tenant)" }
        self.metadata = metadata
    }

    /// Takes up what a snapshot holds, and begins to look, unless that is to be asked for.
    func start() {
        timer = surroundings.loop.addTimer(handler: self)
        restore()
        act()
    }

    /// Nothing is looked for any more. Those who asked are told so.
    private func stop() {
        fetch.cancel()
        surroundings.loop.forget(timer)
        timer = .none
        tellAskers(didSucceed: false, nextAt: surroundings.milliseconds)
    }

    /// Ends for good: what was kept for a restart goes too.
    func drop() {
        stop()
        surroundings.snapshots?.remove(identity)
        surroundings.publish(place, nil)
    }

    // MARK: What others want

    /// A worker has requests that lack a key.
    func wanted(by worker: Int) {
        switch schedule.unknownKey(now: surroundings.milliseconds) {
        case .started:
            askers.append(Asker(worker: worker, beganLook: true))
            begin(.doubted)
        case .joined:
            askers.append(Asker(worker: worker, beganLook: false))
        case .refused(let until):
            surroundings.lookEnded(worker, place, false, until)
        }
        setDeadline()
    }

    /// Whether there are no keys, and `wanted` would begin a look for them.
    var wouldLookForFirstKeys: Bool {
        self.set == nil && schedule.answer(toUnknownKeyAt: surroundings.milliseconds) == .started
    }

    /// What a tenant's claim to its place depends on.
    var standing: TenantPlaces.Standing {
        if set != nil { return .hasKeys }
        return schedule.isLooking ? .isLooking : .lacksKeys
    }

    /// An operator wants a look now.
    func refresh() -> KeySchedule.Answer {
        let answer = schedule.refreshNow(now: surroundings.milliseconds)
        if answer == .started { begin(.forgotten) }
        setDeadline()
        return answer
    }

    /// Servers have to prove something else from now on.
    func replace(_ tls: TLSClientContext?) {
        nextFetch = KeySetFetch(
            schedule.policy, allowsPlainHTTP: allowsPlainHTTP, tls: tls,
            means: surroundings.means)
        _ = refresh()
    }

    /// A token was verified with the key of this thumbprint.
    func used(_ thumbprint: [UInt8], at unixSeconds: Int64) {
        ledger.used(thumbprint, at: unixSeconds)
    }

    var status: IssuerKeyStatus {
        ledger.status(
            schedule, milliseconds: surroundings.milliseconds, now: surroundings.unixSeconds)
    }

    // MARK: The loop's side

    func ready(_ readiness: Readiness) {}

    func deadlineReached() {
        act()
    }

    private func act() {
        while let action = schedule.tick(now: surroundings.milliseconds) {
            switch action {
            case .fetch: begin(.remembered)
            case .withdraw: withdraw()
            }
        }
        setDeadline()
    }

    private func setDeadline() {
        guard timer != .none else { return }
        guard let deadline = schedule.nextDeadline else {
            return surroundings.loop.setDeadline(timer, nil)
        }
        let now = surroundings.milliseconds
        // The wheel turns within a day; an early look at the schedule finds nothing to do.
        let pause = deadline <= now ? 0 : min(86_400_000, deadline &- now)
        surroundings.loop.setDeadline(timer, Instant.now.advanced(byMilliseconds: pause))
    }

    // MARK: Looks

    private func begin(_ trust: DocumentTrust) {
        if let next = nextFetch {
            fetch = next
            nextFetch = nil
        }
        fetch.look(holding: set, trust) { [weak self] in self?.ended($0) }
    }

    private func ended(_ end: KeySetOutcome) {
        let now = surroundings.milliseconds
        var outcome = end
        // Keys were withdrawn while the look was under way: there is nothing left to be confirmed.
        if case .notModified = end, set == nil { outcome = .failed(.status(304)) }
        var hasChanged = false
        switch outcome {
        case .found(let found):
            schedule.succeeded(freshFor: found.freshFor, now: now)
            hasChanged = take(found)
            reportSuccess()
        case .notModified(let freshFor):
            schedule.succeeded(freshFor: freshFor, now: now)
            ledger.confirmed(at: surroundings.unixSeconds)
            keepSnapshot(entityTag: snapshot?.entityTag, text: snapshot?.text)
            reportSuccess()
        case .failed(let fault):
            failed(fault, now)
            return act()
        case .unusable(let set):
            reject(set)
            failed(.noUsableKey, now)
            return act()
        }
        answerAskers(hasChanged: hasChanged, now: now)
        act()
    }

    private func failed(_ fault: KeyFault, _ now: Int64) {
        schedule.failed(now: now)
        ledger.failed(fault, at: surroundings.unixSeconds)
        report(fault)
        tellAskers(didSucceed: false, nextAt: nextLookForUnknown(now))
    }

    private func nextLookForUnknown(_ now: Int64) -> Int64 {
        schedule.unknownKeyLookAllowedAt ?? now
    }

    /// Those who joined a look that brought nothing new get one of their own, if one may be begun:
    /// the answer may be older than the key they lack.
    private func answerAskers(hasChanged: Bool, now: Int64) {
        let joined = askers.filter { !$0.beganLook }
        askers.removeAll { !$0.beganLook }
        tellAskers(didSucceed: true, nextAt: nextLookForUnknown(now))
        guard !joined.isEmpty else { return }
        if !hasChanged, schedule.unknownKey(now: now) == .started {
            askers = joined.map { Asker(worker: $0.worker, beganLook: true) }
            return begin(.doubted)
        }
        askers = joined
        tellAskers(didSucceed: false, nextAt: nextLookForUnknown(now))
    }

    private func tellAskers(didSucceed: Bool, nextAt: Int64) {
        let told = askers
        askers = []
        for asker in told { surroundings.lookEnded(asker.worker, place, didSucceed, nextAt) }
    }

    // MARK: Sets

    /// Takes a set over; whether it has other keys than the last.
    private func take(_ found: FetchedKeySet) -> Bool {
        let unixSeconds = surroundings.unixSeconds
        ledger.took(found.set, from: .fetch, fetchedAt: unixSeconds, now: unixSeconds)
        if surroundings.snapshots != nil {
            keepSnapshot(entityTag: found.etag, text: String(validating: found.text.span))
        }
        let hasChanged = set.map { !$0.hasSameKeys(as: found.set) } ?? true
        surroundings.logger.report(found.set, after: set, metadata)
        rejected = nil
        set = found.set
        if hasChanged { surroundings.publish(place, found.set) }
        return hasChanged
    }

    /// A set came of which no key can be used. Why is told of each, once.
    private func reject(_ set: JWKSet) {
        ledger.rejected(set)
        surroundings.logger.reportSkipped(of: set, after: rejected ?? self.set, metadata)
        rejected = set
    }

    private func withdraw() {
        set = nil
        snapshot = nil
        ledger.withdrew()
        surroundings.publish(place, nil)
        surroundings.logger.error(
            "keys are too old to be trusted: tokens are answered 503 until a look succeeds",
            metadata: metadata)
    }

    // MARK: Snapshots

    private func restore() {
        guard let files = surroundings.snapshots else { return }
        let now = surroundings.unixSeconds
        guard let kept = files.load(identity, maxStale: schedule.policy.maxStale, unixSeconds: now)
        else { return }
        let age = kept.age(unixSeconds: now)
        guard let restored = try? JWKSet(fetched: kept.text.utf8Span.span),
            schedule.restored(fetchedAgo: age, now: surroundings.milliseconds)
        else { return }
        snapshot = kept
        set = restored
        fetch.restore(etag: kept.entityTag)
        ledger.took(restored, from: .snapshot, fetchedAt: kept.fetchedAt, now: now)
        surroundings.publish(place, restored)
        surroundings.logger.notice(
            "keys restored from a snapshot",
            metadata: metadata.merging([
                "keys": "\(restored.keys.count)", "ageSeconds": "\(age / 1000)",
            ]) { $1 })
    }

    private func keepSnapshot(entityTag: String?, text: String?) {
        guard let files = surroundings.snapshots, let text else { return }
        let kept = KeySnapshot(
            identity: identity, fetchedAt: surroundings.unixSeconds, entityTag: entityTag,
            text: text)
        snapshot = kept
        files.save(kept)
    }

    // MARK: The log

    private func reportSuccess() {
        hasReportedStale = false
        guard reportedFault != nil else { return }
        reportedFault = nil
        surroundings.logger.notice("keys can be fetched again", metadata: metadata)
    }

    /// Once for each fault that is another than the last, and once when the keys there are have
    /// outlived what the issuer asked for.
    private func report(_ fault: KeyFault) {
        let isStale = schedule.state(now: surroundings.milliseconds) == .stale
        guard fault != reportedFault || (isStale && !hasReportedStale) else { return }
        reportedFault = fault
        var details = metadata.merging(["fault": "\(fault)"]) { $1 }
        guard set != nil else {
            // A tenant's name may be a stranger's invention, and no reason to wake anybody.
            return surroundings.logger.log(
                level: place.tenant == nil ? .error : .info,
                "keys cannot be fetched: tokens are answered 503 until they can",
                metadata: details)
        }
        if let end = status.staleUntil { details["usedUntil"] = "\(end)" }
        guard isStale else {
            return surroundings.logger.warning(
                "keys cannot be fetched: the last good ones stay", metadata: details)
        }
        hasReportedStale = true
        surroundings.logger.error(
            "keys are stale and cannot be fetched: the last good ones stay", metadata: details)
    }
}
