import Bytes
import HTTP
import Testing

@testable import Authorization

/// `[host ]path[ METHOD,METHOD]` as a pattern.
func pattern(_ text: String, unsafe: PathQuirks = []) throws -> RoutePattern {
    var parts = text.split(separator: " ").map(String.init)
    var host = HostPattern.any
    if let first = parts.first, !first.hasPrefix("/") {
        host = try #require(HostPattern(first))
        parts.removeFirst()
    }
    return RoutePattern(
        host: host, path: try PathPattern(parts[0], allowing: unsafe),
        methods: parts.count > 1 ? parts[1].split(separator: ",").map(String.init) : nil,
        unsafePaths: unsafe)
}

extension RouteTable {
    func match(
        _ path: String, host: String = "h", method: String = "GET", quirks: PathQuirks = []
    ) -> RouteMatch {
        match(
            host: host.utf8Span.span, path: path.utf8Span.span, quirks: quirks,
            method: method.utf8Span.span)
    }
}

@Suite struct RouteTableTests {
    private func table(_ patterns: [String]) throws -> RouteTable {
        RouteTable(try patterns.map { try pattern($0) })
    }

    @Test(arguments: [
        ("/a", "/a", true), ("/a", "/a/", false), ("/a", "/A", false), ("/a", "/ab", false),
        ("/a", "/", false), ("/a", "/a/b", false), ("/a", "/a.", false),
        ("/a/", "/a/", true), ("/a/", "/a", false), ("/a/", "/a/b", false),
        ("/", "/", true), ("/", "/a", false),
        ("/**", "/", true), ("/**", "/a", true), ("/**", "/a/b/c/", true),
        ("/a/**", "/a", true), ("/a/**", "/a/", true), ("/a/**", "/a/b", true),
        ("/a/**", "/a/b/c/d/e", true), ("/a/**", "/ab", false), ("/a/**", "/", false),
        ("/a/**", "/A/b", false), ("/a/b/**", "/a", false),
        ("/{x}", "/a", true), ("/{x}", "/", false), ("/{x}", "/a/", false), ("/{x}", "/a/b", false),
        ("/a/{x}", "/a/b", true), ("/a/{x}", "/a/", false), ("/a/{x}", "/a", false),
        ("/a/{x}/", "/a/b/", true), ("/a/{x}/", "/a/b", false),
        ("/a/{x}/c", "/a/b/c", true), ("/a/{x}/c", "/a/b/d", false), ("/a/{x}/c", "/a//c", false),
        ("/{x}/**", "/a", true), ("/{x}/**", "/a/b", true), ("/{x}/**", "/", false),
        ("/%C3%A9/x", "/%C3%A9/x", true),
    ])
    func pathsFit(route: String, path: String, fits: Bool) throws {
        #expect(try table([route]).match(path) == (fits ? .route(0) : .noRoute))
    }

    @Test(
        arguments: [
            // Literal before {name} before end before **, from the left.
            (["/{x}", "/a"], "/a", 1), (["/a", "/{x}"], "/b", 1), (["/**", "/a"], "/a", 1),
            (["/a/**", "/a"], "/a", 1), (["/a/**", "/a"], "/a/", 0), (["/a/**", "/a/"], "/a/", 1),
            (["/a/**", "/a/{x}"], "/a/b", 1), (["/a/**", "/{x}/b"], "/a/b", 0),
            (["/{x}/b", "/a/{y}"], "/a/b", 1), (["/{x}/b", "/a/c"], "/a/b", 0),
            (["/a/{x}/c", "/{y}/b/d", "/**"], "/a/b/d", 1),
            (["/a/{x}/c", "/{y}/b/d", "/**"], "/a/b/e", 2),
            (["/a/**", "/{x}/b/**", "/**"], "/c/b", 1),
            (["/a/b/**", "/a/{x}", "/a/**"], "/a/b", 0),
            (["/a/b/c", "/a/b/**", "/a/**"], "/a/b/d", 1), (["/a/b/c", "/a/**"], "/a/b", 1),
            (["/{x}/**", "/**"], "/", 1), (["/{x}/**", "/**"], "/a", 0),
            // Hosts first: exact, longest wildcard, none.
            (["h /**", "/a"], "/a", 0), (["h /b", "/a"], "/a", 1), (["g /**", "/a"], "/a", 1),
        ] as [([String], String, Int)])
    func theBestPatternDecides(routes: [String], path: String, expected: Int) throws {
        #expect(try table(routes).match(path) == .route(expected))
        // Whatever the order in the file.
        let reversed = try table(routes.reversed()).match(path)
        #expect(reversed == .route(routes.count - 1 - expected))
    }

