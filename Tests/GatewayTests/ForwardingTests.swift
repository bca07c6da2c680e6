import EventLoop
import Testing

@testable import Gateway

/// What the upstream gets, byte by byte.
@Suite struct ForwardingTests {
    /// The fields that the proxy adds for a client at this machine, the request's id `r1`.
    static let added = """
        Via: 1.1 bearward\r
        X-Forwarded-For: 127.0.0.1\r
        X-Forwarded-Proto: http\r
        X-Forwarded-Host: a.example\r
        Forwarded: for=127.0.0.1;host="a.example";proto=http\r
        X-Request-Id: r1\r

        """

    /// The head that the upstream gets for a request.
    private func forwarded(
        _ request: String, _ gateway: RunningGateway, _ upstream: ScriptedUpstream
    )
        throws -> String
    {
        let client = try gateway.connect()
        client.send(request)
        let connection = try upstream.accept()
        let head = connection.readHead()
        connection.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        #expect(client.readHead().hasPrefix("HTTP/1.1 204"))
        return head
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let rule: String
        /// Lines between the request line and the id.
        let sent: String
        /// Lines between `Host` and what is added.
        let kept: String
        /// Lines behind what is added.
        var framing = ""
        var testDescription: String { rule }
    }

    static let rows = [
        Row(
            rule: "end-to-end fields pass as they are", sent: "aCCept:  x\r\nB: \r\n",
            kept: "aCCept:  x\r\nB: \r\n"),
        Row(
            rule: "hop-by-hop fields stay behind",
            sent: "Connection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nTE: gzip\r\n"
                + "Proxy-Authorization: x\r\nProxy-Connection: close\r\nX-End: 2\r\n",
            kept: "X-End: 2\r\n"),
        Row(
            rule: "that trailers are understood is said anew",
            sent: "Connection: TE\r\nTE: gzip;q=0.5, Trailers\r\nA: b\r\n", kept: "A: b\r\n",
            framing: "TE: trailers\r\nConnection: TE\r\n"),
        Row(
            rule: "the client's forwarding fields are replaced",
            sent: "X-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\nX-Forwarded-Host: evil\r\n"
                + "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\nX-Forwarded-User: root\r\n",
            kept: ""),
        Row(
            rule: "identity fields are removed, however they are written",
            sent: "Remote-User: root\r\nx_remote_user: root\r\nX.User: root\r\nX-JWT-Sub: root\r\n",
            kept: ""),
        Row(
            rule: "Authorization is removed on a public route too",
            sent: "Authorization: Basic eDp5\r\n", kept: ""),
        Row(
            rule: "an upgrade to HTTP/2 is not passed on",
            sent: "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
            kept: ""),
        Row(
            rule: "another upgrade than to a WebSocket is not passed on",
            sent: "Connection: Upgrade\r\nUpgrade: irc\r\n", kept: ""),
        Row(
            rule: "an upgrade to a WebSocket is written anew",
            sent: "Connection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n",
            kept: "Sec-WebSocket-Key: k\r\n",
            framing: "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        Row(
            rule: "a length of zero stays", sent: "Content-Length: 0\r\n", kept: "",
            framing: "Content-Length: 0\r\n"),
        Row(rule: "an expectation without a body goes", sent: "Expect: 100-continue\r\n", kept: ""),
        Row(
            rule: "a length is written anew", sent: "content-length: 003\r\nA: b\r\n",
            kept: "A: b\r\n", framing: "Content-Length: 3\r\n"),
        Row(
            rule: "chunks are announced anew", sent: "transfer-encoding: Chunked\r\nA: b\r\n",
            kept: "A: b\r\n", framing: "Transfer-Encoding: chunked\r\n"),
    ]

