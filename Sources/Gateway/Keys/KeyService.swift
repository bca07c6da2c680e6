internal import Authorization
internal import Bytes
internal import Configuration
internal import EventLoop
internal import JWT
internal import Keys
internal import Logging
internal import OpenSSL

/// All issuers' keys, on the control thread: from files that are watched, from the configuration
/// itself, or fetched. Each set has a schedule of its own, so one that hangs delays no other.
///
/// Workers are given sets and ask for looks; requests never wait for anything here but the end of a
/// look, and that within bounds of their own.
final class KeyService {
    /// Keys that stand in the configuration, or in a file.
    private final class LocalKeys {
        var ledger: KeyLedger

        init(_ ledger: KeyLedger) {
            self.ledger = ledger
        }
    }

    private enum Source {
        case local(LocalKeys)
        case fetched(FetchedKeySource)
        case tenants(TenantKeys)
    }

    /// Milliseconds given to the disk as the process ends.
    private static let finishMilliseconds: Int64 = 1000

    private let configuration: Configuration
    private let surroundings: KeySurroundings
    private var sources: [Source] = []
    private var files: KeyFiles?
    /// Issuers whose tokens some route reads.
    private let needed: Set<Int>
    /// What servers have to prove where the system's authorities are believed: one for all, since
    /// it is large.
    private var systemTLS: TLSClientContext?

    init(_ configuration: Configuration, _ surroundings: KeySurroundings) {
        self.configuration = configuration
        self.surroundings = surroundings
        needed = KeyService.neededIssuers(configuration)
        sources = configuration.issuers.enumerated().map { source($0.offset, $0.element) }
    }

    /// Begins to watch and to fetch.
    func start() {
        removeOldSnapshots()
        let files = KeyFiles(
            configuration.issuers, loop: surroundings.loop, logger: surroundings.logger,
            onKeys: { [unowned self] in took($0, $1) },
            onFault: { [unowned self] in failed($0, $1) })
        self.files = files
        files.start()
        for case .fetched(let source) in sources { source.start() }
    }

    /// Believed for the longest time that any set may be: what is older serves nobody.
    private func removeOldSnapshots() {
        let times = configuration.issuers.compactMap { issuer -> Int64? in
            guard case .fetched(let keys) = issuer.keys else { return nil }
            return keys.policy.maxStale
        }
        guard let longest = times.max() else { return }
        surroundings.snapshots?.removeOld(
            unixSeconds: surroundings.unixSeconds, maxStale: longest)
    }

    /// Lets a set that came just before the process ends be kept for the next start, if the disk
    /// takes it in time.
    func finish() {
        let end = Instant.now.advanced(byMilliseconds: KeyService.finishMilliseconds)
        while surroundings.snapshots?.isBusy == true, Instant.now < end {
            surroundings.loop.turn(maxWait: 20)
        }
    }

    // MARK: The workers' side

    /// A worker has requests that lack a key of this place, and is told of the look's end.
    func wanted(_ place: KeyPlace, by worker: Int) {
        guard place.issuer < sources.count else { return }
        switch sources[place.issuer] {
        case .local: surroundings.lookEnded(worker, place, false, .max)
        case .fetched(let source): source.wanted(by: worker)
        case .tenants(let tenants): tenants.wanted(place, by: worker)
        }
    }

    /// Tokens were verified with these keys.
    func used(_ uses: [KeyUse]) {
        for use in uses where use.place.issuer < sources.count {
            switch sources[use.place.issuer] {
            case .local(let keys): keys.ledger.used(use.thumbprint, at: use.unixSeconds)
            case .fetched(let source): source.used(use.thumbprint, at: use.unixSeconds)
            case .tenants(let tenants):
                tenants.used(use.place.tenant ?? "", use.thumbprint, at: use.unixSeconds)
            }
        }
    }

    // MARK: The operators' side

    /// Every set there is, in the order of the configuration.
    var statuses: [IssuerKeyStatus] {
        sources.flatMap { source -> [IssuerKeyStatus] in
            switch source {
            case .local(let keys):
                [
                    keys.ledger.status(
                        nil, milliseconds: surroundings.milliseconds,
                        now: surroundings.unixSeconds)
                ]
            case .fetched(let source): [source.status]
            case .tenants(let tenants): tenants.sources.map(\.status)
            }
        }
    }

