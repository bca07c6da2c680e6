import Bytes
package import HTTP

/// What a route fits.
package struct RoutePattern: Equatable, Sendable {
    /// The host.
    package let host: HostPattern
    /// The path.
    package let path: PathPattern
    /// The methods; nil for all that no other route of the same host and path names.
    package let methods: [String]?
    /// What its paths may hold that is otherwise refused.
    package let unsafePaths: PathQuirks

    /// A pattern.
    package init(
        host: HostPattern = .any, path: PathPattern, methods: [String]? = nil,
        unsafePaths: PathQuirks = []
    ) {
        self.host = host
        self.path = path
        self.methods = methods
        self.unsafePaths = unsafePaths
    }
}

/// Which route decides about a request.
package enum RouteMatch: Equatable, Sendable {
    /// The route at this place in the configuration.
    case route(Int)
    /// Host and path fit, the method does not: 405. The number is for `allowedMethods`; nil where
    /// no host and path fit either (TRACE and CONNECT are 405 always).
    case methodNotAllowed(Int?)
    /// No route has this host and path: 404.
    case noRoute
    /// The path has quirks that the route does not allow, or no route to allow them: 400.
    case badPath
}

/// The routes of a configuration as a tree, so that ten thousand cost what ten cost.
///
/// The best (host, path) decides alone: of the hosts the exact one, then the longest `*.x`, then
/// none; of the paths the first in the order literal, `{name}`, end, `**` from the left. That is
/// the order in which `descend` tries a node's children, so the first pattern found is the best.
///
/// Work is bounded: each node has one parent and one place in the path, so a look-up enters a node
/// at most once; it enters one only where all segments before it fit, so `k` segments meet at most
/// 2^k nodes, and more than one for a segment only where the file has a `{name}` beside that very
/// literal. Depth is bounded by `PathPattern.maxSegments`, whatever the length of the path.
package final class RouteTable {
    private struct Node {
        var hasLiterals = false
        /// The child for `{name}`; -1 where there is none.
        var anyChild: Int32 = -1
        /// The endpoint of a pattern that ends here; -1 where none does.
        var end: Int32 = -1
        /// The endpoint of a pattern with `/**` here; -1 where there is none.
        var below: Int32 = -1
    }

    private static let exactHosts = 0
    private static let wildcardHosts = 1

    private let nodes: [Node]
    private let endpoints: [MethodTable]
    private let literals: LiteralTable
    private let hosts: LiteralTable
    private let longestWildcard: Int
    private let hasHosts: Bool
    /// The root of the routes without a host; -1 where there are none.
    private let anyHostRoot: Int
    private let unsafePaths: [PathQuirks]

    /// A table of routes in the order of the configuration, which has no two with the same host,
    /// path and method.
    package init(_ patterns: [RoutePattern]) {
        unsafePaths = patterns.map(\.unsafePaths)
        var builder = Builder()
        for (route, pattern) in patterns.enumerated() { builder.insert(pattern, route) }
        nodes = builder.nodes
        endpoints = builder.endpoints.map { MethodTable($0) }
        literals = builder.literals
        hosts = builder.hosts
        longestWildcard = builder.longestWildcard
        hasHosts = builder.hasHosts
        anyHostRoot = builder.anyHostRoot
    }

    /// The route for a request.
    ///
    /// - Parameters:
    ///   - host: the host, in any case, with or without port.
    ///   - path: the canonical path, which begins with `/`.
    ///   - quirks: what was found in it.
    package func match(
        host: Span<UInt8>, path: Span<UInt8>, quirks: PathQuirks, method: Span<UInt8>
    ) -> RouteMatch {
        let endpoint = bestEndpoint(host, path)
        if quirks.isEmpty {
            if Self.isNeverForwarded(method) { return .methodNotAllowed(endpoint) }
            guard let endpoint else { return .noRoute }
            return endpoints[endpoint].find(method).map { .route($0) }
                ?? .methodNotAllowed(endpoint)
        }
        guard let endpoint, let route = endpoints[endpoint].find(method),
            quirks.isSubset(of: unsafePaths[route])
        else { return .badPath }
        return Self.isNeverForwarded(method) ? .methodNotAllowed(endpoint) : .route(route)
    }

    /// The value of `Allow` for what `methodNotAllowed` gave.
    package func allowedMethods(_ endpoint: Int?) -> String {
        guard let endpoint, endpoints.indices.contains(endpoint) else { return "" }
        return endpoints[endpoint].allow
    }

    /// RFC 9110, section 9.3: TRACE would show what we added, CONNECT asks for a tunnel.
    private static func isNeverForwarded(_ method: Span<UInt8>) -> Bool {
        guard !method.isEmpty else { return true }
        switch method[0] {
        case UInt8(ascii: "T"): return method.isEqual(to: "TRACE")
        case UInt8(ascii: "C"): return method.isEqual(to: "CONNECT")
        default: return false
        }
    }

    // MARK: Looking up

    private func bestEndpoint(_ host: Span<UInt8>, _ path: Span<UInt8>) -> Int? {
        if hasHosts, let endpoint = endpointWithHost(host, path) { return endpoint }
        return anyHostRoot < 0 ? nil : descend(anyHostRoot, path, from: 1)
    }

    private func endpointWithHost(_ host: Span<UInt8>, _ path: Span<UInt8>) -> Int? {
        // Without port and final dot; 0 for what is longer than any host.
        let end = Authority.hostLength(in: host)
        if let root = hosts.find(host.extracting(0..<end), under: Self.exactHosts),
            let endpoint = descend(root, path, from: 1)
        {
            return endpoint
        }
        // From the longest suffix that a wildcard can have.
        var i = max(0, end &- longestWildcard &- 1)
        while longestWildcard > 0, i < end {
            // Something must stand before the dot.
            if host[i] == UInt8(ascii: "."), i > 0,
                let root = hosts.find(
                    host.extracting((i &+ 1)..<end), under: Self.wildcardHosts),
                let endpoint = descend(root, path, from: 1)
            {
                return endpoint
            }
            i &+= 1
        }
        return nil
    }

    /// The endpoint of the best pattern at or below `node` for the segments from `start` on. Behind
    /// the last segment, `start` is beyond the path's end.
    private func descend(_ node: Int, _ path: Span<UInt8>, from start: Int) -> Int? {
        let here = nodes[node]
        if start <= path.count {
            let end = path.firstIndex(of: UInt8(ascii: "/"), from: start) ?? path.count
            if here.hasLiterals,
                let child = literals.find(path.extracting(start..<end), under: node),
                let endpoint = descend(child, path, from: end &+ 1)
            {
                return endpoint
            }
            if here.anyChild >= 0, end > start,
                let endpoint = descend(Int(here.anyChild), path, from: end &+ 1)
            {
                return endpoint
            }
        } else if here.end >= 0 {
            return Int(here.end)
        }
        return here.below >= 0 ? Int(here.below) : nil
    }

    // MARK: Building

    /// The table while routes are added to it.
    private struct Builder {
        var nodes: [Node] = []
        /// The routes of each endpoint with their methods.
        var endpoints: [[(methods: [String]?, route: Int)]] = []
        var literals = LiteralTable(ignoringCase: false)
        var hosts = LiteralTable(ignoringCase: true)
        var longestWildcard = 0
        var hasHosts = false
        var anyHostRoot = -1

        mutating func insert(_ pattern: RoutePattern, _ route: Int) {
            var node = root(for: pattern.host)
            for segment in pattern.path.segments {
                switch segment {
                case .literal(let octets): node = literalChild(octets, of: node)
                case .any: node = anyChild(of: node)
                }
            }
            let known = pattern.path.coversBelow ? nodes[node].below : nodes[node].end
            let endpoint = known >= 0 ? Int(known) : endpoints.count
            if known < 0 {
                endpoints.append([])
                if pattern.path.coversBelow {
                    nodes[node].below = Int32(endpoint)
                } else {
                    nodes[node].end = Int32(endpoint)
                }
            }
            endpoints[endpoint].append((pattern.methods, route))
        }

        private mutating func root(for host: HostPattern) -> Int {
            switch host {
            case .any:
                if anyHostRoot < 0 { anyHostRoot = newNode() }
                return anyHostRoot
            case .exact(let name):
                return root(named: name, under: RouteTable.exactHosts)
            case .below(let name):
                longestWildcard = max(longestWildcard, name.count)
                return root(named: name, under: RouteTable.wildcardHosts)
            }
        }

        private mutating func root(named name: [UInt8], under kind: Int) -> Int {
            if let known = hosts.find(name.span, under: kind) { return known }
            hasHosts = true
            let node = newNode()
            hosts.insert(name, under: kind, value: node)
            return node
        }

        private mutating func literalChild(_ octets: [UInt8], of node: Int) -> Int {
            if let known = literals.find(octets.span, under: node) { return known }
            let child = newNode()
            nodes[node].hasLiterals = true
            literals.insert(octets, under: node, value: child)
            return child
        }

        private mutating func anyChild(of node: Int) -> Int {
            if nodes[node].anyChild >= 0 { return Int(nodes[node].anyChild) }
            let child = newNode()
            nodes[node].anyChild = Int32(child)
            return child
        }

        private mutating func newNode() -> Int {
            nodes.append(Node())
            return nodes.count - 1
        }
    }
}
