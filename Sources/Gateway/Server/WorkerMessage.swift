internal import EventLoop
internal import JWT
internal import OpenSSL

/// What the control thread, and other workers, tell a worker: plain data.
enum WorkerMessage: Sendable {
    /// An issuer has a new key set.
    case keys(issuer: Int, JWKSet)
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
