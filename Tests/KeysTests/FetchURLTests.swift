import Keys
import Testing

@Suite struct FetchURLTests {
    struct Parts: Equatable, Sendable {
        let text: String
        let host: String
        let port: UInt16
        let target: String
        let authority: String
    }

    @Test(
        "A URL is read into its parts, in one form",
        arguments: [
            (
                "https://login.example.com/jwks.json",
                Parts(
                    text: "https://login.example.com/jwks.json", host: "login.example.com",
                    port: 443, target: "/jwks.json", authority: "login.example.com")
            ),
            (
                "HTTPS://Login.Example.COM:8443/A/jwks?x=1&y=%2F",
                Parts(
                    text: "https://login.example.com:8443/A/jwks?x=1&y=%2F",
                    host: "login.example.com", port: 8443, target: "/A/jwks?x=1&y=%2F",
                    authority: "login.example.com:8443")
            ),
            (
                "http://127.0.0.1:80",
                Parts(
                    text: "http://127.0.0.1/", host: "127.0.0.1", port: 80, target: "/",
                    authority: "127.0.0.1")
            ),
            (
                "http://[::1]:9000?a",
                Parts(
                    text: "http://[::1]:9000/?a", host: "::1", port: 9000, target: "/?a",
                    authority: "[::1]:9000")
            ),
            (
                "https://[2001:DB8::1]/x",
                Parts(
                    text: "https://[2001:db8::1]/x", host: "2001:db8::1", port: 443, target: "/x",
                    authority: "[2001:db8::1]")
            ),
            (
                "https://3scale.example/p;v=1/~a/!$&'()*+,=:@",
                Parts(
                    text: "https://3scale.example/p;v=1/~a/!$&'()*+,=:@", host: "3scale.example",
                    port: 443, target: "/p;v=1/~a/!$&'()*+,=:@", authority: "3scale.example")
            ),
            (
                "http://my_service:80/",
                Parts(
                    text: "http://my_service/", host: "my_service", port: 80, target: "/",
                    authority: "my_service")
            ),
        ])
    func parts(text: String, expected: Parts) throws {
        let url = try #require(FetchURL(text))
        let parts = Parts(
            text: url.text, host: url.host, port: url.port, target: url.target,
            authority: url.authority)
        #expect(parts == expected)
        #expect(url.isSecure == text.lowercased().hasPrefix("https"))
        #expect(FetchURL(url.text) == url)
    }

    @Test(
        "Anything else is no URL to fetch from",
        arguments: [
            "", "https", "https:", "https://", "https:///x", "https:/x", "//h/x", "/x", "h/x",
            "ftp://h/x", "file:///etc/passwd", "httpss://h/", "javascript:1", "unix:/run/x",
            "https://user@h/", "https://user:pw@h/", "https://h@evil/", "https://h:443@evil/",
            "https://h/#f", "https://h#f", "https://h/a#", "https://h\\@evil/", "https://h\\evil/",
            "https://h/ a", " https://h/", "https://h/ ", "https://h/\u{e9}", "https://h\u{e9}/",
            "https://h/\r\nX: y", "https://h/\t", "https://h/\u{0}", "https://h/\u{7f}",
            "https://h/%", "https://h/%4", "https://h/%zz", "https://h/%u0041", "https://h/{a}",
            "https://h/<a>", "https://h/\"a\"", "https://h/a|b", "https://h/a^b", "https://h/a`b",
            "https://h/[a]", "https://h:/", "https://h:0/", "https://h:65536/", "https://h:-1/",
            "https://h:+1/", "https://h:0x50/", "https://h:443443/", "https://h:4 3/",
            "https://[::1/", "https://::1/", "https://[]/", "https://[::1]x/", "https://[1.2.3.4]/",
            "https://[::1%25eth0]/", "https://[v1.a]/", "https://127.1/", "https://0x7f.0.0.1/",
            "https://017700000001/", "https://2130706433/", "https://1.2.3.256/",
            "https://1.2.3.04/", "https://a.b.0x1/", "https://.h/", "https://h../", "https://./",
            "https://a..b/", "https://%68/", "https://a~b/", "https://h,evil/", "https://*/",
            "https://" + String(repeating: "a", count: 64) + "/",
            "https://h/" + String(repeating: "a", count: 2048),
            "https://" + String(repeating: "a.", count: 150) + "h/",
        ])
    func refused(text: String) {
        #expect(FetchURL(text) == nil)
    }

