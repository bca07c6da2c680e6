import Authorization
import HTTP
import Testing

@Suite struct PatternTests {
    @Test(
        arguments: [
            ("", .notAbsolute), ("orders", .notAbsolute), ("**", .notAbsolute),
            ("/a?x=1", .query), ("/a#x", .query),
            ("/*", .wildcard), ("/a*", .wildcard), ("/**/a", .wildcard), ("/a**", .wildcard),
            ("/***", .wildcard), ("/a/*/b", .wildcard), ("/**/", .wildcard),
            ("/{", .braces), ("/{}", .braces), ("/{a", .braces), ("/a}", .braces),
            ("/x{a}", .braces),
            ("/{a}x", .braces), ("/{a}{b}", .braces), ("/{a b}", .braces), ("/{a/b}", .braces),
            ("/a b", .refused(.octet)), ("/é", .refused(.octet)), ("/a\\b", .refused(.octet)),
            ("/./a", .refused(.dotSegment)), ("/a/..", .refused(.dotSegment)),
            ("/%zz", .refused(.brokenEscape)), ("/%00", .refused(.escapedSeparator)),
            ("/%61dmin", .notCanonical("/admin")), ("/%c3%a9/{x}", .notCanonical("/%C3%A9/x")),
            ("//a", .quirks(.emptySegments)), ("/a//b", .quirks(.emptySegments)),
            ("/a//", .quirks(.emptySegments)),
            ("/a//**", .quirks(.emptySegments)), ("/a;b", .quirks(.parameters)),
            ("/a%2Fb", .quirks(.encodedSlash)),
        ] as [(String, PathPattern.Fault)])
    func textsThatAreNoPatternAreRefused(text: String, fault: PathPattern.Fault) {
        #expect(throws: fault) { try PathPattern(text) }
    }

    @Test func depthIsLimited() throws {
        _ = try PathPattern(String(repeating: "/a", count: 64))
        #expect(throws: PathPattern.Fault.tooManySegments) {
            try PathPattern(String(repeating: "/a", count: 65))
        }
    }

    @Test func namesDoNotMatter() throws {
        #expect(try PathPattern("/a/{x}") == PathPattern("/a/{y}"))
        #expect(try PathPattern("/a/{x}") != PathPattern("/a/x"))
        #expect(try PathPattern("/a") != PathPattern("/a/**"))
    }

    @Test func quirksMayBeAllowed() throws {
        _ = try PathPattern("/a//b;c%2Fd", allowing: [.parameters, .encodedSlash, .emptySegments])
        #expect(throws: PathPattern.Fault.quirks(.encodedSlash)) {
            try PathPattern("/a//b;c%2Fd", allowing: [.parameters, .emptySegments])
        }
    }

    @Test(arguments: [
        "", "*", "*.", "a b", "a/b", "a:80", "http://a", "a..b", ".a", "é.example", "*.*.a", "a.*",
        "*a",
        "[::1", "[]", "*.[::1]", "[zz::]", "a@b", String(repeating: "a", count: 254),
    ])
    func textsThatAreNoHostAreRefused(text: String) {
        #expect(HostPattern(text) == nil)
    }

    @Test func hostsAreKeptInLowerCaseWithoutFinalDot() {
        #expect(HostPattern("API.Example.com.") == .exact(Array("api.example.com".utf8)))
        #expect(HostPattern("*.Example.com") == .below(Array("example.com".utf8)))
        #expect(HostPattern("[2001:DB8::1]") == .exact(Array("[2001:db8::1]".utf8)))
    }
}
