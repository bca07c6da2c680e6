internal import Configuration
internal import JWT
internal import Keys

/// The requests of one worker that wait for keys, and what is known of keys that nobody has.
///
/// Looks at issuers are the control thread's affair. A worker asks for one where a token lacks a
/// key, lets a bounded number of requests wait for it, and remembers what it did not find, so that
/// a storm of unknown `kid`s costs a look-up in a table.
final class KeyWaits {
    /// Most requests that wait for the keys of one place. More would only be more memory: whoever
    /// comes later is told at once what those who wait are told in a second.
    private static let maxWaiters = 100
    /// Most that wait for any keys.
    private static let maxWaitersInAll = 1000
    /// Most looks that one request waits for, where one said nothing about its key.
    private static let maxLooks = 2
    /// Most places of which anything is known: tenants' names come from outside.
    private static let maxPlaces = 256

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
    private let ask: (KeyPlace) -> Void
    private var places: [KeyPlace: Place] = [:]
    private(set) var count = 0

    /// `ask`: asks for a look. Its end is told by `lookEnded`.
    init(cooldowns: [Int64?], ask: @escaping (KeyPlace) -> Void) {
        self.cooldowns = cooldowns
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
        guard place.waiters.count < KeyWaits.maxWaiters, count < KeyWaits.maxWaitersInAll else {
            return false
        }
        if place.isLooking { return true }
        guard now >= place.nextLookAt else { return false }
        place.isLooking = true
        place.askedAt = now
        ask(need.place)
        return true
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
    }

    /// Another set is in force: whatever was missing may be there.
    func keysChanged(_ name: KeyPlace) {
        guard let place = places[name] else { return }
        place.absent.removeAll()
        for pending in takeWaiters(place) { pending.settle(.lookAgain) }
    }

    /// The look that was asked for came to its end, or was refused. `didSucceed`: a set was seen
    /// by a look that began after it was asked for. `next`: when another one may be asked for.
    func lookEnded(_ name: KeyPlace, didSucceed: Bool, nextAt next: Int64) {
        guard let place = places[name] else { return }
        place.isLooking = false
        place.looks += 1
        place.nextLookAt = next
        place.didSucceed = didSucceed
        for pending in takeWaiters(place) { pending.settle(.lookAgain) }
    }

    private func takeWaiters(_ place: Place) -> [PendingVerdict] {
        let waiters = place.waiters
        place.waiters = []
        count -= waiters.count
        return waiters
    }

    /// What is known of a place, now at the latest; nil where its keys are not fetched, or too many
    /// places are being looked at.
    private func place(_ name: KeyPlace) -> Place? {
        if let place = places[name] { return place }
        guard name.issuer < cooldowns.count, let cooldown = cooldowns[name.issuer] else {
            return nil
        }
        if places.count >= KeyWaits.maxPlaces {
            // The one that may be asked about the soonest: what is forgotten costs a question.
            let victim = places.filter { !$0.value.isLooking && $0.key.tenant != nil }
                .min { $0.value.nextLookAt < $1.value.nextLookAt }
            guard let victim else { return nil }
            places[victim.key] = nil
        }
        let place = Place(cooldown: cooldown)
        places[name] = place
        return place
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
