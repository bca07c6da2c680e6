internal import Configuration
internal import JWT
internal import Keys
internal import OpenSSL

/// The keys of an issuer's tenants, looked for as tokens name them. Who is held and how fast they
/// are looked for, `TenantPlaces` says; a tenant without keys is looked for only when tokens ask.
final class TenantKeys {
    private let issuer: Configuration.Issuer
    private let index: Int
    private let settings: Configuration.FetchedKeys
    private let surroundings: KeySurroundings
    private var tls: TLSClientContext?
    private var places: TenantPlaces
    private var tenants: [String: FetchedKeySource] = [:]

    init(
        _ index: Int, _ issuer: Configuration.Issuer, _ rules: TenantRules,
        _ settings: Configuration.FetchedKeys, tls: TLSClientContext?,
        _ surroundings: KeySurroundings
    ) {
        self.index = index
        self.issuer = issuer
        self.settings = settings
        self.tls = tls
        self.surroundings = surroundings
        places = TenantPlaces(limit: rules.maxTenants, isListed: rules.allowed != nil)
    }

    /// Those that were asked for and not let go, by name.
    var sources: [FetchedKeySource] {
        tenants.sorted { $0.key < $1.key }.map(\.value)
    }

    /// A worker has requests that lack a key of a tenant.
    func wanted(_ place: KeyPlace, by worker: Int) {
        let now = surroundings.milliseconds
        guard let name = place.tenant, let source = source(of: name, now: now),
            !source.wouldLookForFirstKeys || places.mayLook(now: now)
        else {
            return surroundings.lookEnded(worker, place, false, now &+ TenantPlaces.pause)
        }
        source.wanted(by: worker)
    }

    /// A token was verified with the key of this thumbprint.
    func used(_ tenant: String, _ thumbprint: [UInt8], at unixSeconds: Int64) {
        places.used(tenant, now: surroundings.milliseconds)
        tenants[tenant]?.used(thumbprint, at: unixSeconds)
    }

    /// Servers have to prove something else from now on.
    func replace(_ tls: TLSClientContext?) {
        self.tls = tls
        for source in sources { source.replace(tls) }
    }

    private func source(of name: String, now: Int64) -> FetchedKeySource? {
        guard let policy = settings.policy(forTenant: name) else { return nil }
        let identity = KeySetIdentity(
            issuer: issuer.rules.issuer, tenant: name, source: policy.location.text)
        let answer = places.ask(
            for: name, isKept: surroundings.snapshots?.holds(identity) == true, now: now
        ) { tenants[$0]?.standing ?? .lacksKeys }
        switch answer {
        case .held: return tenants[name]
        case .refused: return nil
        case .taken(let victim):
            if let victim { tenants.removeValue(forKey: victim)?.drop() }
            let source = FetchedKeySource(
                KeyPlace(issuer: index, tenant: name), of: issuer, policy: policy,
                allowsPlainHTTP: settings.allowsPlainHTTP, tls: tls, surroundings)
            tenants[name] = source
            source.start()
            return source
        }
    }
}
