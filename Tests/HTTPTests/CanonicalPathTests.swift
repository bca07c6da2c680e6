import Bytes
import HTTP
import Testing

@Suite struct CanonicalPathTests {
    private func judge(_ path: [UInt8]) -> (CanonicalPath, String) {
        var buffer = ByteBuffer()
        // What an earlier path left behind must not matter.
        buffer.append("/left/over")
        let verdict = CanonicalPath(of: path.span, rewritingInto: &buffer)
        guard verdict == .rewritten else { return (verdict, String(decoding: path, as: UTF8.self)) }
        return (verdict, buffer.withBytes { String(decoding: [UInt8](copying: $0), as: UTF8.self) })
    }

    private func judge(_ path: String) -> (CanonicalPath, String) { judge(Array(path.utf8)) }

    @Test(arguments: [
        "/", "/a", "/a/", "/orders/42", "/a.b", "/.a", "/a.", "/..a", "/a..", "/.well-known/x",
        "/ADMIN",
        "/admin.", "/!$&'()*+,=:@~-_/x", "/\"<>^`{|}[]", "/%C3%A9", "/%20a", "/a%20", "/%3F%23",
        "/100%25", "/100%25/a1", "/%25a", "/%25ag", "/%25%25", "/%E2%82%AC", "/a/b/c/d/e/f/",
    ])
    func canonicalPathsStandAsReceived(path: String) {
        #expect(judge(path).0 == .asReceived([]))
    }

    @Test(arguments: [
        ("/%61dmin", "/admin"), ("/%61%64%6D%69%6e", "/admin"), ("/%7Euser", "/~user"),
        ("/%7euser/%2D%5f", "/~user/-_"), ("/%c3%a9", "/%C3%A9"), ("/a%2cb", "/a%2Cb"),
        ("/%2Ea", "/.a"), ("/a%2e", "/a."), ("/x%3fy", "/x%3Fy"), ("/x%23%5b", "/x%23%5B"),
        ("/%41/b", "/A/b"), ("/%30", "/0"),
        ("/caf%C3%a9/%61", "/caf%C3%A9/a"), ("/%25x%61", "/%25xa"),
    ])
    func unreservedEscapesAreDecodedAndOthersUpperCased(path: String, expected: String) {
        let (verdict, text) = judge(path)
        #expect(verdict == .rewritten)
        #expect(text == expected)
        // Once canonical, always canonical.
        #expect(judge(text).0 == .asReceived([]))
    }

    @Test(
        arguments: [
            ("", .notAbsolute), ("*", .notAbsolute), ("admin/", .notAbsolute),
            ("http:", .notAbsolute),
            ("%2Fa", .notAbsolute),
            ("/a b", .octet), ("/a\tb", .octet), ("/a\u{0}", .octet), ("/a\u{7f}", .octet),
            ("/é", .octet),
            ("/a#b", .octet), ("/#", .octet), ("/a\\b", .octet), ("/\\..\\admin", .octet),
            ("/..\\admin", .octet),
            ("/%", .brokenEscape), ("/%4", .brokenEscape), ("/%4/a", .brokenEscape),
            ("/%zz", .brokenEscape),
            ("/%4g", .brokenEscape), ("/%%61", .brokenEscape), ("/%u0041", .brokenEscape),
            ("/% 41", .brokenEscape), ("/%+1", .brokenEscape), ("/a%", .brokenEscape),
            ("/%5c", .escapedSeparator), ("/%5Cadmin", .escapedSeparator),
            ("/a%3b", .escapedSeparator),
            ("/admin%3Bx", .escapedSeparator), ("/%00", .escapedSeparator),
            ("/a%0d%0aX", .escapedSeparator),
            ("/a%0A", .escapedSeparator), ("/%7f", .escapedSeparator), ("/%1F", .escapedSeparator),
            ("/%09", .escapedSeparator),
            ("/%252e", .doubleEscape), ("/%252e%252e/admin", .doubleEscape),
            ("/%25%32%65", .doubleEscape),
            ("/%252%65", .doubleEscape), ("/%2561dmin", .doubleEscape),
            ("/%25%61dmin", .doubleEscape),
            ("/%25252e", .doubleEscape), ("/a%2500", .doubleEscape), ("/%252F", .doubleEscape),
            ("/%c0%ae%c0%ae/admin", .notUTF8), ("/%c0%af", .notUTF8), ("/%ff", .notUTF8),
            ("/%c3", .notUTF8), ("/%c3x", .notUTF8), ("/%c3%61", .notUTF8),
            ("/%ed%a0%80", .notUTF8),
            ("/%e0%80%ae", .notUTF8), ("/%f4%90%80%80", .notUTF8), ("/a%80", .notUTF8),
            ("/.", .dotSegment), ("/..", .dotSegment), ("/./admin", .dotSegment),
            ("/a/../b", .dotSegment),
            ("/public/../admin", .dotSegment), ("/public/%2e%2e/admin", .dotSegment),
            ("/public/.%2e/admin", .dotSegment), ("/public/%2E./admin", .dotSegment),
            ("/%2e", .dotSegment), ("/a/.", .dotSegment), ("/a/..", .dotSegment),
            ("/.../a", .dotSegment),
            ("/a/%20/b", .dotSegment), ("/%20", .dotSegment), ("/..%20/a", .dotSegment),
            ("/.%20./a", .dotSegment), ("/..../", .dotSegment),
            ("/public/..%2fadmin", .dotSegment), ("/public/..%2Fadmin", .dotSegment),
            ("/public%2f..%2fadmin", .dotSegment), ("/public/%2e%2e%2fadmin", .dotSegment),
            ("/public/..;/admin", .dotSegment), ("/public/..;x=1/admin", .dotSegment),
            ("/public/.;/admin", .dotSegment), ("/a/%2e%2e;x", .dotSegment),
            ("/a;x%2f..", .dotSegment),
            ("/a//../b", .dotSegment), ("/a;b/../c", .dotSegment), ("/x%2f%2e%2e", .dotSegment),
            ("/a;b\\c", .octet), ("/a%2f\\", .octet), ("/a//%5c", .escapedSeparator),
        ] as [(String, CanonicalPath.Fault)])
    func ambiguousPathsAreRefused(path: String, fault: CanonicalPath.Fault) {
        #expect(judge(path).0 == .refused(fault))
    }