    @Test(
        "Loopback is what cannot leave the machine, not what looks like it",
        arguments: [
            ("localhost", true), ("LOCALHOST", true), ("localhost.", true), ("127.0.0.1", true),
            ("127.255.0.9", true), ("[::1]", true), ("[0:0:0:0:0:0:0:1]", true),
            ("localhost.example.com", false), ("my.localhost", false), ("128.0.0.1", false),
            ("0.0.0.0", false), ("[::]", false), ("[::2]", false), ("[::ffff:127.0.0.1]", false),
            ("127.0.0.1.nip.io", false), ("10.0.0.1", false), ("localhos", false),
        ])
    func loopback(host: String, isLoopback: Bool) throws {
        let url = try #require(FetchURL("http://\(host)/"))
        #expect(url.isLoopback == isLoopback)
    }

    @Test(
        "Origins differ by scheme, host and port, not by path or by how they are written",
        arguments: [
            ("https://h/a", "https://H:443/b?c", true), ("http://h/", "http://h:80", true),
            ("https://h/", "http://h/", false), ("https://h/", "http://h:443/", false),
            ("https://h/", "https://h:444/", false), ("https://h/", "https://h./", false),
            ("https://h/", "https://www.h/", false),
            ("https://127.0.0.1/", "https://[::1]/", false),
        ])
    func origins(left: String, right: String, areSame: Bool) throws {
        let left = try #require(FetchURL(left))
        let right = try #require(FetchURL(right))
        #expect(left.hasSameOrigin(as: right) == areSame)
        #expect(right.hasSameOrigin(as: left) == areSame)
    }

    @Test(
        "A reference leads where RFC 3986, section 5.4, says",
        arguments: [
            ("g", "https://a/b/c/g"), ("./g", "https://a/b/c/g"), ("g/", "https://a/b/c/g/"),
            ("/g", "https://a/g"), ("//g", "https://g/"), ("?y", "https://a/b/c/d;p?y"),
            ("g?y", "https://a/b/c/g?y"), ("#s", "https://a/b/c/d;p?q"),
            ("g#s", "https://a/b/c/g"), ("g?y#s", "https://a/b/c/g?y"),
            (";x", "https://a/b/c/;x"), ("g;x", "https://a/b/c/g;x"),
            ("", "https://a/b/c/d;p?q"), (".", "https://a/b/c/"), ("./", "https://a/b/c/"),
            ("..", "https://a/b/"), ("../", "https://a/b/"), ("../g", "https://a/b/g"),
            ("../..", "https://a/"), ("../../", "https://a/"), ("../../g", "https://a/g"),
            ("../../../g", "https://a/g"), ("../../../../g", "https://a/g"),
            ("/./g", "https://a/g"), ("/../g", "https://a/g"), ("g.", "https://a/b/c/g."),
            (".g", "https://a/b/c/.g"), ("g..", "https://a/b/c/g.."), ("..g", "https://a/b/c/..g"),
            ("./../g", "https://a/b/g"), ("./g/.", "https://a/b/c/g/"),
            ("g/./h", "https://a/b/c/g/h"), ("g/../h", "https://a/b/c/h"),
            ("g?y/./x", "https://a/b/c/g?y/./x"), ("g?y/../x", "https://a/b/c/g?y/../x"),
            ("http://other/x", "http://other/x"), ("//other:444/x", "https://other:444/x"),
            ("https://a:443/x", "https://a/x"), ("g?a:b", "https://a/b/c/g?a:b"),
        ])
    func references(reference: String, expected: String) throws {
        let base = try #require(FetchURL("https://a/b/c/d;p?q"))
        #expect(base.resolving(reference)?.text == expected)
    }

    @Test(
        "A reference to no URL leads nowhere",
        arguments: [
            "g:h", "ftp://a/", "javascript:x", "//", "///x", "//u@h/", "http:g", "https:",
            "http://",
            "a b", "/\u{e9}", "/%", "\\\\evil", "/\\evil", "https:\\\\evil", "/a\r\nb", "/{x}",
            "/" + String(repeating: "a", count: 2048), "http://[", "//h:99999/",
        ])
    func badReferences(reference: String) throws {
        let base = try #require(FetchURL("https://a/b/c/d;p?q"))
        #expect(base.resolving(reference) == nil)
    }
}