    @Test(
        "The upstream's head is exactly what was checked, and what the proxy adds", arguments: rows)
    func goldenHead(_ row: Row) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let request =
            "GET /x?y=%zz HTTP/1.1\r\nHost: a.example\r\n\(row.sent)X-Request-Id: r1\r\n\r\n"
        let head = try forwarded(request, gateway, upstream)
        #expect(
            head == "GET /x?y=%zz HTTP/1.1\r\nHost: a.example\r\n" + row.kept + Self.added
                + row.framing + "\r\n")
    }

    @Test(
        "The path is forwarded in the form that was judged",
        arguments: [
            ("/%61%2d%7e/%c3%a4", "/a-~/%C3%A4"), ("/", "/"), ("http://a.example", "/"),
            ("http://A.example/x?q", "/x?q"), ("http://a.example?q", "/?q"), ("/a/?", "/a/?"),
        ])
    func target(_ sent: String, _ expected: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let head = try forwarded(
            "GET \(sent) HTTP/1.1\r\nHost: a.example\r\n\r\n", gateway, upstream)
        #expect(head.hasPrefix("GET \(expected) HTTP/1.1\r\n"))
    }

    @Test(
        "A prefix is taken away and another put before",
        arguments: [
            (#"{"stripPrefix":"/api"}"#, "/api/x", "/x"), (#"{"stripPrefix":"/api"}"#, "/api", "/"),
            (#"{"stripPrefix":"/api"}"#, "/api/", "/"),
            (#"{"addPrefix":"/v1"}"#, "/api/x", "/v1/api/x"),
            (#"{"stripPrefix":"/api","addPrefix":"/v2"}"#, "/api", "/v2"),
            (#"{"stripPrefix":"/api","addPrefix":"/v2"}"#, "/api/x?q", "/v2/x?q"),
        ])
    func rewrite(_ rewrite: String, _ sent: String, _ expected: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["\#(upstream.url)"]}}"#,
                routes: """
                    [{"path":"/api/**","access":"public","upstream":"up","rewrite":\(rewrite)}]
                    """))
        let head = try forwarded(
            "GET \(sent) HTTP/1.1\r\nHost: a.example\r\n\r\n", gateway, upstream)
        #expect(head.hasPrefix("GET \(expected) HTTP/1.1\r\n"))
    }

    @Test(
        "Host is the client's, the endpoint's or the route's",
        arguments: [
            ("preserve", "a.example"), ("endpoint", ""), ("b.example:81", "b.example:81"),
        ])
    func host(_ setting: String, _ expected: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, route: #""upstreamHost":"\#(setting)""#)
        let head = try forwarded("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", gateway, upstream)
        let host = expected.isEmpty ? upstream.authority : expected
        #expect(head.hasPrefix("GET / HTTP/1.1\r\nHost: \(host)\r\nVia: "))
        #expect(head.contains("X-Forwarded-Host: a.example\r\n"))
    }

    @Test("A request of HTTP/1.0 without Host gets the endpoint's")
    func noHost() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let head = try forwarded("GET / HTTP/1.0\r\n\r\n", gateway, upstream)
        #expect(
            head.hasPrefix("GET / HTTP/1.1\r\nHost: \(upstream.authority)\r\nVia: 1.0 bearward"))
        #expect(!head.contains("X-Forwarded-Host"))
        #expect(head.contains("Forwarded: for=127.0.0.1;proto=http\r\n"))
    }

    @Test("Via is extended, whoever sends it")
    func via() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let head = try forwarded(
            "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 x\r\nVia: 1.1 y, 1.1 z\r\n\r\n", gateway,
            upstream)
        #expect(head.contains("\r\nVia: 1.0 x, 1.1 y, 1.1 z, 1.1 bearward\r\n"))
        #expect(head.split(separator: "Via:").count == 2)
    }

    @Test("A trusted proxy's forwarding fields are kept and extended")
    func trusted() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream,
            listeners: #"[{"address":"127.0.0.1:0","trustedProxies":["127.0.0.0/8"]}]"#)
        let head = try forwarded(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\n"
                + "Forwarded: for=9.9.9.9\r\nX-Forwarded-Host: h\r\nX-Forwarded-Proto: https\r\n"
                + "X-Forwarded-Port: 443\r\nX_Forwarded_For: 7.7.7.7\r\nX-Forwarded-User: root\r\n"
                + "X-Request-Id: r1\r\n\r\n",
            gateway, upstream)
        #expect(
            head == """
                GET / HTTP/1.1\r
                Host: a\r
                X-Forwarded-Port: 443\r
                Via: 1.1 bearward\r
                X-Forwarded-For: 9.9.9.9, 8.8.8.8, 127.0.0.1\r
                X-Forwarded-Proto: https\r
                X-Forwarded-Host: h\r
                Forwarded: for=9.9.9.9, for=127.0.0.1;host="a";proto=http\r
                X-Request-Id: r1\r
                \r

                """)
    }

    @Test("A trusted proxy that says nothing is a client like others")
    func trustedAndSilent() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, listeners: #"[{"address":"127.0.0.1:0","trustedProxies":["127.0.0.1"]}]"#)
        let head = try forwarded(
            "GET / HTTP/1.1\r\nHost: a.example\r\nX-Request-Id: r1\r\n\r\n", gateway, upstream)
        #expect(head == "GET / HTTP/1.1\r\nHost: a.example\r\n" + Self.added + "\r\n")
    }

    @Test(
        "A unix client has no address, and is trusted where the listener says so",
        arguments: [
            (#"[]"#, "unknown", "for=unknown"), (#"["unix"]"#, "9.9.9.9, unknown", "for=unknown"),
        ])
    func unixClient(_ trusted: String, _ forwardedFor: String, _ element: String) throws {
        let folder = TemporaryFolder()
        let upstream = try ScriptedUpstream(at: .unix(folder.path("up")))
        let gateway = try publicGateway(
            to: upstream,
            listeners: """
                [{"address":"unix:\(folder.path("in"))","trustedProxies":\(trusted)}]
                """)
        let head = try forwarded(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n", gateway, upstream)
        #expect(head.contains("\r\nX-Forwarded-For: \(forwardedFor)\r\n"))
        #expect(head.contains("\r\nForwarded: \(element);host=\"a\";proto=http\r\n"))
    }

    @Test(
        "A client's id is kept where it is one, and made anew where it is not",
        arguments: [
            ("abc.DEF-1_2", true), (String(repeating: "x", count: 128), true),
            (String(repeating: "x", count: 129), false), ("", false), ("a b", false),
            ("a~b", false),
            ("a\"b", false), ("ä", false),
        ])
    func requestID(_ sent: String, _ isKept: Bool) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let head = try forwarded(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: \(sent)\r\n\r\n", gateway, upstream)
        let id = head.value(of: "X-Request-Id")
        if isKept {
            #expect(id == sent)
        } else {
            #expect(id?.count == 32)
            #expect(id?.allSatisfy(\.isHexDigit) == true)
        }
    }

    @Test("Claims of a verified token fill the fields that the route names, and nothing else does")
    func claimFields() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["\#(upstream.url)"]}}"#,
                routes: """
                    [{"path":"/**","upstream":"up","access":"optional","claimHeaders":
                     {"X-Sub":"sub","X-Groups":"groups","X-None":"none","X-Deep":"/a/b"}}]
                    """))
        let claims = #""groups":["a,b","c d"],"none":null,"a":{"b":"x\r\ny: z"}"#
        let spoof = "X-Sub: root\r\nx_groups: root\r\nX-None: root\r\nX.Deep: root\r\n"
        let verified = try forwarded(
            "GET / HTTP/1.1\r\nHost: a\r\n\(spoof)Authorization: Bearer \(token(claims))\r\n\r\n",
            gateway, upstream)
        #expect(
            verified.hasSuffix(
                "\r\nX-Sub: alice\r\nX-Groups: a%2Cb,c d\r\nX-Deep: x%0D%0Ay: z\r\n\r\n"))
        #expect(!verified.contains("root") && !verified.contains("Authorization"))
        let anonymous = try forwarded(
            "GET / HTTP/1.1\r\nHost: a\r\n\(spoof)\r\n", gateway, upstream)
        #expect(!anonymous.contains("X-Sub") && !anonymous.contains("root"))
    }

    @Test("The token is forwarded where the route says so, byte for byte")
    func forwardToken() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try RunningGateway(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["\#(upstream.url)"]}}"#,
                routes: #"[{"path":"/**","upstream":"up","forwardToken":true}]"#))
        let token = token()
        let head = try forwarded(
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: bearer  \(token)\r\n\r\n", gateway,
            upstream)
        #expect(head.contains("\r\nAuthorization: bearer  \(token)\r\n"))
    }

    @Test("A route's edits remove and set fields of requests and responses")
    func edits() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream,
            route: """
                "requestHeaders":{"set":{"X-Set":"1"},"remove":["X-Gone"]},
                "responseHeaders":{"set":{"X-Frame":"deny","Server":"none"},"remove":["X-Powered"]}
                """)
        let client = try gateway.connect()
        client.send(
            "GET / HTTP/1.1\r\nHost: a\r\nX_Set: 0\r\nx-gone: 1\r\nX_Gone: 1\r\nX-Stay: 1\r\n\r\n")
        let connection = try upstream.accept()
        let head = connection.readHead()
        #expect(head.hasPrefix("GET / HTTP/1.1\r\nHost: a\r\nX-Stay: 1\r\nVia: "))
        #expect(head.hasSuffix("\r\nX-Set: 1\r\n\r\n"))
        connection.send(
            "HTTP/1.1 200 Fine\r\nServer: s\r\nX-Powered: p\r\nDate: d\r\nX-A: b\r\n"
                + "Content-Length: 2\r\n\r\nok")
        #expect(
            client.readMessage() == """
                HTTP/1.1 200 Fine\r
                Date: d\r
                X-A: b\r
                Content-Length: 2\r
                X-Frame: deny\r
                Server: none\r
                \r
                ok
                """)
    }
}

extension String {
    /// The value of a field in a head.
    func value(of name: String) -> String? {
        split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ": ") }
            .map { String($0.dropFirst(name.count + 2)) }
    }
}
