internal import CLinux
internal import Glibc

/// Signals as events of one loop.
package final class Signals: EventHandler {
    /// The signals that a server acts on.
    package enum Signal: Int32, CaseIterable, Sendable {
        /// SIGHUP
        case hangUp = 1
        /// SIGINT
        case interrupt = 2
        /// SIGTERM
        case terminate = 15
    }

    private let loop: EventLoop
    private let descriptor: Int32
    private let onSignal: (Signal) -> Void
    private var registration = Registration.none

    /// Holds the signals back from every thread started afterwards, so that only the descriptor
    /// tells them. Also ignores broken pipes.
    package static func block() {
        ignoreBrokenPipes()
        var set = unsafe signalSet()
        // The set is a local that the kernel copies.
        _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Ignores SIGPIPE: a closed peer is an outcome of a call, not a signal.
    package static func ignoreBrokenPipes() {
        signal(SIGPIPE, SIG_IGN)
    }

    /// Begins to listen; `block` was called before any thread was started.
    package init(loop: EventLoop, onSignal: @escaping (Signal) -> Void) throws(SystemError) {
        var set = unsafe Signals.signalSet()
        // The set is a local that the kernel copies.
        descriptor = unsafe signalfd(
            -1, &set, Int32(SFD_NONBLOCK | SFD_CLOEXEC))
        guard descriptor >= 0 else { throw .last(.signalfd) }
        self.loop = loop
        self.onSignal = onSignal
        registration = try loop.add(descriptor, .incoming, handler: self)
    }

    deinit {
        close(descriptor)
    }

    /// Hands on the signals that came.
    package func ready(_ readiness: Readiness) {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        // The record is a local of the size given.
        while unsafe read(descriptor, &info, size) == size {
            if let signal = Signal(rawValue: Int32(bitPattern: info.ssi_signo)) { onSignal(signal) }
        }
    }

    @unsafe
    private static func signalSet() -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in Signal.allCases { unsafe sigaddset(&set, signal.rawValue) }
        return set
    }
}
