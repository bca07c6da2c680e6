internal import EventLoop

/// A client's connection as the worker sees it, whatever it speaks.
protocol ClientConnection: EventHandler {
    /// Where the worker keeps it.
    var index: Int { get set }

    /// The server shuts down: no further request is wanted.
    func drain()

    /// Ends at once.
    func abort()
}
