internal import Configuration
internal import JWT
internal import Keys
internal import OpenSSL

/// The keys of an issuer's tenants, looked for as tokens name them.
///
/// Tenants' names come from tokens that nobody has verified, so what they can cause is bounded: how
/// many sets there are, and where no list says who may be one, how fast new ones are looked for. A
/// tenant that has keys gives way only after an hour without use, one without keys to the next.
final class TenantKeys {
    private struct Tenant {
        let source: FetchedKeySource
        /// Milliseconds of the monotonic clock.
        var touchedAt: Int64
    }

    /// New tenants looked for at once, where any name may be one.
    private static let burst: Int64 = 20
    /// Milliseconds for another.
    private static let pause: Int64 = 500
    /// Milliseconds without use, after which a tenant with keys may give way.
    private static let rest: Int64 = 3_600_000

    private let issuer: Configuration.Issuer
    private let index: Int
    private let settings: Configuration.FetchedKeys
    private let rules: TenantRules
    private let surroundings: KeySurroundings
    private var tls: TLSClientContext?
    private var tenants: [String: Tenant] = [:]
    /// From when on the next may be looked for, if the burst were spent.
    private var creditAt = Int64.min

    init(
        _ index: Int, _ issuer: Configuration.Issuer, _ rules: TenantRules,
        _ settings: Configuration.FetchedKeys, tls: TLSClientContext?,
        _ surroundings: KeySurroundings
    ) {
        self.index = index
        self.issuer = issuer
        self.rules = rules
        self.settings = settings
        self.tls = tls
        self.surroundings = surroundings
    }

    /// Those that were asked for and not let go, by name.
    var sources: [FetchedKeySource] {
        tenants.sorted { $0.key < $1.key }.map(\.value.source)
    }

    /// A worker has requests that lack a key of a tenant.
    func wanted(_ place: KeyPlace, by worker: Int) {
        let now = surroundings.milliseconds
        guard let name = place.tenant, let source = source(of: name, now: now) else {
            return surroundings.lookEnded(worker, place, false, now &+ TenantKeys.pause)
        }
        source.wanted(by: worker)
    }

    /// A token was verified with the key of this thumbprint.
    func used(_ tenant: String, _ thumbprint: [UInt8], at unixSeconds: Int64) {
        tenants[tenant]?.touchedAt = surroundings.milliseconds
        tenants[tenant]?.source.used(thumbprint, at: unixSeconds)
    }

    /// Servers have to prove something else from now on.
    func replace(_ tls: TLSClientContext?) {
        self.tls = tls
        for source in sources { source.replace(tls) }
    }

    private func source(of name: String, now: Int64) -> FetchedKeySource? {
        if let known = tenants[name] {
            tenants[name]?.touchedAt = now
            return known.source
        }
        guard let policy = settings.policy(forTenant: name), makeRoom(now), takeCredit(now) else {
            return nil
        }
        let source = FetchedKeySource(
            KeyPlace(issuer: index, tenant: name), of: issuer, policy: policy,
            allowsPlainHTTP: settings.allowsPlainHTTP, tls: tls, surroundings)
        tenants[name] = Tenant(source: source, touchedAt: now)
        source.start()
        return source
    }

    private func makeRoom(_ now: Int64) -> Bool {
        guard tenants.count >= rules.maxTenants else { return true }
        let victim =
            tenants.filter { $0.value.source.set == nil }.min(by: TenantKeys.isOlder)
            ?? tenants.filter { now &- $0.value.touchedAt >= TenantKeys.rest }
            .min(by: TenantKeys.isOlder)
        guard let victim else { return false }
        tenants[victim.key] = nil
        victim.value.source.drop()
        return true
    }

    private static func isOlder(
        _ left: (key: String, value: Tenant), _ right: (key: String, value: Tenant)
    ) -> Bool {
        left.value.touchedAt < right.value.touchedAt
    }

    /// A bucket of `burst` looks, one more every `pause`.
    private func takeCredit(_ now: Int64) -> Bool {
        if rules.allowed != nil { return true }
        let start = max(creditAt, now &- TenantKeys.burst &* TenantKeys.pause)
        guard start &+ TenantKeys.pause <= now else { return false }
        creditAt = start &+ TenantKeys.pause
        return true
    }
}
