import Bytes

/// The routes that share one host and path, by method. A class, so that looking one up copies none of
/// its parts.
final class MethodTable {
    private struct Named {
        let method: [UInt8]
        let route: Int
    }

    private let named: [Named]
    /// The route without `methods`.
    private let other: Int?
    /// The value of `Allow`.
    let allow: String

    /// What a route without `methods` is said to allow: any method passes it, these are the
    /// standard ones (RFC 9110, section 9.1, and RFC 5789) that are ever forwarded.
    private static let standard = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    /// A table of routes with their methods. GET brings HEAD unless a route names it.
    init(_ routes: [(methods: [String]?, route: Int)]) {
        other = routes.first { $0.methods == nil }?.route
        var all: [(method: String, route: Int)] = []
        for (methods, route) in routes {
            for method in methods ?? [] { all.append((method, route)) }
        }
        if let get = all.firstIndex(where: { $0.method == "GET" }),
            !all.contains(where: { $0.method == "HEAD" })
        {
            all.insert(("HEAD", all[get].route), at: get + 1)
        }
        named = all.map { Named(method: Array($0.method.utf8), route: $0.route) }
        var names = all.map(\.method)
        if other != nil { names += Self.standard.filter { !names.contains($0) } }
        allow = names.joined(separator: ", ")
    }

    func find(_ method: Span<UInt8>) -> Int? {
        for candidate in named {
            let name = candidate.method
            if name.span.isEqual(to: method) { return candidate.route }
        }
        return other
    }
}
