internal import Configuration
internal import JWT
internal import Keys

/// The requests of one worker that wait for keys, and what is known of keys that nobody has.
///
/// Looks at issuers are the control thread's affair. A worker asks for one where a token lacks a
/// key, lets a bounded number of requests wait for it, and remembers what it did not find, so that
/// a storm of unknown `kid`s costs a look-up in a table.
final class KeyWaits {
    /// Most looks that one request waits for, where one said nothing about its key.
    private static let maxLooks = 2
    /// Most tenants of which anything is known: their names come from outside.
    private static let maxTenants = 256

    private final class Place {
        /// A look that was asked for is under way.
        var isLooking = false
        var waiters: [PendingVerdict] = []
        /// Milliseconds of the monotonic clock, before which asking for a look is pointless.
        var nextLookAt = Int64.min
        /// When the latest look was asked for, how many have ended, and whether the latest of those
        /// saw a set.
        var askedAt = Int64.min
        var looks = 0
        var didSucceed = false
        var absent: UnknownKeys

        init(cooldown: Int64) {
            absent = UnknownKeys(cooldown: cooldown)
        }
    }

    /// For each issuer the least milliseconds between looks for unknown keys; nil where its keys
    /// are not fetched, so that waiting for others is pointless.
    private let cooldowns: [Int64?]
    /// How many wait for each issuer's keys at all workers.
    private let waiters: KeyWaiters
    private let ask: (KeyPlace) -> Void
    private var places: [KeyPlace: Place] = [:]
    private var tenantCount = 0
    private(set) var count = 0

    /// `ask`: asks for a look. Its end is told by `lookEnded`.
    init(cooldowns: [Int64?], waiters: KeyWaiters, ask: @escaping (KeyPlace) -> Void) {
        self.cooldowns = cooldowns
        self.waiters = waiters
        self.ask = ask
    }

    /// Whether a request may wait for a key, for which a look was asked for now if need be. If so,
    /// it has to be handed over with `add`. `last`: the request, where it has waited before.
    func mayWait(for need: KeyNeed, after last: PendingVerdict?, now: Int64) -> Bool {
        guard let place = place(need.place) else { return false }
        if let last, last.place == need.place, last.looksBefore < place.looks {
            if place.didSucceed, need.refusal == .unknownKey {
                // From the look's beginning, as the cool-down: who came while it was under way may
                // have been too late for it. The same look counts once, however many waited.
                place.absent.missed(need.hash, now: last.lookAskedAt)
            }
            if place.didSucceed || last.waits >= KeyWaits.maxLooks { return false }
        }
        if need.refusal == .unknownKey, place.absent.isAbsent(need.hash, now: now) { return false }
        if !place.isLooking {
            guard now >= place.nextLookAt else { return false }
            // Whether this one may wait or not: the next may not have to.
            place.isLooking = true
            place.askedAt = now
            ask(need.place)
        }
        return waiters.enter(need.place.issuer)
    }

    /// A request waits for a key.
    func add(_ pending: PendingVerdict, for need: KeyNeed) {
        guard let place = places[need.place] else { return }
        pending.awaitKeys(for: need, looks: place.looks, askedAt: place.askedAt)
        place.waiters.append(pending)
        count += 1
    }

    /// A request does not wait any more.
    func remove(_ pending: PendingVerdict) {
        guard let name = pending.place, let place = places[name],
            let index = place.waiters.firstIndex(where: { $0 === pending })
        else { return }
        place.waiters.remove(at: index)
        count -= 1
        waiters.leave(name.issuer, 1)
    }

    /// Another set is in force: whatever was missing may be there. When a look may be asked for was
    /// said of the last set: a pause while there were no keys is none for the keys there are, nor
    /// the other way round. Who asks too early is refused, and told the time.
    func keysChanged(_ name: KeyPlace) {
        guard let place = places[name] else { return }
        place.absent.removeAll()
        place.nextLookAt = .min
        for pending in takeWaiters(name, place) { pending.settle(.lookAgain) }
    }

    /// The look that was asked for came to its end, or was refused. `didSucceed`: a set was seen
    /// by a look that began after it was asked for. `next`: when another one may be asked for.
    func lookEnded(_ name: KeyPlace, didSucceed: Bool, nextAt next: Int64) {
        guard let place = places[name] else { return }
        place.isLooking = false
        place.looks += 1
        place.nextLookAt = next
        place.didSucceed = didSucceed
        for pending in takeWaiters(name, place) { pending.settle(.lookAgain) }
    }

    private func takeWaiters(_ name: KeyPlace, _ place: Place) -> [PendingVerdict] {
        let taken = place.waiters
        place.waiters = []
        count -= taken.count
        waiters.leave(name.issuer, taken.count)
        return taken
    }

    /// What is known of a place, now at the latest; nil where its keys are not fetched, or too many
    /// tenants are being looked for.
    private func place(_ name: KeyPlace) -> Place? {
        if let place = places[name] { return place }
        guard name.issuer < cooldowns.count, let cooldown = cooldowns[name.issuer] else {
            return nil
        }
        if name.tenant != nil {
            guard makeRoom() else { return nil }
            tenantCount += 1
        }
        let place = Place(cooldown: cooldown)
        places[name] = place
        return place
    }

    /// Forgets the tenant that may be asked about the soonest: what is forgotten costs a question.
    private func makeRoom() -> Bool {
        guard tenantCount >= KeyWaits.maxTenants else { return true }
        let victim = places.filter { !$0.value.isLooking && $0.key.tenant != nil }
            .min { $0.value.nextLookAt < $1.value.nextLookAt }
        guard let victim else { return false }
        places[victim.key] = nil
        tenantCount -= 1
        return true
    }
}

extension Configuration.KeySource {
    /// The least milliseconds between looks for unknown keys; nil where keys are not fetched.
    var unknownKeyCooldown: Int64? {
        switch self {
        case .file, .inline, .secret: nil
        case .fetched(let keys): keys.policy.unknownKeyCooldown
        }
    }
}