    @Test(
        arguments: [
            ("/admin;x", .parameters), ("/a;", .parameters), ("/a;x=1;y=2/b", .parameters),
            ("/a/;x", .parameters), ("/%61;x", .parameters),
            ("/;x/admin", [.parameters, .emptySegments]),
            ("/a%2fb", .encodedSlash), ("/group%2Fproject/x", .encodedSlash),
            ("/a%2F", .encodedSlash),
            ("/%2fadmin", [.encodedSlash, .emptySegments]),
            ("/a%2f%2Fb", [.encodedSlash, .emptySegments]),
            ("//", .emptySegments), ("//admin", .emptySegments), ("/a//b", .emptySegments),
            ("/a//", .emptySegments), ("///", .emptySegments), ("//a%20b", .emptySegments),
            ("/a;b%2Fc//d", [.parameters, .encodedSlash, .emptySegments]),
        ] as [(String, PathQuirks)])
    func quirksAreReportedAndNothingIsDecoded(path: String, quirks: PathQuirks) {
        #expect(judge(path).0 == .asReceived(quirks))
    }

    @Test func everyRawOctetIsJudgedAlikeWithAndWithoutEscapesBeside() {
        for byte in UInt8.min...UInt8.max where byte != UInt8(ascii: "%") {
            let plain = judge([UInt8(ascii: "/"), UInt8(ascii: "a"), byte]).0
            let slow = judge(Array("/%C3%A9a".utf8) + [byte]).0
            #expect(plain == slow)
            if byte < 0x21 || byte > 0x7e { #expect(plain == .refused(.octet)) }
        }
    }

    @Test func everyOctetIsJudgedAlikeAtEveryPlace() {
        for byte in UInt8.min...UInt8.max where byte != UInt8(ascii: "%") {
            for place in 1..<26 {
                var path = Array("/abcdefghijklmnopqrstuvwxy".utf8)
                path[place] = byte
                // An escape that stays makes the path one to be looked at closely.
                let whole = judge(path + Array("%C3%A9".utf8)).0
                // A last segment may be empty.
                if place < 25 { #expect(judge(path).0 == whole) }
            }
        }
    }

    @Test(arguments: ["//", "/.", "./", "..", "/./", "/../", "/.x", "/.../", "/x.", "///"])
    func segmentsAreJudgedAlikeAtEveryPlace(part: String) {
        for place in 1..<24 {
            let whole = "abcdefghijklmnopqrstuvwxy"
            let path = "/" + whole.prefix(place) + part + whole.dropFirst(place)
            #expect(judge(path).0 == judge(path + "%C3%A9").0)
        }
    }

    @Test func everyEscapeIsJudgedByWhatItStandsFor() {
        for byte in UInt8.min...UInt8.max {
            let digits = String(byte, radix: 16, uppercase: true)
            let (verdict, text) = judge("/a%" + (byte < 16 ? "0" : "") + digits)
            switch byte {
            case 0..<0x20, 0x7f, UInt8(ascii: "\\"), UInt8(ascii: ";"):
                #expect(verdict == .refused(.escapedSeparator))
            case 0x80...: #expect(verdict == .refused(.notUTF8))
            case UInt8(ascii: "/"): #expect(verdict == .asReceived(.encodedSlash))
            case _ where ASCII.isUnreserved(byte):
                #expect(verdict == .rewritten)
                #expect(text == "/a" + String(UnicodeScalar(byte)))
            default: #expect(verdict == .asReceived([]))
            }
        }
    }
}
