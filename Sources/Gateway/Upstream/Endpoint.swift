internal import Configuration
internal import EventLoop
internal import OpenSSL

/// One address of an upstream, with what this worker learnt about it.
///
/// An endpoint that fails to connect is passed over for a while, twice as long each time; the first
/// connection that succeeds forgives everything. No probe is sent: requests are the probe.
final class Endpoint {
    private static let firstPauseMilliseconds: Int64 = 1000
    private static let maxPauseMilliseconds: Int64 = 30_000

    /// Where it is.
    let address: SocketAddress
    /// What the configuration says of it.
    let target: Configuration.Endpoint
    /// What stands in `Host` where the route says `endpoint`, and in log lines.
    let authority: String
    /// Whether its name does not lead here any more: its connections serve what they have.
    var isGone = false
    /// What it speaks; behind TLS only known once a handshake has shown it.
    var version: ApplicationProtocol?
    /// HTTP/1.1 connections at rest, the one used last at the end.
    var idle: [HTTP1Upstream] = []
    /// HTTP/2 connections, which carry many exchanges each.
    var multiplexed: [HTTP2Upstream] = []
    /// Connections being opened that may turn out to carry many exchanges.
    var sharedDials: [Dial] = []
    /// Exchanges that it serves, or that wait for a connection to it to open.
    var busyCount = 0
    /// Streams that its last HTTP/2 connection took at a time.
    var streamLimit = 100
    /// For the next TLS handshake.
    var resumption: TLSResumption?

    private var failures = 0
    private var passedOverUntil: Instant?

    init(address: SocketAddress, target: Configuration.Endpoint) {
        self.address = address
        self.target = target
        authority = target.authority
        switch target.transport {
        case .http: version = .http11
        case .h2c: version = .http2
        case .https: version = nil
        }
    }

    /// Keeps what the server gave last to resume a session with.
    func keepResumption(of transport: Transport) {
        if let kept = transport.session?.takeResumption() { resumption = kept }
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
