internal import EventLoop

/// One address of an upstream, with what this worker learnt about it.
///
/// An endpoint that fails to connect is passed over for a while, twice as long each time; the first
/// connection that succeeds forgives everything. No probe is sent: requests are the probe.
final class Endpoint {
    private static let firstPauseMilliseconds: Int64 = 1000
    private static let maxPauseMilliseconds: Int64 = 30_000

    /// Where it is.
    let address: SocketAddress
    /// What stands in `Host` where the route says `endpoint`, and in log lines.
    let authority: String
    /// Connections at rest, the one used last at the end.
    var idle: [HTTP1Upstream] = []
    /// Connections that serve an exchange.
    var busyCount = 0

    private var failures = 0
    private var passedOverUntil: Instant?

    init(address: SocketAddress, authority: String) {
        self.address = address
        self.authority = authority
    }

    /// Whether it should be tried before others that failed lately.
    func isHealthy(at now: Instant) -> Bool {
        guard let passedOverUntil else { return true }
        return now >= passedOverUntil
    }

    func connected() {
        failures = 0
        passedOverUntil = nil
    }

    func failedToConnect(now: Instant) {
        let pause = min(
            Endpoint.firstPauseMilliseconds << Int64(min(failures, 5)),
            Endpoint.maxPauseMilliseconds)
        failures += 1
        passedOverUntil = now.advanced(byMilliseconds: pause)
    }
}
