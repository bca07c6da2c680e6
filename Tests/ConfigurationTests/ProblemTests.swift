import Configuration
import Foundation
import Testing

@Suite struct ProblemTests {
    @Test(arguments: [
        ("", ["1:1: error: the file ends inside a value"]),
        ("[]", ["1:1: error: the configuration must be an object"]),
        ("{\n \"a\": 1,\n}", ["3:1: error: this cannot stand here in JSON"]),
        (
            "{\n \"workers\": 1,\n \"workers\": 2\n}",
            ["3:2: error: this name stands twice in the object"]
        ),
        ("{ // no\n}", ["1:3: error: this cannot stand here in JSON"]),
        (
            "{\"realm\": \"a\nb\"}",
            ["1:13: error: a control character in a string; write it as an escape"]
        ),
        ("{} {}", ["1:4: error: something follows the end of the configuration"]),
        ("\u{feff}{}", ["1:1: error: the file begins with a byte order mark"]),
        ("{\"workers\": 01}", ["1:13: error: no JSON number"]),
        ("{\"realm\": \"\\x\"}", ["1:12: error: no JSON escape"]),
        ("{\"realm\": \"\\ud800\"}", ["1:12: error: half of a surrogate pair"]),
        (
            "{}",
            [
                "1:1: error: the configuration lacks \"listeners\"",
                "1:1: error: the configuration lacks \"upstreams\"",
                "1:1: error: the configuration lacks \"routes\"",
            ]
        ),
    ])
    func textsThatAreNoConfiguration(text: String, expected: [String]) {
        #expect(problems(text) == expected)
    }

    @Test func theRowsAreThere() {
        #expect(ProblemCase.all.count > 300)
    }

    @Test(arguments: ProblemCase.all)
    func whatIsWrongIsSaidInItsPlace(row: ProblemCase) {
        #expect(problems(row.text) == row.expected)
    }

