internal import CLinux
internal import Glibc

/// A system call that failed: which one, and the errno it left.
package struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The calls whose failure is told.
    package enum Call: String, Sendable {
        case accept, bind, connect, epoll, eventfd, fstat, fsync, getaddrinfo, listen, mkdir, open
        case pthread, read, receive, rename, send, setsockopt, signalfd, socket, write
    }

    /// The call that failed.
    package let call: Call
    /// Its errno.
    package let code: Int32

    /// A failure of `call` with an errno.
    package init(_ call: Call, code: Int32) {
        self.call = call
        self.code = code
    }

    /// The address is taken.
    package static let addressInUse = SystemError(.bind, code: EADDRINUSE)
    /// The name has no address.
    package static let addressNotFound = SystemError(.getaddrinfo, code: ENOENT)

    /// No memory is to be had.
    package static let outOfMemory = SystemError(.socket, code: ENOMEM)
    /// The peer ended a connection in the middle of what it was saying.
    package static let connectionReset = SystemError(.receive, code: ECONNRESET)

    /// A failure of `call` with the errno it just left.
    static func last(_ call: Call) -> SystemError {
        SystemError(call, code: errno)
    }

    /// The system's words for the errno.
    package var message: String {
        // The text is static and never null.
        unsafe String(cString: clinux_error_text(code))
    }

    /// `connect: Connection refused`
    package var description: String { "\(call.rawValue): \(message)" }

    /// Whether no descriptor was to be had, by this process or the whole system.
    package var isOutOfDescriptors: Bool { code == EMFILE || code == ENFILE }
    /// Whether an address is taken.
    package var isAddressInUse: Bool { code == EADDRINUSE }
    /// Whether a file does not exist.
    package var isNotFound: Bool { code == ENOENT }
}
