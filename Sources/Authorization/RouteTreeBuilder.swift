/// A step of the route tree.
struct RouteNode {
    var hasLiterals = false
    /// The child for `{name}`; -1 where there is none.
    var anyChild: Int32 = -1
    /// The endpoint of a pattern that ends here; -1 where none does.
    var end: Int32 = -1
    /// The endpoint of a pattern with `/**` here; -1 where there is none.
    var below: Int32 = -1

    /// The parents under which the roots of hosts stand in their table.
    static let exactHosts = 0
    static let wildcardHosts = 1
}

/// Puts routes into the tree that `RouteTable` then reads. The table's own properties are constant,
/// which spares each look-up the runtime's checks for exclusive access.
struct RouteTreeBuilder {
    private(set) var nodes: [RouteNode] = []
    /// The routes of each pattern.
    private(set) var endpoints: [[(methods: [String]?, route: Int)]] = []
    private(set) var literals = LiteralTable(ignoringCase: false)
    private(set) var hosts = LiteralTable(ignoringCase: true)
    private(set) var hasHosts = false
    private(set) var longestWildcard = 0
    /// The root of the routes without a host; -1 where there are none.
    private(set) var anyHostRoot = -1

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
            return root(named: name, under: RouteNode.exactHosts)
        case .below(let name):
            longestWildcard = max(longestWildcard, name.count)
            return root(named: name, under: RouteNode.wildcardHosts)
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
        nodes.append(RouteNode())
        return nodes.count - 1
    }
}
