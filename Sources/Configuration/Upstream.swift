extension Configuration {
    /// What stands behind.
    package struct Upstream: Equatable, Sendable {
        /// How an endpoint is chosen.
        package enum Balance: String, Equatable, Sendable {
            case roundRobin = "round-robin"
            case leastConnections = "least-connections"
        }

        /// The name in the file.
        package let name: String
        /// Its addresses, at least one.
        package let endpoints: [Endpoint]
        /// How an endpoint is chosen.
        package let balance: Balance
        /// How long it may take.
        package let timeouts: UpstreamTimeouts
        /// Most connections over all workers; nil for no bound.
        package let maxConnections: Int?
        /// How often another connection is tried.
        package let retries: Int
        /// How often names are resolved again.
        package let resolveInterval: Duration
        /// How `https` endpoints are spoken to; there whenever an endpoint is one.
        package let tls: UpstreamTLS?
    }

    /// One address of an upstream; a name may stand for several.
    package enum Endpoint: Equatable, Sendable, CustomStringConvertible {
        /// What is spoken with a host, by the scheme's name.
        package enum Transport: String, Equatable, Sendable {
            /// HTTP/1.1 in clear text.
            case http
            /// TLS, and in it what ALPN agrees upon.
            case https
            /// HTTP/2 in clear text, by prior knowledge.
            case h2c

            /// The port that is left out.
            var defaultPort: UInt16 { self == .https ? 443 : 80 }
        }

        /// A name or an address without brackets, and a port.
        case tcp(Transport, host: String, port: UInt16)
        /// A socket's path, the configuration's folder in front where it was relative.
        case unix(path: String)

        /// As the configuration writes it.
        package var description: String {
            switch self {
            case .tcp(let transport, let host, let port):
                "\(transport.rawValue)://" + (host.contains(":") ? "[\(host)]" : host)
                    + ":\(port)"
            case .unix(let path): "unix:\(path)"
            }
        }

        /// What `Host` says where a route asks for the endpoint's: without the scheme's own port,
        /// and `localhost` for a unix socket, which has no name.
        package var authority: String {
            switch self {
            case .tcp(let transport, let host, let port):
                (host.contains(":") ? "[\(host)]" : host)
                    + (port == transport.defaultPort ? "" : ":\(port)")
            case .unix: "localhost"
            }
        }

        /// What is spoken; `http` over a unix socket.
        package var transport: Transport {
            switch self {
            case .tcp(let transport, _, _): transport
            case .unix: .http
            }
        }
    }

    /// How long an upstream may take.
    package struct UpstreamTimeouts: Equatable, Sendable {
        /// To connect.
        package let connect: Duration
        /// From the request sent to the response's head.
        package let response: Duration
        /// Unused in the pool.
        package let idle: Duration
        /// Silence in a response's body or a tunnel.
        package let stream: Duration
    }
}
