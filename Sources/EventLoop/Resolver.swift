internal import Glibc

/// Names to addresses, in the calling thread. It may block for seconds, so no loop calls it: a
/// thread of its own does.
package enum Resolver {
    /// The addresses of a host name, in the resolver's order, without repeats. A literal address is
    /// answered without asking anyone.
    package static func addresses(
        of host: String, port: UInt16
    ) throws(SystemError) -> [SocketAddress] {
        if let literal = IPAddress(host) { return [.ip(literal, port: port)] }
        // C would see the name end there, and ask for another.
        if host.utf8.contains(0) { throw SystemError(.getaddrinfo, code: ENOENT) }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        // Hints and list are locals; the list is freed below.
        let code = unsafe getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else { throw SystemError(.getaddrinfo, code: errnoLike(code)) }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = unsafe list
        while let entry = unsafe next {
            if let ip = unsafe ipAddress(entry.pointee) {
                let address = SocketAddress.ip(ip, port: port)
                if !addresses.contains(address) { addresses.append(address) }
            }
            unsafe next = entry.pointee.ai_next
        }
        return addresses
    }

    @unsafe
    private static func ipAddress(_ entry: addrinfo) -> IPAddress? {
        guard let address = unsafe entry.ai_addr else { return nil }
        // The address has the size of its family, as getaddrinfo promises.
        let raw = UnsafeRawPointer(address)
        switch unsafe entry.ai_family {
        case AF_INET:
            let v4 = unsafe raw.loadUnaligned(as: sockaddr_in.self)
            return .v4(UInt32(bigEndian: v4.sin_addr.s_addr))
        case AF_INET6:
            return unsafe IPAddress(raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr)
        default: return nil
        }
    }

    /// getaddrinfo has codes of its own; what is passing and what is final is all that is told
    /// apart.
    private static func errnoLike(_ code: Int32) -> Int32 {
        switch code {
        case EAI_AGAIN: EAGAIN
        case EAI_SYSTEM: errno
        case EAI_MEMORY: ENOMEM
        default: ENOENT
        }
    }
}
