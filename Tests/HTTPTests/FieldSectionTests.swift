import Bytes
import HTTP
import Testing

@Suite struct FieldSectionTests {
    private func parsed(_ lines: String...) throws -> (RequestHead, [UInt8]) {
        let text = "GET / HTTP/1.1\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
        let bytes = Array(text.utf8)
        let head = RequestHead(maxFields: 20)
        try #require(head.outcome(bytes.span) == .complete)
        return (head, bytes)
    }

    private func kept(_ head: RequestHead, _ bytes: [UInt8]) -> String {
        var output = ByteBuffer()
        head.fields.appendKept(bytes.span, to: &output)
        return output.withBytes { String(decoding: Array(copying: $0), as: UTF8.self) }
    }

    @Test("Hop-by-hop fields and those that Connection names do not go on")
    func hopByHop() throws {
        let (head, bytes) = try parsed(
            "Host: h", "Connection: X-Forwarded-User, keep-alive, upgrade", "A: 1",
            "x-forwarded-user: root",
            "Keep-Alive: 1", "Proxy-Authorization: p", "Proxy-Connection: p",
            "Proxy-Authenticate: p",
            "TE: trailers", "Transfer-Encoding: chunked", "Upgrade: websocket", "B: 2",
            "X-FORWARDED-USER: again", "Trailer: t")
        head.fields.dropHopByHopFields()
        #expect(kept(head, bytes) == "Host: h\r\nA: 1\r\nB: 2\r\nTrailer: t\r\n")
    }

    @Test("A name that only contains a named one stays")
    func namedExactly() throws {
        let (head, bytes) = try parsed(
            "Host: h", "Connection: X", "X: 1", "XX: 2", "X-X: 3", "x: 4")
        head.fields.dropHopByHopFields()
        #expect(kept(head, bytes) == "Host: h\r\nXX: 2\r\nX-X: 3\r\n")
    }

    @Test("Every set of dropped lines leaves exactly the others, in order")
    func dropping() throws {
        let lines = ["Host: h", "A: 1", "B:2", "C:", "D: 4"]
        for mask in 0..<32 {
            let text = "GET / HTTP/1.1\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
            let bytes = Array(text.utf8)
            let head = RequestHead(maxFields: 5)
            #expect(head.outcome(bytes.span) == .complete)
            for index in 0..<5 where mask >> index & 1 == 1 { head.fields.drop(index) }
            let expected = lines.enumerated().filter { mask >> $0.offset & 1 == 0 }
                .map { $0.element + "\r\n" }.joined()
            #expect(kept(head, bytes) == expected)
        }
    }

    @Test("The fields that the proxy acts on are found, the first of each")
    func noted() throws {
        let (head, _) = try parsed(
            "Authorization: Bearer a", "X-Request-Id: 1", "Upgrade: w", "Host: h",
            "AUTHORIZATION: Bearer b", "x-request-id: 2", "upgrade: v", "Connection: Upgrade",
            "Expect: 100-Continue")
        #expect(head.fields.authorization == 0)
        #expect(head.fields.authorizationCount == 2)
        #expect(head.fields.requestID == 1)
        #expect(head.fields.upgrade == 2)
        #expect(head.fields.host == 3)
        #expect(head.fields.saysUpgrade)
        #expect(head.fields.expectsContinue)
        #expect(!head.fields.hasForwardingFields)
    }

    @Test(
        "A forwarding field is noticed",
        arguments: ["Via", "forwarded", "X-Forwarded-For", "x-forwarded-host", "X-FORWARDED-PROTO"])
    func forwarding(name: String) throws {
        let (head, _) = try parsed("Host: h", "\(name): a")
        #expect(head.fields.hasForwardingFields)
    }

    @Test("HTTP/1.0 clients do not wait for 100 (Continue)")
    func expectationOfOldClients() {
        let bytes = Array(head("POST / HTTP/1.0", "Expect: 100-continue", "Content-Length: 1").utf8)
        let head = RequestHead(maxFields: 4)
        #expect(head.outcome(bytes.span) == .complete)
        #expect(!head.fields.expectsContinue)
    }

    static let kinds: [(String, FieldKind)] = [
        ("Authorization", .authorization), ("Connection", .connection),
        ("Content-Length", .contentLength), ("Date", .date), ("Expect", .expect),
        ("Forwarded", .forwarded), ("Host", .host), ("Keep-Alive", .keepAlive),
        ("Proxy-Authenticate", .proxyAuthenticate), ("Proxy-Authorization", .proxyAuthorization),
        ("Proxy-Connection", .proxyConnection), ("Server", .server), ("TE", .te),
        ("Trailer", .trailer),
        ("Transfer-Encoding", .transferEncoding), ("Upgrade", .upgrade), ("Via", .via),
        ("X-Forwarded-For", .xForwardedFor), ("X-Forwarded-Host", .xForwardedHost),
        ("X-Forwarded-Proto", .xForwardedProto), ("X-Request-Id", .xRequestID),
    ]

    @Test(
        "A known name in any case has its kind, and a name one octet off has none", arguments: kinds
    )
    func kind(name: String, kind: FieldKind) {
        let bytes = Array(name.utf8)
        for spelling in [name, name.lowercased(), name.uppercased()] {
            #expect(kindOf(Array(spelling.utf8)) == kind)
        }
        for place in bytes.indices {
            var other = bytes
            other[place] = other[place] == UInt8(ascii: "-") ? UInt8(ascii: "_") : UInt8(ascii: "j")
            #expect(kindOf(other) == .other)
        }
        #expect(kindOf(bytes + [0x73]) == .other)
        #expect(kindOf(Array(bytes.dropLast())) == .other)
    }

    private func kindOf(_ name: [UInt8]) -> FieldKind { FieldKind(name: name.span) }

    @Test("Lists are walked without their empty members")
    func lists() {
        let bytes = Array(" a, ,b\t,,c d , ".utf8)
        var cursor = ListCursor(0..<bytes.count)
        var items: [String] = []
        while let item = cursor.next(in: bytes.span) {
            items.append(String(decoding: bytes[item], as: UTF8.self))
        }
        #expect(items == ["a", "b", "c d"])
    }

    @Test(
        "The host of an authority is without port and final dot",
        arguments: [
            ("h", "h"), ("h:80", "h"), ("h.:80", "h"), ("a.b.", "a.b"), ("[::1]:8080", "[::1]"),
            ("[2001:db8::1.2.3.4]", "[2001:db8::1.2.3.4]"), ("127.0.0.1:1", "127.0.0.1"),
            ("h:00080", "h"),
            ("h:0", "h"), ("h:65535", "h"), ("a_b~c-d.e", "a_b~c-d.e"),
        ])
    func hosts(authority: String, host: String) {
        let bytes = Array(authority.utf8)
        let isValid = Authority.isValid(bytes.span)
        let length = Authority.hostLength(in: bytes.span)
        #expect(isValid)
        #expect(String(decoding: bytes[..<length], as: UTF8.self) == host)
    }

    @Test("A host longer than a name can be is none")
    func longHosts() {
        for (length, expected) in [(1, true), (250, true), (300, false), (70_000, false)] {
            let isValid = Authority.isValid([UInt8](repeating: 0x61, count: length).span)
            #expect(isValid == expected)
        }
    }
}
