import Bytes

/// The routes of every pattern, by method. All of it stands in arrays of plain values, so that a
/// look-up counts no references.
struct MethodTable {
    private struct Entry {
        let octets: Range<Int>
        let route: Int
    }

    private struct Pattern {
        let entries: Range<Int>
        /// The route without `methods`; -1 where there is none.
        let other: Int
    }

    private var octets: [UInt8] = []
    private var entries: [Entry] = []
    private var patterns: [Pattern] = []
    /// The values of `Allow`.
    private var allows: [String] = []

    /// What a route without `methods` is said to allow: any method passes it, these are the
    /// standard ones (RFC 9110, section 9.1, and RFC 5789) that are ever forwarded.
    private static let standard = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    /// Adds a pattern with its routes; patterns are numbered from 0. GET brings HEAD unless a route
    /// names it.
    mutating func append(_ routes: [(methods: [String]?, route: Int)]) {
        var named: [(method: String, route: Int)] = []
        for (methods, route) in routes { named += (methods ?? []).map { ($0, route) } }
        if let get = named.firstIndex(where: { $0.method == "GET" }),
            !named.contains(where: { $0.method == "HEAD" })
        {
            named.insert(("HEAD", named[get].route), at: get + 1)
        }
        let first = entries.count
        for (method, route) in named {
            let start = octets.count
            octets += Array(method.utf8)
            entries.append(Entry(octets: start..<octets.count, route: route))
        }
        let other = routes.first { $0.methods == nil }?.route ?? -1
        patterns.append(Pattern(entries: first..<entries.count, other: other))
        var names = named.map(\.method)
        if other >= 0 { names += Self.standard.filter { !names.contains($0) } }
        allows.append(names.joined(separator: ", "))
    }

    /// The route of a pattern for a method.
    func find(_ method: Span<UInt8>, pattern: Int) -> Int? {
        let pattern = patterns[pattern]
        for i in pattern.entries where isEqual(entries[i].octets, method) {
            return entries[i].route
        }
        return pattern.other < 0 ? nil : pattern.other
    }

    /// The value of `Allow` for a pattern.
    func allow(pattern: Int) -> String {
        patterns.indices.contains(pattern) ? allows[pattern] : ""
    }

    private func isEqual(_ own: Range<Int>, _ method: Span<UInt8>) -> Bool {
        guard own.count == method.count else { return false }
        for i in 0..<method.count where octets[own.lowerBound &+ i] != method[i] { return false }
        return true
    }
}