    @Test(arguments: [
        ("api.example.com", 0), ("API.Example.COM", 0), ("api.example.com:8443", 0),
        ("api.example.com.", 0), ("api.example.com.:80", 0),
        ("x.api.example.com", 1), ("y.x.api.example.com:1", 1),
        ("www.example.com", 2), ("a.b.example.com", 2), ("example.com", 4), ("EXAMPLE.com.", 4),
        ("badexample.com", 3), ("example.com.evil.net", 3), ("api.example.org", 3), ("", 3),
        ("[::1]", 5), ("[::1]:8080", 5), ("[::2]", 3), ("127.0.0.1:80", 6), ("127.0.0.2", 3),
    ])
    func hostsAreComparedWithoutCasePortOrFinalDot(host: String, expected: Int) throws {
        let table = try table([
            "api.example.com /", "*.api.example.com /", "*.Example.com /", "/", "example.com. /",
            "[::1] /", "127.0.0.1 /",
        ])
        #expect(table.match("/", host: host) == .route(expected))
    }

    @Test func aHostWithoutAFittingPathFallsToTheNext() throws {
        let table = try table(["a.x /one", "*.x /two", "*.a.x /one", "/three", "a.x /four POST"])
        #expect(table.match("/one", host: "a.x") == .route(0))
        #expect(table.match("/two", host: "a.x") == .route(1))
        #expect(table.match("/two", host: "b.a.x") == .route(1))
        #expect(table.match("/three", host: "a.x") == .route(3))
        #expect(table.match("/four", host: "b.x") == .noRoute)
        // The pattern decides before the method: no less specific one is tried instead.
        #expect(table.match("/four", host: "a.x") == .methodNotAllowed(4))
    }

    @Test func longHostsCostNothingAndFindNothing() throws {
        let table = try table(["*.x.y /", "a /"])
        let long = String(repeating: "a.", count: 32_000) + "x.y"
        #expect(table.match("/", host: long) == .noRoute)
    }

    @Test(
        arguments: [
            ("GET", .route(0)), ("HEAD", .route(0)), ("POST", .route(1)), ("DELETE", .route(1)),
            ("PUT", .methodNotAllowed(0)), ("get", .methodNotAllowed(0)),
            ("", .methodNotAllowed(0)),
            ("GETX", .methodNotAllowed(0)), ("OPTIONS", .methodNotAllowed(0)),
            ("TRACE", .methodNotAllowed(0)), ("CONNECT", .methodNotAllowed(0)),
        ] as [(String, RouteMatch)])
    func methodsChooseAmongRoutesOfOnePattern(method: String, expected: RouteMatch) throws {
        let table = try table(["/a/{x} GET", "/a/{y} POST,DELETE", "/**"])
        #expect(table.match("/a/b", method: method) == expected)
        #expect(table.allowedMethods(0) == "GET, HEAD, POST, DELETE")
    }

    @Test func aRouteWithoutMethodsTakesTheRestButNeverTraceOrConnect() throws {
        let table = try table(["/a", "/a POST", "/h GET", "/h HEAD"])
        #expect(table.match("/a", method: "POST") == .route(1))
        #expect(table.match("/a", method: "PROPFIND") == .route(0))
        #expect(table.match("/a", method: "TRACE") == .methodNotAllowed(0))
        #expect(table.match("/a", method: "CONNECT") == .methodNotAllowed(0))
        #expect(table.match("/none", method: "TRACE") == .methodNotAllowed(nil))
        #expect(table.match("/none", method: "CONNECT") == .methodNotAllowed(nil))
        #expect(table.match("/none", method: "GET") == .noRoute)
        #expect(table.allowedMethods(0) == "POST, GET, HEAD, PUT, PATCH, DELETE, OPTIONS")
        #expect(table.allowedMethods(nil) == "")
        // A route that names HEAD has it.
        #expect(table.match("/h", method: "HEAD") == .route(3))
        #expect(table.allowedMethods(1) == "GET, HEAD")
    }

