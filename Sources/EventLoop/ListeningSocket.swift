internal import CLinux
internal import Glibc

/// A bound, listening socket. Shared by reference: a unix listener is one descriptor that all
/// workers accept from, a TCP listener is bound once for each worker with `SO_REUSEPORT`.
package final class ListeningSocket: Sendable {
    /// The descriptor; closed when the last owner lets go.
    package let descriptor: Int32
    /// Where it listens, with the port the kernel chose where 0 was asked for.
    package let address: SocketAddress

    /// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
    static let backlog: Int32 = 4096

    /// Of a unix socket's file: its user and group connect, nobody else.
    private static let mode: mode_t = 0o660

    /// Which file a unix socket made: its path may lead to a successor's by the time it ends.
    private let file: FileIdentity?

    private struct FileIdentity: Equatable {
        let device: dev_t
        let number: ino_t

        /// That of a socket's file; nil for anything else.
        init?(_ path: String) {
            var status = stat()
            guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
                return nil
            }
            device = status.st_dev
            number = status.st_ino
        }
    }

    private init(adopting descriptor: Int32, address: SocketAddress, file: FileIdentity?) {
        self.descriptor = descriptor
        self.address = address
        self.file = file
    }

    deinit {
        close(descriptor)
    }

    /// Binds and listens. `sharesPort` lets further sockets of this process bind the same address;
    /// a stranger's socket there is still an error.
    package static func bind(
        _ address: SocketAddress, sharesPort: Bool = false
    ) throws(SystemError) -> ListeningSocket {
        guard address.isNameable else { throw SystemError(.bind, code: ENAMETOOLONG) }
        if case .unix(let path) = address { try removeStale(path) }
        let socket = try named(address, sharesPort: sharesPort)
        var file: FileIdentity?
        if case .unix(let path) = address {
            _ = unsafe path.withCString { unsafe chmod($0, mode) }
            file = FileIdentity(path)
        }
        guard listen(socket.descriptor, backlog) == 0 else { throw .last(.listen) }
        let bound = address.port == 0 ? localAddress(socket.descriptor) : address
        return ListeningSocket(adopting: socket.release(), address: bound, file: file)
    }

    /// Whether somebody already listens at a TCP address, this process or another. `SO_REUSEPORT`
    /// would let two processes of one user share it silently; that is more likely a mistake.
    package static func isTaken(_ address: SocketAddress) -> Bool {
        guard let port = address.port, port != 0 else { return false }
        do throws(SystemError) {
            // It does not listen: a client that waits for the port would reach it, and be reset.
            _ = try named(address, sharesPort: false)
            return false
        } catch {
            return error.isAddressInUse
        }
    }

    /// Refuses connections from now on. What waits to be accepted is reset, so it is accepted
    /// before.
    package func stopListening() {
        shutdown(descriptor, Int32(SHUT_RD))
    }

    /// Removes the socket's file, where it is one of the file system and still this one's.
    package func removeFile() {
        guard case .unix(let path) = address, let file, FileIdentity(path) == file else { return }
        _ = unsafe path.withCString { unsafe unlink($0) }
    }

    /// A socket with its address and not yet listening.
    private static func named(
        _ address: SocketAddress, sharesPort: Bool
    ) throws(SystemError) -> Socket {
        let socket = Socket(adopting: try Socket.open(address.family))
        try configure(socket.descriptor, address, sharesPort: sharesPort)
        // A socket's own mode, less the process's mask, becomes its file's mode: nobody else can
        // connect even before `chmod`. The mask stays alone; other threads make files under it.
        if address.family == AF_UNIX { fchmod(socket.descriptor, mode) }
        let outcome = unsafe address.withNative { unsafe Glibc.bind(socket.descriptor, $0, $1) }
        guard outcome == 0 else { throw .last(.bind) }
        return socket
    }

    private static func configure(
        _ descriptor: Int32, _ address: SocketAddress, sharesPort: Bool
    ) throws(SystemError) {
        guard address.family != AF_UNIX else { return }
        try Socket.setOption(descriptor, level: SOL_SOCKET, name: SO_REUSEADDR, to: 1)
        // Accepted sockets inherit it, which saves a call for each.
        try Socket.setOption(descriptor, level: Int32(IPPROTO_TCP), name: TCP_NODELAY, to: 1)
        if sharesPort {
            try Socket.setOption(descriptor, level: SOL_SOCKET, name: SO_REUSEPORT, to: 1)
        }
        if address.family == AF_INET6 {
            try Socket.setOption(descriptor, level: Int32(IPPROTO_IPV6), name: IPV6_V6ONLY, to: 1)
        }
    }

    /// A socket file that nobody listens at is left from an earlier run. Anything else stays, and
    /// binding reports it.
    private static func removeStale(_ path: String) throws(SystemError) {
        guard FileIdentity(path) != nil else { return }
        do throws(SystemError) {
            _ = try Socket.connecting(to: .unix(path))
        } catch {
            if error.code == ECONNREFUSED { _ = unsafe path.withCString { unsafe unlink($0) } }
        }
    }

    private static func localAddress(_ descriptor: Int32) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // The storage is a local of the size given; a bound socket has a name.
        _ = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &length)
            }
        }
        return SocketAddress(storage)
    }
}
