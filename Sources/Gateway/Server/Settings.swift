internal import Configuration

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
            requestFields: configuration.limits.requestFields)
        realm = configuration.realm
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

    init(_ upstream: Configuration.Upstream, index: Int) {
        self.index = index
        endpoints = upstream.endpoints
        balance = upstream.balance
        idleTimeout = upstream.timeouts.idle.wholeMilliseconds
        retries = upstream.retries
        slots = upstream.maxConnections.map { ConnectionSlots(limit: $0) }
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
