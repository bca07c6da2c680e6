/// What one worker counted since it started. A plain value: a copy is a snapshot, and the
/// snapshots of all workers add up.
package struct Counters: Sendable {
    /// Requests by the class of their status: 1xx at 1 to 5xx at 5; no status at all at 0.
    private var statusClasses: InlineArray<6, UInt64> = .init(repeating: 0)
    /// Refusals and failures by `Reason.rawValue`.
    private var reasons: InlineArray<32, UInt64> = .init(repeating: 0)

    /// Requests that came, and what was no request.
    package var requests: UInt64 = 0
    /// Requests in audit mode that would have been refused.
    package private(set) var wouldRefuse: UInt64 = 0
    /// Tokens found in the cache of verified ones.
    package var tokenCacheHits: UInt64 = 0
    /// Tokens that had to be verified.
    package var tokenCacheMisses: UInt64 = 0
    /// Times that a request waited for keys, or for a look that would bring them.
    package var waitsForKeys: UInt64 = 0
    /// Times that a request waited for its token's signature to be checked.
    package var waitsForSignatures: UInt64 = 0
    /// Requests that were judged because they had waited as long as they may.
    package var verdictsLate: UInt64 = 0
    /// Connections accepted.
    package var connectionsAccepted: UInt64 = 0
    /// TLS handshakes with clients that came to their end.
    package var handshakes: UInt64 = 0
    /// TLS handshakes with clients that failed.
    package var handshakeFailures: UInt64 = 0
    /// Connections opened to upstreams.
    package var upstreamConnects: UInt64 = 0
    /// Attempts to connect to an upstream that failed.
    package var upstreamConnectFailures: UInt64 = 0
    /// Requests sent on a connection of the pool.
    package var upstreamReuses: UInt64 = 0
    /// Requests sent a second time.
    package var upstreamRetries: UInt64 = 0
    /// Lines of the access log that found no room.
    package var logLinesDropped: UInt64 = 0

    /// Counters at zero.
    package init() {}

    /// Counts a request that has ended.
    package mutating func count(_ outcome: ExchangeOutcome) {
        let group = outcome.status / 100
        statusClasses[group >= 0 && group < 6 ? group : 0] &+= 1
        if let reason = outcome.reason { reasons[Int(reason.rawValue)] &+= 1 }
        if outcome.decision == .wouldRefuse { wouldRefuse &+= 1 }
    }

    /// Requests whose status was in this class (2 for 2xx); 0: those that got none.
    package func requests(ofStatusClass group: Int) -> UInt64 { statusClasses[group] }

    /// Requests that ended for this reason.
    package func requests(endedBy reason: Reason) -> UInt64 { reasons[Int(reason.rawValue)] }

    /// Adds another worker's counts.
    package mutating func add(_ other: Counters) {
        for index in statusClasses.indices { statusClasses[index] &+= other.statusClasses[index] }
        for index in reasons.indices { reasons[index] &+= other.reasons[index] }
        requests &+= other.requests
        wouldRefuse &+= other.wouldRefuse
        tokenCacheHits &+= other.tokenCacheHits
        tokenCacheMisses &+= other.tokenCacheMisses
        waitsForKeys &+= other.waitsForKeys
        waitsForSignatures &+= other.waitsForSignatures
        verdictsLate &+= other.verdictsLate
        connectionsAccepted &+= other.connectionsAccepted
        handshakes &+= other.handshakes
        handshakeFailures &+= other.handshakeFailures
        upstreamConnects &+= other.upstreamConnects
        upstreamConnectFailures &+= other.upstreamConnectFailures
        upstreamReuses &+= other.upstreamReuses
        upstreamRetries &+= other.upstreamRetries
        logLinesDropped &+= other.logLinesDropped
    }
}