    @Test func everyProblemIsReportedInTheOrderOfTheFile() {
        let text = """
            {
              "listners": [],
              "listeners": [{ "adress": "127.0.0.1:8080" }],
              "issuers": { "login": { "issuer": "i", "audiences": ["a"], "keys": {} } },
              "upstreams": { "é": { "endpoints": ["ftp://a"] }, "b": { "endpoints": [] } },
              "routes": [
                { "path": "orders", "upstream": "c" },
                { "path": "/x", "upstream": "b", "timeouts": { "response": "5" } }
              ]
            }
            """
        #expect(
            problems(text) == [
                #"2:3: error: "listners" is no key of the configuration; "#
                    + #"did you mean "listeners"?"#,
                "3:17: error: listeners[] lacks \"address\"",
                "3:19: error: \"adress\" is no key of listeners[]; did you mean \"address\"?",
                #"4:70: error: "keys" must have exactly one of "file", "url", "discovery", "#
                    + #""jwks" and "secretFile""#,
                #"5:39: error: endpoint without a scheme; write "http://host:port", "#
                    + #""https://host:port", "h2c://host:port" or "unix:/path""#,
                "5:73: error: \"endpoints\" is empty",
                "7:15: error: \"path\": must begin with \"/\"",
                "7:37: error: there is no upstream \"c\"",
                "8:64: error: \"response\" must be a duration; "
                    + #"write "250ms", "30s", "10m" or "24h""#,
            ])
    }

    @Test(arguments: [
        "8080", ":8080", "*:8080", "127.0.0.1", "h:", "h:x", "h:65536", "h:-1", "127.0.0.1.1:80",
        "127.1:80",
        "::1:80", "[::1]", "[::1", "[127.0.0.1]:80", "http://h:80", "h:80/", "a@h:80", "h h:80",
        "[::g]:80",
        "é:80",
    ])
    func listenAddressesThatAreNone(address: String) {
        let found = problems(sections(listeners: #"[{"address":"\#(address)"}]"#))
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("2:25: error: \"address\" is no address; ") == true)
    }

    @Test(arguments: [
        ("/a?b", "queries and fragments are never matched"),
        (
            "/a*",
            #""*" stands only in a last "/**"; "{name}" is one segment, a last "/**" is all below"#
        ),
        ("/{a}b", #""{name}" stands for one whole segment"#),
        ("/./a", "no request has this path: a segment of dots and spaces"),
        ("/a b", ##"no request has this path: it has an octet that must be escaped, "#" or "\""##),
        ("/%61", #"requests are matched in another form; write "/a""#),
        (
            "//a",
            "requests with empty segments are refused; "
                + "\"unsafePaths\" can allow them for this route"
        ),
        (
            "/a;b%2Fc",
            #"requests with ";" and "%2F" are refused; "unsafePaths" can allow them for this route"#
        ),
    ])
    func paths(path: String, expected: String) {
        let found = problems(sections(routes: #"[{"path":"\#(path)","upstream":"up"}]"#))
        #expect(found == ["5:19: error: \"path\": \(expected)"])
    }

    @Test(
        arguments: [
            (["/a", "/a"], [1], "the same host and path, neither with \"methods\", as the route"),
            (
                ["/a/{x}", "/b", "/a/{y}"], [2],
                "the same host and path, neither with \"methods\", as the route"
            ),
            (
                ["GET,POST /a", "POST /a"], [1],
                "the same host and path, and POST too, as the route"
            ),
            (["GET /a", "POST /a", "/a"], [], ""), (["/a", "/a/", "/a/**"], [], ""),
            (["h/a", "/a", "*.h/a"], [], ""),
            (
                ["H/a", "h./a"], [1],
                "the same host and path, neither with \"methods\", as the route"
            ),
            (["GET /a", "HEAD /a"], [], ""),
        ] as [([String], [Int], String)])
    func twinRoutes(routes: [String], twins: [Int], message: String) {
        let lines = routes.map { text in
            let parts = text.split(separator: " ")
            let place = parts[parts.count - 1]
            let start = place.firstIndex(of: "/") ?? place.startIndex
            var members = ["\"path\":\"\(place[start...])\"", "\"upstream\":\"up\""]
            if start > place.startIndex { members.append("\"host\":\"\(place[..<start])\"") }
            if parts.count > 1 {
                let methods = parts[0].split(separator: ",").map { "\"\($0)\"" }
                members.append("\"methods\":[\(methods.joined(separator: ","))]")
            }
            return "{\(members.joined(separator: ","))}"
        }
        let found = problems(sections(routes: "[\n" + lines.joined(separator: ",\n") + "]"))
        #expect(found == twins.map { "\($0 + 6):1: error: \(message) at 6:1" })
    }

    @Test func routeNamesAreTheirOwn() {
        let text =
            #"[{"path":"/a","name":"n","upstream":"up"},{"path":"/b","name":"n","upstream":"up"}]"#
        #expect(
            problems(sections(routes: text)) == [
                "5:72: error: the same name as the route's at 5:31"
            ])
    }

    @Test func tokensNeedAnIssuer() {
        let expected = [
            "5:11: error: the route needs tokens, but \"issuers\" has nobody to issue them; "
                + "an open route says \"access\": \"public\""
        ]
        #expect(problems(sections(issuers: "{}")) == expected)
        let open = route(#""access":"public""#)
        #expect(problems(sections(issuers: "{}", routes: open)) == [])
    }

}

private func route(_ members: String) -> String {
    #"[{"path":"/","upstream":"up",\#(members)}]"#
}

/// A section of a configuration and what is wrong with it: the rows of
/// `Tests/fixtures/configuration`, where each begins with the section and its value and goes on
/// with the problems, indented.
struct ProblemCase: CustomTestStringConvertible {
    let section: String
    let value: String
    let expected: [String]

    var testDescription: String { "\(section): \(value)" }

    /// The whole configuration.
    var text: String {
        switch section {
        case "listeners": sections(listeners: value)
        case "issuers": sections(issuers: value)
        case "upstreams": sections(upstreams: value)
        case "routes": sections(routes: value)
        default: sections(more: value)
        }
    }

    static let all: [ProblemCase] = {
        let names = [
            "listeners", "listener-tls", "issuers", "keys", "tenants", "upstreams", "upstream-tls",
            "routes", "fields", "settings",
        ]
        return names.flatMap { name in
            let text = try? String(
                contentsOf: Fixtures.folder.appending(path: "\(name).txt"), encoding: .utf8)
            return (text ?? "").split(separator: "\n\n").map { ProblemCase(row: $0) }
        }
    }()

    private init(row: Substring) {
        let lines = row.split(separator: "\n")
        let parts = lines[0].split(separator: ": ", maxSplits: 1)
        section = String(parts[0])
        value = parts.count > 1 ? String(parts[1]) : ""
        expected = lines.dropFirst().map { String($0.dropFirst(2)) }
    }
}
