internal import EventLoop
internal import JWT
internal import OpenSSL

/// What the control thread, and other workers, tell a worker: plain data.
enum WorkerMessage: Sendable {
    /// A new key set; nil: the keys are withdrawn, as if they had never been obtained.
    case keys(KeyPlace, JWKSet?)
    /// The look for keys that this worker asked for came to its end, or was refused. The set that
    /// it brought was told before. `didSucceed`: a set was seen, new or not, by a look that began
    /// after it was asked for, so that what it lacks is missing. `nextAt`: when another look may be
    /// asked for, in milliseconds of the monotonic clock.
    case lookEnded(KeyPlace, didSucceed: Bool, nextAt: Int64)
    /// The pool has checked signatures that this worker handed over.
    case signatures([VerificationResult])
    /// The pool has made a table that this worker asked for.
    case pointTable(PointTable)
    /// A configured endpoint's name has these addresses now.
    case addresses(upstream: Int, endpoint: Int, [SocketAddress])
    /// Another worker passes an accepted connection on.
    case connection(descriptor: Int32, SocketAddress, listener: Int)
    /// A slot of the upstream was freed elsewhere while requests wait here.
    case slotFreed(upstream: Int)
    /// A request waits for a slot of the upstream elsewhere: a connection at rest here goes.
    case slotWanted(upstream: Int)
    /// A listener's certificates changed.
    case serverTLS(listener: Int, TLSServerContext.Settings)
    /// What an upstream is shown, or who is trusted to be it, changed.
    case clientTLS(upstream: Int, TLSClientContext.Settings)
    /// The keys of session tickets, the newest first.
    case ticketKeys([TLSTicketKey])
    /// No more requests; end when those under way have ended.
    case drain
    /// End now.
    case stop
}