    @Test func quirksNeedTheMatchedRoutesLeave() throws {
        let table = RouteTable([
            try pattern("/a/**", unsafe: .parameters), try pattern("/a/b/**"),
            try pattern("/c//d", unsafe: .emptySegments),
            try pattern("/e/{x}", unsafe: [.parameters, .encodedSlash]),
        ])
        #expect(table.match("/a/x;y", quirks: .parameters) == .route(0))
        #expect(table.match("/a/x;y//", quirks: [.parameters, .emptySegments]) == .badPath)
        #expect(table.match("/a/b/x;y", quirks: .parameters) == .badPath)
        #expect(table.match("/c//d", quirks: .emptySegments) == .route(2))
        #expect(table.match("/none;x", quirks: .parameters) == .badPath)
        #expect(table.match("/e/a%2Fb;c", quirks: [.parameters, .encodedSlash]) == .route(3))
        // An escaped slash is no segment's end for routing.
        #expect(table.match("/e/a%2Fb/c", quirks: .encodedSlash) == .badPath)
        // A name stands for something.
        #expect(table.match("/e/", quirks: .emptySegments) == .badPath)
    }

    @Test func noRoutesForwardNothing() throws {
        #expect(RouteTable([]).match("/") == .noRoute)
    }

    @Test func tenThousandRoutesAreAllFound() throws {
        let patterns = try (0..<10_000).map { try pattern("/tenant\($0 % 100)/thing\($0)/{id}") }
        let table = RouteTable(patterns)
        for i in 0..<10_000 {
            #expect(table.match("/tenant\(i % 100)/thing\(i)/7") == .route(i))
        }
        #expect(table.match("/tenant1/thing2/7") == .noRoute)
    }

    /// The rule of CONFIG.md word for word: all patterns, those that fit, the best of them.
    private func reference(_ patterns: [PathPattern], _ path: String) -> Int? {
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
            .map { Array($0.utf8) }
        func ranks(_ pattern: PathPattern) -> [Int]? {
            guard pattern.segments.count <= segments.count,
                pattern.coversBelow || pattern.segments.count == segments.count
            else { return nil }
            var ranks: [Int] = []
            for (own, given) in zip(pattern.segments, segments) {
                switch own {
                case .literal(let octets):
                    guard octets == given else { return nil }
                    ranks.append(0)
                case .any:
                    guard !given.isEmpty else { return nil }
                    ranks.append(1)
                }
            }
            return ranks + [pattern.coversBelow ? 3 : 2]
        }
        return patterns.enumerated().compactMap { i, p in ranks(p).map { (i, $0) } }
            .min { $0.1.lexicographicallyPrecedes($1.1) }?.0
    }

    @Test func treeAndPlainReadingOfTheRuleAgree() throws {
        var random = SystemRandomNumberGenerator()
        let words = ["a", "b", "{x}", "{y}", ""]
        for _ in 0..<300 {
            var patterns: [PathPattern] = []
            for _ in 0..<12 {
                var parts = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    words.randomElement(using: &random) ?? "a"
                }
                if Bool.random(using: &random) { parts.append("**") }
                let text = "/" + parts.joined(separator: "/")
                let parsed = try PathPattern(text, allowing: .emptySegments)
                if !patterns.contains(parsed) { patterns.append(parsed) }
            }
            let table = RouteTable(patterns.map { RoutePattern(path: $0) })
            for _ in 0..<40 {
                let path =
                    "/"
                    + (0..<Int.random(in: 1...5, using: &random)).map { _ in
                        ["a", "b", "c", ""].randomElement(using: &random) ?? "a"
                    }.joined(separator: "/")
                let expected = reference(patterns, path).map { RouteMatch.route($0) } ?? .noRoute
                #expect(table.match(path) == expected, "\(path) among \(patterns)")
            }
        }
    }

    @Test func fallingBackIsBoundedByTheTree() throws {
        // Literal and {name} beside each other at each of 12 levels: 4,096 leaves, all of which a
        // path that fits none of them may meet, once.
        let patterns = try (0..<4096).map { bits in
            try pattern(
                "/" + (0..<12).map { bits >> $0 & 1 == 1 ? "a" : "{x}" }.joined(separator: "/")
                    + "/end")
        }
        let table = RouteTable(patterns)
        let clock = ContinuousClock()
        let path = "/" + String(repeating: "a/", count: 12)
        let spent = clock.measure { #expect(table.match(path + "nope") == .noRoute) }
        #expect(spent < .milliseconds(200))
        #expect(table.match(path + "end") == .route(4095))
        #expect(table.match("/" + String(repeating: "a/", count: 30_000)) == .noRoute)
    }
}
