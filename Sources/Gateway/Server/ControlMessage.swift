internal import EventLoop
internal import JWT

/// What other threads tell the control thread: plain data.
enum ControlMessage: Sendable {
    case workerEnded
    case workerFailed(SystemError)
    /// A configured endpoint's name has these addresses now.
    case addresses(upstream: Int, endpoint: Int, [SocketAddress])
    case accessLogEnded
    /// A worker has requests that lack a key of this place: it wants a look, and to be told of its
    /// end with `WorkerMessage.lookEnded`. It asks again only after that.
    case keysWanted(KeyPlace, worker: Int)
    /// Tokens were verified with these keys.
    case keysUsed([KeyUse])
}
