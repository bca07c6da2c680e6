import Bytes

/// The routes that share one host and path, by method.
struct MethodTable {
    private var octets: [UInt8] = []
    private var named: [(method: Range<Int>, route: Int)] = []
    /// The route without `methods`.
    private var other: Int?
    /// The value of `Allow`.
    private(set) var allow = ""

    /// What a route without `methods` is said to allow: any method passes it, these are the
    /// standard ones (RFC 9110, section 9.1, and RFC 5789) that are ever forwarded.
    private static let standard = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    mutating func insert(_ methods: [String]?, _ route: Int) {
        guard let methods else {
            other = route
            return
        }
        for method in methods { add(method, route) }
    }

    private mutating func add(_ method: String, _ route: Int) {
        let start = octets.count
        octets += Array(method.utf8)
        named.append((start..<octets.count, route))
    }

    /// Lets GET bring HEAD unless a route names it, and writes `allow`.
    mutating func finish() {
        var names = named.map { String(decoding: octets[$0.method], as: UTF8.self) }
        if let place = names.firstIndex(of: "GET"), !names.contains("HEAD") {
            add("HEAD", named[place].route)
            names.insert("HEAD", at: place + 1)
        }
        if other != nil { names += Self.standard.filter { !names.contains($0) } }
        allow = names.joined(separator: ", ")
    }

    func find(_ method: Span<UInt8>) -> Int? {
        for i in named.indices
        where octets.span.extracting(named[i].method).isEqual(to: method) {
            return named[i].route
        }
        return other
    }
}
