internal import CLinux
internal import Glibc

/// Accepts connections for one loop.
///
/// Accepting a bounded number a turn leaves room for the connections that are there. Where
/// descriptors run out it stops for a moment instead of spinning on a listener that stays readable.
package final class Listener: EventHandler {
    /// Connections accepted in one turn at most.
    private static let batch = 64
    /// How long to wait when no descriptor was to be had.
    private static let pauseMilliseconds: Int64 = 50

    private let loop: EventLoop
    private let socket: ListeningSocket
    private let isShared: Bool
    private let onAccept: (consuming Socket, SocketAddress) -> Void
    private var registration = Registration.none
    private var timer = Registration.none

    /// A listener over a bound socket, not yet started. `isShared`: other loops accept from the
    /// same descriptor.
    package init(
        loop: EventLoop, socket: ListeningSocket, isShared: Bool,
        onAccept: @escaping (consuming Socket, SocketAddress) -> Void
    ) {
        self.loop = loop
        self.socket = socket
        self.isShared = isShared
        self.onAccept = onAccept
    }

    /// Begins to accept.
    package func start() throws(SystemError) {
        loop.forget(timer)
        timer = .none
        registration = try loop.add(
            socket.descriptor, isShared ? .sharedIncoming : .incoming, handler: self)
    }

    /// Stops accepting; what waits in the kernel's queue waits there.
    package func stop() {
        loop.remove(registration, descriptor: socket.descriptor)
        registration = .none
        loop.forget(timer)
        timer = .none
    }

    /// Takes and hands over what already waits in the kernel's queue, then stops: closing the
    /// descriptor would reset those clients. A queue's length is the bound, or clients that go on
    /// connecting would keep it here.
    package func drainAndStop() {
        for _ in 0..<ListeningSocket.backlog {
            let outcome = acceptOne()
            guard outcome == .accepted || outcome == .lost else { break }
        }
        socket.stopListening()
        stop()
    }

    /// Accepts what waits.
    package func ready(_ readiness: Readiness) {
        // Whoever is handed a connection may call `stop`; then the rest waits in the kernel's
        // queue.
        for _ in 0..<Listener.batch where registration != .none {
            switch acceptOne() {
            case .accepted, .lost: continue
            case .nothingWaiting: return
            case .noDescriptor: return pause()
            }
        }
    }

    /// Accepts again after a pause.
    package func deadlineReached() {
        do throws(SystemError) {
            try start()
        } catch {
            pause()
        }
    }

    private enum Outcome {
        case accepted, nothingWaiting, lost, noDescriptor
    }

    private func acceptOne() -> Outcome {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // Both locals outlive the call and `length` is the size of the storage.
        let descriptor = unsafe clinux_accept(socket.descriptor, &storage, &length)
        if descriptor >= 0 {
            onAccept(Socket(adopting: descriptor), SocketAddress(storage))
            return .accepted
        }
        switch errno {
        case EAGAIN: return .nothingWaiting
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .noDescriptor
        // The client was gone before it was accepted, or a signal came: the next one may be there.
        default: return .lost
        }
    }

    /// A level-triggered listener would wake the loop all the time, so it is taken out and a timer
    /// brings it back.
    private func pause() {
        stop()
        timer = loop.addTimer(handler: self)
        loop.setDeadline(timer, loop.now.advanced(byMilliseconds: Listener.pauseMilliseconds))
    }
}
