internal import Configuration
internal import EventLoop

/// Binds the configured addresses: TCP once for each worker, so that the kernel spreads
/// connections, unix sockets once for all of them.
struct ListenerBinder {
    let workerCount: Int

    /// The sockets of each worker, in the order of the configuration.
    func bind(
        _ listeners: [Configuration.Listener]
    ) throws(Server.Failure) -> [[ListeningSocket]] {
        var sockets: [[ListeningSocket]] = Array(repeating: [], count: workerCount)
        for listener in listeners {
            do throws(SystemError) {
                let address = try resolve(listener.address)
                let bound = try bind(address)
                for worker in 0..<workerCount {
                    sockets[worker].append(bound[worker % bound.count])
                }
            } catch {
                throw .listener(listener.address.description, error.message)
            }
        }
        return sockets
    }

    /// One socket that is nobody else's.
    func bind(
        _ address: Configuration.ListenAddress
    ) throws(Server.Failure) -> ListeningSocket {
        do throws(SystemError) {
            return try .bind(try resolve(address))
        } catch {
            throw .listener(address.description, error.message)
        }
    }

    private func bind(_ address: SocketAddress) throws(SystemError) -> [ListeningSocket] {
        guard address.port != nil, workerCount > 1 else { return [try .bind(address)] }
        if ListeningSocket.isTaken(address) { throw .addressInUse }
        let first = try ListeningSocket.bind(address, sharesPort: true)
        var sockets = [first]
        for _ in 1..<workerCount {
            sockets.append(try .bind(first.address, sharesPort: true))
        }
        return sockets
    }

    private func resolve(
        _ address: Configuration.ListenAddress
    ) throws(SystemError) -> SocketAddress {
        switch address {
        case .unix(let path): return .unix(path)
        case .tcp(let host, let port):
            guard let first = try Resolver.addresses(of: host, port: port).first else {
                throw .addressNotFound
            }
            return first
        }
    }
}
