internal import Configuration
internal import OpenSSL

/// The numbers that a worker looks at for each request, in milliseconds and bytes.
struct WorkerSettings: Sendable {
    struct Timeouts: Sendable {
        let head: Int64
        let idle: Int64
        let body: Int64
        let drain: Int64
    }

    struct Limits: Sendable {
        let requestHead: Int
        let requestFields: Int
        let concurrentStreams: Int
    }

    let timeouts: Timeouts
    let limits: Limits
    let realm: String

    init(_ configuration: Configuration) {
        timeouts = Timeouts(
            head: configuration.timeouts.head.wholeMilliseconds,
            idle: configuration.timeouts.idle.wholeMilliseconds,
            body: configuration.timeouts.body.wholeMilliseconds,
            drain: configuration.timeouts.drain.wholeMilliseconds)
        limits = Limits(
            requestHead: configuration.limits.requestHead,
            requestFields: configuration.limits.requestFields,
            concurrentStreams: configuration.limits.concurrentStreams)
        realm = configuration.realm
    }
}

/// What a connection's beginning needs to know of the listener it came to.
struct ListenerSettings {
    let trustedProxies: TrustedProxies
    let speaksHTTP1: Bool
    let speaksHTTP2: Bool
    /// The fields that tell of a client's certificate, as `name: `.
    let subjectField: [UInt8]?
    let thumbprintField: [UInt8]?

    init(_ listener: Configuration.Listener) {
        trustedProxies = listener.trustedProxies
        speaksHTTP1 = listener.protocols.contains(.http11)
        speaksHTTP2 = listener.protocols.contains(.http2)
        subjectField = listener.tls?.subjectHeader.map { Array("\($0): ".utf8) }
        thumbprintField = listener.tls?.thumbprintHeader.map { Array("\($0): ".utf8) }
    }
}

/// How long an exchange may take with its upstream, in milliseconds.
struct StreamTimeouts: Sendable {
    /// To connect, and to wait for a free connection.
    let connect: Int64
    /// From the request sent to the response's head.
    let response: Int64
    /// Silence in a response's body or a tunnel.
    let stream: Int64

    /// The upstream's deadlines, a route's in their place.
    init(_ upstream: Configuration.UpstreamTimeouts, _ route: Configuration.RouteTimeouts) {
        connect = (route.connect ?? upstream.connect).wholeMilliseconds
        response = (route.response ?? upstream.response).wholeMilliseconds
        stream = (route.stream ?? upstream.stream).wholeMilliseconds
    }
}

/// What a worker's pool needs to know of its upstream.
struct UpstreamSettings: Sendable {
    /// The upstream's place in the configuration.
    let index: Int
    let endpoints: [Configuration.Endpoint]
    let balance: Configuration.Upstream.Balance
    /// Milliseconds that a connection may rest unused.
    let idleTimeout: Int64
    let retries: Int
    /// The bound on connections over all workers; nil where there is none.
    let slots: ConnectionSlots?
    /// Nil where no endpoint speaks TLS.
    let tls: Configuration.UpstreamTLS?

    init(_ upstream: Configuration.Upstream, index: Int) {
        self.index = index
        endpoints = upstream.endpoints
        balance = upstream.balance
        idleTimeout = upstream.timeouts.idle.wholeMilliseconds
        retries = upstream.retries
        slots = upstream.maxConnections.map { ConnectionSlots(limit: $0) }
        tls = upstream.tls
    }
}

extension Duration {
    /// Milliseconds, rounded up: a deadline never comes early.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let rest = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return seconds.multipliedReportingOverflow(by: 1000).partialValue &+ rest
    }
}
