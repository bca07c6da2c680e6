internal import CLinux
internal import Glibc

/// Where a socket listens or connects.
package enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// An IP address and port.
    case ip(IPAddress, port: UInt16)
    /// A path in the file system; empty for an unnamed peer.
    case unix(String)

    /// `127.0.0.1:80`, `[::1]:80` or `unix:/path`.
    package var description: String {
        switch self {
        case .ip(.v4(let bits), let port): "\(IPAddress.v4(bits)):\(port)"
        case .ip(let address, let port): "[\(address)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// The address's IP, nil for a unix socket.
    package var ipAddress: IPAddress? {
        if case .ip(let address, _) = self { return address }
        return nil
    }

    /// The port, nil for a unix socket.
    package var port: UInt16? {
        if case .ip(_, let port) = self { return port }
        return nil
    }

    /// Bytes a unix path may have: `sun_path` less its terminator.
    package static let maxUnixPath = 107

    /// Whether the kernel would take the whole path: a longer one, or one with a NUL inside, would
    /// name another file, and an empty one a socket outside of the file system.
    var isNameable: Bool {
        guard case .unix(let path) = self else { return true }
        return 1...SocketAddress.maxUnixPath ~= path.utf8.count && !path.utf8.contains(0)
    }

    var family: Int32 {
        switch self {
        case .ip(.v4, _): AF_INET
        case .ip(.v6, _): AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Reads what the kernel wrote into a `sockaddr_storage`.
    init(_ storage: sockaddr_storage) {
        var storage = storage
        // A sockaddr_storage is as large and as aligned as each concrete address type.
        self = unsafe withUnsafePointer(to: &storage) { pointer in
            let raw = unsafe UnsafeRawPointer(pointer)
            switch Int32(unsafe pointer.pointee.ss_family) {
            case AF_INET:
                let address = unsafe raw.load(as: sockaddr_in.self)
                return .ip(
                    .v4(UInt32(bigEndian: address.sin_addr.s_addr)),
                    port: UInt16(bigEndian: address.sin_port))
            case AF_INET6:
                let address = unsafe raw.load(as: sockaddr_in6.self)
                return .ip(
                    IPAddress(address.sin6_addr).unmapped,
                    port: UInt16(bigEndian: address.sin6_port))
            default:
                return .unix("")
            }
        }
    }

    /// Calls `body` with the address as the kernel wants it.
    func withNative<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var storage = sockaddr_storage()
        let length = fill(&storage)
        // The storage is a local that outlives the call, and `length` is within it.
        return unsafe withUnsafePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(length))
            }
        }
    }

    private func fill(_ storage: inout sockaddr_storage) -> Int {
        unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            switch self {
            case .ip(.v4(let bits), let port):
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = port.bigEndian
                address.sin_addr.s_addr = bits.bigEndian
                unsafe bytes.storeBytes(of: address, as: sockaddr_in.self)
                return MemoryLayout<sockaddr_in>.size
            case .ip(let ip, let port):
                var address = sockaddr_in6()
                address.sin6_family = sa_family_t(AF_INET6)
                address.sin6_port = port.bigEndian
                address.sin6_addr = ip.native6
                unsafe bytes.storeBytes(of: address, as: sockaddr_in6.self)
                return MemoryLayout<sockaddr_in6>.size
            case .unix(let path):
                unsafe bytes.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
                let path = path.utf8.prefix(SocketAddress.maxUnixPath)
                for (index, byte) in path.enumerated() {
                    unsafe bytes[MemoryLayout<sa_family_t>.size + index] = byte
                }
                return MemoryLayout<sa_family_t>.size + path.count + 1
            }
        }
    }
}
