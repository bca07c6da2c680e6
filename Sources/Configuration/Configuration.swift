package import JWT
package import OpenSSL

/// What one `proxy.json` says: an immutable value, valid as a whole.
package struct Configuration: Sendable {
    /// The realm that challenges name.
    package let realm: String
    /// Where clients connect.
    package let listeners: [Listener]
    /// Who issues tokens, in the order of the file; their places are the issuers' indexes.
    package let issuers: [Issuer]
    /// What stands behind, in the order of the file; their places are the upstreams' indexes.
    package let upstreams: [Upstream]
    /// What may be asked for, in the order of the file; their places are the routes' indexes.
    package let routes: [Route]
    /// Bounds on what clients send.
    package let limits: Limits
    /// How long clients may take.
    package let timeouts: Timeouts
    /// Bounds on each worker's cache of verified tokens.
    package let tokenCache: TokenCacheLimits
    /// Threads that serve; nil for one a core.
    package let workers: Int?
    /// What is written down.
    package let log: LogSettings
    /// Where the state of the process is asked for; nil for nowhere.
    package let admin: AdminSettings?
    /// The folder for what survives a restart; nil where nothing does.
    package let stateDirectory: String?
    /// Names of fields that no client may send, for `FieldNamePolicy`: `identityHeaders`, every
    /// field that a route writes, and those that carry a client's certificate.
    package let removedFields: [String]
}

extension Configuration {
    /// Where clients connect.
    package struct Listener: Equatable, Sendable {
        /// The address.
        package let address: ListenAddress
        /// Whose forwarding fields are believed.
        package let trustedProxies: TrustedProxies
        /// How TLS is ended; nil for clear text.
        package let tls: ListenerTLS?
        /// The protocols spoken, in order of preference; never empty. In clear text HTTP/2 begins
        /// with prior knowledge.
        package let protocols: [ApplicationProtocol]
    }

    /// An address to listen at.
    package enum ListenAddress: Equatable, Sendable, CustomStringConvertible {
        /// A name or an address without brackets, and a port; 0 lets the system choose.
        case tcp(host: String, port: UInt16)
        /// A socket's path, the configuration's folder in front where it was relative.
        case unix(path: String)

        /// As the configuration writes it.
        package var description: String {
            switch self {
            case .tcp(let host, let port):
                host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path): "unix:\(path)"
            }
        }
    }

    /// An issuer of tokens.
    package struct Issuer: Sendable {
        /// What its tokens must be like.
        package let rules: IssuerRules
        /// Where its keys come from.
        package let keys: KeySource

        /// The name in the file.
        package var name: String { rules.name }
    }

    /// Where an issuer's keys come from.
    package enum KeySource: Equatable, Sendable {
        /// A file with a JWK Set, read and watched by whoever serves.
        case file(path: String)
        /// A set in place.
        case inline(JWKSet)
        /// Fetched, as the policy says.
        case fetched(FetchedKeys)
        /// The secret that `rules` hold.
        case secret
    }

    /// The listener that tells of the process.
    package struct AdminSettings: Equatable, Sendable {
        /// The address.
        package let address: ListenAddress
    }

    /// Bounds on what clients send.
    package struct Limits: Equatable, Sendable {
        /// Most bytes of a request's head.
        package let requestHead: Int
        /// Most fields of a request.
        package let requestFields: Int
        /// Most bytes of a token.
        package let token: Int
        /// Most clients' connections at a time; nil for no bound.
        package let connections: Int?
        /// Most requests at a time on a connection of HTTP/2.
        package let concurrentStreams: Int
    }

    /// How long clients may take.
    package struct Timeouts: Equatable, Sendable {
        /// From a request's first byte to its head's end.
        package let head: Duration
        /// Between requests.
        package let idle: Duration
        /// Without a byte moved in either direction.
        package let body: Duration
        /// For exchanges to finish when stopping.
        package let drain: Duration
    }

    /// What is written down.
    package struct LogSettings: Equatable, Sendable {
        /// Where a line for each request goes.
        package enum Access: Equatable, Sendable {
            case stdout
            case off
            case file(path: String)
        }

        /// The least severe process events, by swift-log's name of the level.
        package let level: String
        /// Where a line for each request goes.
        package let access: Access
    }
}