    /// Issuers that a route needs and that have no keys at all. Tenants are looked for as they
    /// come, so they are never missing.
    var missing: [AdminReadiness.Missing] {
        sources.indices.filter { needed.contains($0) }.compactMap { index in
            let status: IssuerKeyStatus
            switch sources[index] {
            case .local(let keys):
                status = keys.ledger.status(nil, milliseconds: 0, now: surroundings.unixSeconds)
            case .fetched(let source): status = source.status
            case .tenants: return nil
            }
            guard status.state == .none else { return nil }
            return AdminReadiness.Missing(issuer: status.issuer, fault: status.lastFault?.text)
        }
    }

    /// Looks now for the keys of the issuer with this name, or of all; nil where there is none.
    func refresh(_ name: String?) -> [AdminRefresh]? {
        let wanted = configuration.issuers.indices.filter {
            name.map(configuration.issuers[$0].name.isExactly) ?? true
        }
        if wanted.isEmpty, name != nil { return nil }
        return wanted.flatMap { refresh($0) }
    }

    private func refresh(_ index: Int) -> [AdminRefresh] {
        let name = configuration.issuers[index].name
        let outcome = { (source: FetchedKeySource) -> AdminRefresh in
            let outcome: AdminRefresh.Outcome =
                switch source.refresh() {
                case .started: .started
                case .joined: .joined
                case .refused: .tooSoon
                }
            return AdminRefresh(issuer: name, tenant: source.place.tenant, outcome: outcome)
        }
        switch sources[index] {
        case .local: return [AdminRefresh(issuer: name, tenant: nil, outcome: .local)]
        case .fetched(let source): return [outcome(source)]
        case .tenants(let tenants): return tenants.sources.map(outcome)
        }
    }

    /// The file changed that says which authorities vouch for an issuer's servers.
    func replaceTrust(ofIssuer index: Int, with settings: TLSClientContext.Settings) {
        guard let tls = try? TLSClientContext(settings) else { return }
        switch sources[index] {
        case .local: break
        case .fetched(let source): source.replace(tls)
        case .tenants(let tenants): tenants.replace(tls)
        }
    }

    // MARK: Parts

    private func source(_ index: Int, _ issuer: Configuration.Issuer) -> Source {
        switch issuer.keys {
        case .fetched(let settings): return fetched(index, issuer, settings)
        case .file(let path): return .local(LocalKeys(KeyLedger(issuer: issuer.name, source: path)))
        case .inline(let set):
            var ledger = KeyLedger(issuer: issuer.name, source: "proxy.json")
            let now = surroundings.unixSeconds
            ledger.took(set, from: .inline, fetchedAt: now, now: now)
            return .local(LocalKeys(ledger))
        case .secret:
            var ledger = KeyLedger(issuer: issuer.name, source: "secret")
            ledger.tookSecret(now: surroundings.unixSeconds)
            return .local(LocalKeys(ledger))
        }
    }

    private func fetched(
        _ index: Int, _ issuer: Configuration.Issuer, _ settings: Configuration.FetchedKeys
    ) -> Source {
        let tls = context(settings)
        if settings.isPerTenant, let rules = issuer.rules.tenants {
            return .tenants(TenantKeys(index, issuer, rules, settings, tls: tls, surroundings))
        }
        return .fetched(
            FetchedKeySource(
                KeyPlace(issuer: index), of: issuer, policy: settings.policy,
                allowsPlainHTTP: settings.allowsPlainHTTP, tls: tls, surroundings))
    }

    /// Without a context nothing is fetched from a server that speaks TLS, least of all in clear.
    private func context(_ settings: Configuration.FetchedKeys) -> TLSClientContext? {
        if settings.ca != nil { return try? TLSClientContext(settings.settings) }
        if case .url(let url) = settings.policy.location, !url.isSecure { return nil }
        if systemTLS == nil { systemTLS = try? TLSClientContext(settings.settings) }
        return systemTLS
    }

    private func took(_ index: Int, _ set: JWKSet) {
        if case .local(let keys) = sources[index] {
            let now = surroundings.unixSeconds
            keys.ledger.took(set, from: .file, fetchedAt: now, now: now)
        }
        surroundings.publish(KeyPlace(issuer: index), set)
    }

    private func failed(_ index: Int, _ fault: KeyFileFault) {
        guard case .local(let keys) = sources[index] else { return }
        keys.ledger.failed(fault.keyFault, at: surroundings.unixSeconds)
        if let set = fault.rejected { keys.ledger.rejected(set) }
    }

    private static func neededIssuers(_ configuration: Configuration) -> Set<Int> {
        var needed: Set<Int> = []
        for route in configuration.routes where route.rules.access != .open {
            switch route.rules.issuers {
            case .all: return Set(configuration.issuers.indices)
            case .only(let indexes): needed.formUnion(indexes)
            }
        }
        return needed
    }
}
