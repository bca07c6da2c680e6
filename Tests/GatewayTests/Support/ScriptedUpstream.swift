import EventLoop
import Glibc
import Testing

/// A server that does what the test says, byte by byte.
final class ScriptedUpstream {
    private var listening: ListeningSocket?
    let address: SocketAddress

    /// At any free port of this machine.
    init(at address: SocketAddress = .ip(.v4(0x7f00_0001), port: 0)) throws {
        let listening = try ListeningSocket.bind(address)
        self.listening = listening
        self.address = listening.address
    }

    /// As `endpoints` names it.
    var url: String {
        if case .unix(let path) = address { return "unix:\(path)" }
        return "http://\(address)"
    }

    /// What stands in `Host` where the route says `endpoint`.
    var authority: String { "\(address)" }

    /// The next connection.
    func accept(within milliseconds: Int32 = Peer.patience) throws -> Peer {
        try #require(try acceptIfAny(within: milliseconds))
    }

    /// The next connection, as a socket that does not block.
    func acceptSocket() throws -> Socket {
        let descriptor = try #require(try acceptDescriptor(within: Peer.patience))
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        return Socket(adopting: descriptor)
    }

    /// The next connection, nil where none comes.
    func acceptIfAny(within milliseconds: Int32) throws -> Peer? {
        try acceptDescriptor(within: milliseconds).map { Peer(Socket(adopting: $0)) }
    }

    private func acceptDescriptor(within milliseconds: Int32) throws -> Int32? {
        let descriptor = try #require(listening).descriptor
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&entry, 1, milliseconds) > 0 else { return nil }
        let accepted = Glibc.accept(descriptor, nil, nil)
        try #require(accepted >= 0)
        return accepted
    }

    /// Refuses connections from now on.
    func stopListening() { listening = nil }
}

/// An address of this machine at which nobody listens.
func deadAddress() throws -> SocketAddress {
    // Bound, so that nobody else takes it, but without a backlog it was given back: connections are
    // refused until the kernel hands the port out again.
    try ListeningSocket.bind(.ip(.v4(0x7f00_0001), port: 0)).address
}
