internal import Configuration
internal import EventLoop
internal import JWT
internal import Keys
internal import Logging

/// One look at every source of keys without a server: the same service as in one, on a loop of its
/// own, until each look has ended.
struct KeyLook {
    private let configuration: Configuration

    init(_ configuration: Configuration) {
        self.configuration = configuration
    }

    func run() throws(SystemError) -> KeyReport {
        Signals.ignoreBrokenPipes()
        let loop = try EventLoop()
        let service = KeyService(configuration, try surroundings(loop))
        service.start()
        lookForTenants(service)
        let end = loop.now.advanced(byMilliseconds: configuration.longestLook)
        while Instant.now < end, service.statuses.contains(where: \.isLooking) {
            loop.turn(maxWait: 100)
        }
        return KeyReport(
            isOfServer: false, now: Instant.unixMilliseconds / 1000, sets: service.statuses)
    }

    /// Nobody is told, and what the log would say is in the report.
    private func surroundings(_ loop: EventLoop) throws(SystemError) -> KeySurroundings {
        KeySurroundings(
            publish: { _, _ in }, lookEnded: { _, _, _, _ in },
            means: KeyFetchMeans(loop: loop, names: try NameLookup(loop: loop)), snapshots: nil,
            logger: Logger(label: "keys") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Those tenants that the configuration names.
    private func lookForTenants(_ service: KeyService) {
        for (index, issuer) in configuration.issuers.enumerated() {
            for name in issuer.rules.tenants?.allowed ?? [] {
                service.wanted(KeyPlace(issuer: index, tenant: name), by: 0)
            }
        }
    }
}

extension Configuration {
    /// Milliseconds after which no look is waited for any more: a second beyond the deadline of the
    /// longest.
    var longestLook: Int64 {
        issuers.reduce(0) { longest, issuer in
            guard case .fetched(let keys) = issuer.keys else { return longest }
            return max(longest, keys.policy.timeout)
        } &+ 1000
    }
}

extension IssuerKeyStatus {
    /// Whether the first look has not ended: the next is not known before.
    fileprivate var isLooking: Bool { counts.fetches > 0 && nextFetchAt == nil }
}
