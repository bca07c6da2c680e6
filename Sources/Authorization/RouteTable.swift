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
    private let nodes: [RouteNode]
    private let methods: MethodTable
    private let literals: LiteralTable
    private let hosts: LiteralTable
    private let hasHosts: Bool
    private let longestWildcard: Int
    /// The root of the routes without a host; -1 where there are none.
    private let anyHostRoot: Int
    /// What each route's paths may hold, as bits.
    private let unsafePaths: [UInt8]

    /// A table of routes in the order of the configuration, which has no two with the same host,
    /// path and method.
    package init(_ patterns: [RoutePattern]) {
        var builder = RouteTreeBuilder()
        for (route, pattern) in patterns.enumerated() { builder.insert(pattern, route) }
        var methods = MethodTable()
        for routes in builder.endpoints { methods.append(routes) }
        nodes = builder.nodes
        self.methods = methods
        literals = builder.literals
        hosts = builder.hosts
        hasHosts = builder.hasHosts
        longestWildcard = builder.longestWildcard
        anyHostRoot = builder.anyHostRoot
        unsafePaths = patterns.map(\.unsafePaths.rawValue)
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
        // As bits: the set's own operations are not specialised across modules.
        let quirks = quirks.rawValue
        if quirks == 0 {
            if Self.isNeverForwarded(method) { return .methodNotAllowed(endpoint) }
            guard let endpoint else { return .noRoute }
            guard let route = methods.find(method, pattern: endpoint) else {
                return .methodNotAllowed(endpoint)
            }
            return .route(route)
        }
        guard let endpoint, let route = methods.find(method, pattern: endpoint),
            quirks & ~unsafePaths[route] == 0
        else { return .badPath }
        return Self.isNeverForwarded(method) ? .methodNotAllowed(endpoint) : .route(route)
    }

    /// The value of `Allow` for what `methodNotAllowed` gave.
    package func allowedMethods(_ endpoint: Int?) -> String {
        endpoint.map { methods.allow(pattern: $0) } ?? ""
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
        if let root = hosts.find(host.extracting(0..<end), under: RouteNode.exactHosts),
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
                    host.extracting((i &+ 1)..<end), under: RouteNode.wildcardHosts),
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
}
