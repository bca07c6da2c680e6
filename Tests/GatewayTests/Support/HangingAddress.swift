import Glibc
import Synchronization
import Testing

@testable import EventLoop

/// An address of this machine that takes no connection and refuses none: its backlog is full.
final class HangingAddress: Sendable {
    let address: SocketAddress
    private let descriptors: [Int32]

    init(port: UInt16) throws {
        address = .ip(.v4(0x7f00_0002), port: port)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let outcome = unsafe address.withNative { unsafe bind(listener, $0, $1) }
        try #require(outcome == 0 && listen(listener, 0) == 0)
        var descriptors = [listener]
        for _ in 0..<4 {
            descriptors.append(try Socket.connecting(to: address).release())
        }
        self.descriptors = descriptors
    }

    deinit {
        for descriptor in descriptors { close(descriptor) }
    }
}

/// Keeps threads waiting until it is opened.
final class Gate: Sendable {
    private let isOpen = Mutex(false)

    func open() { isOpen.withLock { $0 = true } }

    func wait() {
        while !isOpen.withLock({ $0 }) { usleep(1000) }
    }
}
