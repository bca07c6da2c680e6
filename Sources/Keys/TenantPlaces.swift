/// Which of an issuer's tenants are held, and how fast tenants without keys are looked for. Does
/// nothing itself. Times are milliseconds of a monotonic clock.
///
/// Tenants' names come from tokens that nobody has verified. So a token earns its tenant a place,
/// but does not keep it: only a verified one does, for an hour. Where no list says who may be a
/// tenant, what tokens can have looked for is bounded, however many names they make up.
package struct TenantPlaces: Sendable {
    /// What there is of a tenant.
    package enum Standing: Sendable, Equatable {
        /// No keys, and nothing under way.
        case lacksKeys
        /// No keys yet: a look is under way.
        case isLooking
        /// Keys.
        case hasKeys
    }

    /// What becomes of a name that a token came with.
    package enum Answer: Sendable, Equatable {
        /// The tenant is held.
        case held
        /// It is from now on; the one named here is let go for it.
        case taken(from: String?)
        /// It is not: all places are taken by those with better claims, or too many names were
        /// looked for.
        case refused
    }

    private struct Tenant {
        let takenAt: Int64
        var usedAt: Int64?
    }

    /// How little a tenant's claim to its place is; the least gives way first.
    private struct Claim: Comparable {
        let rank: Int
        let since: Int64

        static func < (left: Claim, right: Claim) -> Bool {
            (left.rank, left.since) < (right.rank, right.since)
        }
    }

    /// Looks for tenants without keys at once, where any name may be one.
    package static let burst: Int64 = 20
    /// Milliseconds for another.
    package static let pause: Int64 = 500
    /// Milliseconds that a tenant with keys has for its first verified token: the longest usual
    /// look, the wait for it, and the second in which a use becomes known.
    package static let trial: Int64 = 10_000
    /// Milliseconds without a verified token, after which a tenant may give way.
    package static let rest: Int64 = 3_600_000

    private let limit: Int
    private let isListed: Bool
    private var tenants: [String: Tenant] = [:]
    /// From when on the next may be looked for, if the burst were spent.
    private var creditAt = Int64.min

    /// No tenants. `isListed`: a list says who may be one, so that nobody can make names up.
    package init(limit: Int, isListed: Bool) {
        self.limit = limit
        self.isListed = isListed
    }

    /// A token names this tenant. `isKept`: what was kept of it before a restart makes a look
    /// needless, which is asked only where no look may begin. `standing`: what there is of each
    /// that is held.
    package mutating func ask(
        for name: String, isKept: @autoclosure () -> Bool = false, now: Int64,
        standing: (String) -> Standing
    ) -> Answer {
        if tenants[name] != nil { return .held }
        guard hasCredit(now) || isKept() else { return .refused }
        var victim: String?
        if tenants.count >= limit {
            victim = weakest(now, standing)
            guard let victim else { return .refused }
            tenants[victim] = nil
        }
        tenants[name] = Tenant(takenAt: now, usedAt: nil)
        return .taken(from: victim)
    }

    /// A tenant's token was verified.
    package mutating func used(_ name: String, now: Int64) {
        tenants[name]?.usedAt = now
    }

    /// Whether a look for a tenant without keys may begin now, which then counts.
    package mutating func mayLook(now: Int64) -> Bool {
        if isListed { return true }
        guard hasCredit(now) else { return false }
        creditAt = credit(now).addingSaturated(Self.pause)
        return true
    }

    private func hasCredit(_ now: Int64) -> Bool {
        isListed || credit(now).addingSaturated(Self.pause) <= now
    }

    /// A bucket of `burst` looks, one more every `pause`.
    private func credit(_ now: Int64) -> Int64 {
        max(creditAt, now.subtractingSaturated(Self.burst * Self.pause))
    }

    private func weakest(_ now: Int64, _ standing: (String) -> Standing) -> String? {
        let claims = tenants.compactMap { name, tenant in
            claim(of: tenant, standing(name), now).map { (name, $0) }
        }
        return claims.min { $0.1 < $1.1 }?.0
    }

    /// Nil for a tenant that stays.
    private func claim(of tenant: Tenant, _ standing: Standing, _ now: Int64) -> Claim? {
        let since = tenant.usedAt ?? tenant.takenAt
        switch standing {
        case .lacksKeys: return Claim(rank: 0, since: since)
        case .isLooking: return Claim(rank: 1, since: since)
        case .hasKeys:
            let isUsed = tenant.usedAt != nil
            let stay = isUsed ? Self.rest : Self.trial
            guard now.subtractingSaturated(since) >= stay else { return nil }
            return Claim(rank: isUsed ? 3 : 2, since: since)
        }
    }
}
