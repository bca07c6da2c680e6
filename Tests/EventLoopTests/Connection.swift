import EventLoop
import Testing

/// Any free port of this machine.
let loopback = SocketAddress.ip(.v4(0x7f00_0001), port: 0)

/// One end of a connection, closed when nobody holds it any more.
final class End {
    let socket: Socket

    init(_ socket: consuming Socket) {
        self.socket = socket
    }

    var descriptor: Int32 { socket.descriptor }

    /// Sends a text.
    func send(_ text: String) -> Socket.SendOutcome {
        socket.send(Array(text.utf8).span)
    }

    /// Sends until the kernel takes no more. Returns how many bytes it took.
    func fill() -> Int {
        let block = [UInt8](repeating: 0x61, count: 100_000)
        var total = 0
        while case .sent(let count) = socket.send(block.span) { total += count }
        return total
    }

    /// Reads once: the outcome, and the bytes as text.
    func read(_ loop: EventLoop) -> (outcome: EventLoop.ReceiveOutcome, text: String) {
        var text = ""
        let outcome = loop.receive(socket) { bytes in
            for index in bytes.indices { text.unicodeScalars.append(Unicode.Scalar(bytes[index])) }
        }
        return (outcome, text)
    }

    /// Reads until there is no more for now: how many bytes, and what ended it.
    func readAll(_ loop: EventLoop) -> (count: Int, end: EventLoop.ReceiveOutcome) {
        var count = 0
        while true {
            let outcome = loop.receive(socket) { count += $0.count }
            guard case .bytes = outcome else { return (count, outcome) }
        }
    }
}

/// Two connected sockets in one thread; dropping an end closes it.
final class Connection {
    /// Which kind of socket.
    enum Kind: CaseIterable {
        case tcp, unix
    }

    var near: End?
    var far: End?

    init(_ kind: Kind, _ loop: EventLoop) throws {
        switch kind {
        case .unix:
            let (near, far) = try Socket.pair()
            self.near = End(Socket(adopting: near))
            self.far = End(Socket(adopting: far))
        case .tcp:
            let listening = try ListeningSocket.bind(loopback)
            far = End(try Socket.connecting(to: listening.address))
            let listener = Listener(loop: loop, socket: listening, isShared: false) { socket, _ in
                self.near = End(socket)
            }
            try listener.start()
            try #require(loop.turns(until: { self.near != nil }))
            listener.stop()
        }
    }

    /// Registers the near end.
    func watch(_ loop: EventLoop, _ handler: ScriptedHandler) throws -> Registration {
        try loop.add(try #require(near).descriptor, .stream, handler: handler)
    }
}
