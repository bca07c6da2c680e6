internal import Configuration
internal import EventLoop
internal import Logging

/// Keeps the addresses of upstream names up to date, in a thread of its own since asking may block.
///
/// A name that does not resolve keeps the addresses it had: they may still work. One that never
/// did has none, and its requests are answered 503.
final class NameResolution: EventHandler {
    private struct Name {
        let upstream: Int
        let endpoint: Int
        let target: Configuration.Endpoint
        let intervalMilliseconds: Int64
        var addresses: [SocketAddress]?
        var nextLook: Instant
    }

    private let loop: EventLoop
    private let logger: Logger
    private let onAddresses: (Int, Int, [SocketAddress]) -> Void
    private var names: [Name] = []
    private var timer = Registration.none

    init(
        _ upstreams: [Configuration.Upstream], loop: EventLoop, logger: Logger,
        onAddresses: @escaping (Int, Int, [SocketAddress]) -> Void
    ) {
        self.loop = loop
        self.logger = logger
        self.onAddresses = onAddresses
        for (upstream, settings) in upstreams.enumerated() {
            for (endpoint, target) in settings.endpoints.enumerated() {
                guard NameResolution.fixedAddress(target) == nil else { continue }
                names.append(
                    Name(
                        upstream: upstream, endpoint: endpoint, target: target,
                        intervalMilliseconds: settings.resolveInterval.wholeMilliseconds,
                        nextLook: loop.now))
            }
        }
    }

    /// The address of an endpoint that needs no resolving: a literal one or a socket's path.
    static func fixedAddress(_ endpoint: Configuration.Endpoint) -> SocketAddress? {
        switch endpoint {
        case .unix(let path): .unix(path)
        case .tcp(_, let host, let port): IPAddress(host).map { .ip($0, port: port) }
        }
    }

    /// Whether there is anything to do.
    var isNeeded: Bool { !names.isEmpty }

    func start() {
        timer = loop.addTimer(handler: self)
        look()
    }

    func ready(_ readiness: Readiness) {}

    func deadlineReached() {
        look()
    }

    private func look() {
        var next = Instant(nanoseconds: .max)
        for index in names.indices {
            if names[index].nextLook <= loop.now { resolve(index) }
            next = min(next, names[index].nextLook)
        }
        loop.setDeadline(timer, next)
    }

    private func resolve(_ index: Int) {
        let name = names[index]
        guard case .tcp(_, let host, let port) = name.target else { return }
        names[index].nextLook = Instant.now.advanced(byMilliseconds: name.intervalMilliseconds)
        do throws(SystemError) {
            let addresses = try Resolver.addresses(of: host, port: port)
            if addresses == name.addresses { return }
            names[index].addresses = addresses
            onAddresses(name.upstream, name.endpoint, addresses)
        } catch {
            logger.warning(
                "name does not resolve",
                metadata: ["endpoint": "\(name.target)", "error": "\(error)"])
            if name.addresses == nil {
                names[index].addresses = []
                onAddresses(name.upstream, name.endpoint, [])
            }
        }
    }
}
