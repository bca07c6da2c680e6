import EventLoop
import Keys
import OpenSSL
import Testing

@testable import Gateway

/// What a key server does once it has the request.
struct ServerScript: Sendable, CustomTestStringConvertible {
    enum Ending { case closes, stays, resets }

    let name: String
    let answer: String
    let ending: Ending

    init(_ name: String, _ answer: String, _ ending: Ending = .closes) {
        self.name = name
        self.answer = answer
        self.ending = ending
    }

    var testDescription: String { name }

    func play(_ peer: Peer) {
        peer.send(answer)
        switch ending {
        case .closes: peer.close()
        case .resets: peer.reset()
        case .stays: _ = peer.waitForEnd()
        }
    }
}

private let ok = "HTTP/1.1 200 OK\r\n"

@Suite("One fetch from a key server")
struct KeyFetchTests {
    /// Fetches from a server that reads a request and then does as the script says.
    private func outcome(
        _ script: ServerScript, etag: String? = nil, timeout: Int64 = 5000, maxBytes: Int = 1000
    ) throws -> KeyFetchOutcome {
        let server = try ScriptedUpstream()
        let looking = try Looking<KeyFetchOutcome>(
            server.url + "/keys", etag: etag, timeout: timeout, maxBytes: maxBytes)
        let peer = try server.accept()
        _ = peer.readHead()
        script.play(peer)
        return try looking.outcome()
    }

    @Test("The request says what is wanted, and what is not")
    func request() throws {
        let server = try ScriptedUpstream()
        let looking = try Looking<KeyFetchOutcome>(server.url + "/a/keys?v=1", etag: "W/\"7\"")
        let peer = try server.accept()
        let head = peer.readHead()
        let lines = head.split(separator: "\r\n").map(String.init)
        #expect(lines.first == "GET /a/keys?v=1 HTTP/1.1")
        #expect(
            Set(lines.dropFirst()) == [
                "Host: \(server.authority)", "User-Agent: bearward/\(Product.version)",
                "Accept: application/json, application/jwk-set+json, */*;q=0.1",
                "Accept-Encoding: identity", "Connection: close", "If-None-Match: W/\"7\"",
            ])
        peer.send("\(ok)Content-Length: 2\r\n\r\n{}")
        #expect(
            try looking.outcome() == .body(Array("{}".utf8), etag: nil, freshFor: nil))
        #expect(peer.waitForEnd() == .closed, "nothing is kept open")
    }

    @Test(
        "A tag that is none is not sent",
        arguments: [
            "", "7", "\"", "W/7", "\"a\"b\"", "\"a\r\nX: y\"", "\"a b\"", "\"é\"", "w/\"7\"",
        ])
    func badTag(_ tag: String) throws {
        let server = try ScriptedUpstream()
        let looking = try Looking<KeyFetchOutcome>(server.url, etag: tag)
        let peer = try server.accept()
        #expect(!peer.readHead().contains("If-None-Match"))
        // Unasked, this says nothing.
        peer.send("HTTP/1.1 304 Not Modified\r\n\r\n")
        #expect(try looking.outcome() == .failed(.status(304)))
    }

    @Test(
        "Whole answers, however they are delimited",
        arguments: [
            .init("length", "\(ok)Content-Length: 5\r\n\r\nhello", .stays),
            .init("length and more behind it", "\(ok)Content-Length: 5\r\n\r\nhello!!", .stays),
            .init("to the end", "\(ok)\r\nhello"),
            .init("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello"),
            .init(
                "chunks",
                "\(ok)Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n",
                .stays),
            .init(
                "interim answers first",
                "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                    + "\(ok)Content-Length: 5\r\n\r\nhello", .stays),
            .init("identity", "\(ok)Content-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"),
            .init("empty encoding", "\(ok)Content-Encoding:\r\nContent-Length: 5\r\n\r\nhello"),
            .init("any type", "\(ok)Content-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"),
        ] as [ServerScript])
    func whole(_ script: ServerScript) throws {
        #expect(
            try outcome(script) == .body(Array("hello".utf8), etag: nil, freshFor: nil))
    }

    @Test("An answer may have no body, and one as long as the bound")
    func bounds() throws {
        #expect(
            try outcome(.init("empty", "\(ok)Content-Length: 0\r\n\r\n"))
                == .body([], etag: nil, freshFor: nil))
        let body = String(repeating: "a", count: 1000)
        #expect(
            try outcome(.init("full", "\(ok)\r\n\(body)"))
                == .body(Array(body.utf8), etag: nil, freshFor: nil))
    }

    @Test("Tag and freshness are told; what is malformed of them is not")
    func metadata() throws {
        let full = "\(ok)ETag: \"a\"\r\nCache-Control: max-age=300\r\nAge: 100\r\n\r\n"
        #expect(try outcome(.init("", full)) == .body([], etag: "\"a\"", freshFor: 200_000))
        let twice = "\(ok)ETag: \"a\"\r\nETag: \"b\"\r\nCache-Control: max-age=x\r\n\r\n"
        #expect(try outcome(.init("", twice)) == .body([], etag: nil, freshFor: nil))
        let bare = "\(ok)ETag: a\r\nExpires: tomorrow\r\n\r\n"
        #expect(try outcome(.init("", bare)) == .body([], etag: nil, freshFor: 60_000))
    }

    @Test("What was seen before need not be sent again")
    func notModified() throws {
        let answer = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=120\r\n\r\n"
        #expect(
            try outcome(.init("", answer, .stays), etag: "\"a\"")
                == .notModified(freshFor: 120_000))
    }

    @Test(
        "What is no HTTP/1.1 answer is malformed",
        arguments: [
            .init("another protocol", "SSH-2.0-OpenSSH_9.2\r\n", .stays),
            .init("HTTP/2", "HTTP/2 200 OK\r\n\r\n", .stays),
            .init("HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", .stays),
            .init("bare line feeds", "HTTP/1.1 200 OK\nA: b\n\n", .stays),
            .init("no such status", "HTTP/1.1 999 Odd\r\n\r\n", .stays),
            .init("two lengths", "\(ok)Content-Length: 5\r\nContent-Length: 6\r\n\r\n", .stays),
            .init("signed length", "\(ok)Content-Length: +5\r\n\r\nhello", .stays),
            .init("length of 2^64", "\(ok)Content-Length: 18446744073709551616\r\n\r\n", .stays),
            .init(
                "length and chunks",
                "\(ok)Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", .stays),
            .init("coded transfer", "\(ok)Transfer-Encoding: gzip, chunked\r\n\r\n", .stays),
            .init("folded line", "\(ok)A: b\r\n c\r\n\r\n", .stays),
            .init("NUL in a field", "\(ok)A: b\0\r\n\r\n", .stays),
            .init("bad chunk size", "\(ok)Transfer-Encoding: chunked\r\n\r\nxyz\r\n", .stays),
            .init(
                "chunk of 2^64", "\(ok)Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
                .stays),
            .init(
                "chunk longer than said",
                "\(ok)Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", .stays),
            .init("large head", ok + "A: " + String(repeating: "b", count: 68_000), .stays),
            .init(
                "many fields", ok + String(repeating: "A: b\r\n", count: 300) + "\r\n", .stays),
        ] as [ServerScript])
    func malformed(_ script: ServerScript) throws {
        #expect(try outcome(script) == .failed(.malformed))
    }

    @Test(
        "An answer that ends too early is none",
        arguments: [
            .init("nothing", ""), .init("half a head", "HTTP/1.1 20"),
            .init("no empty line", "\(ok)Content-Length: 5\r\n"),
            .init("less than said", "\(ok)Content-Length: 5\r\n\r\nhell"),
            .init("chunks without end", "\(ok)Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            .init("only an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"),
            .init("a reset", "\(ok)Content-Length: 5\r\n\r\nhell", .resets),
            .init("a reset to the end", "\(ok)\r\nhello", .resets),
        ] as [ServerScript])
    func cutShort(_ script: ServerScript) throws {
        #expect(try outcome(script) == .failed(.cutShort))
    }

    @Test(
        "What is larger than the bound is not read to its end",
        arguments: [
            .init("announced", "\(ok)Content-Length: 200000000\r\n\r\n", .stays),
            .init("one byte more", "\(ok)Content-Length: 1001\r\n\r\n", .stays),
            .init("to the end", "\(ok)\r\n" + String(repeating: "a", count: 1001), .stays),
            .init(
                "in a chunk",
                "\(ok)Transfer-Encoding: chunked\r\n\r\nffffff\r\n"
                    + String(repeating: "a", count: 5000), .stays),
            .init(
                "in small chunks",
                "\(ok)Transfer-Encoding: chunked\r\n\r\n"
                    + String(repeating: "1\r\na\r\n", count: 1001), .stays),
            .init(
                "in chunks that are nothing but extension",
                "\(ok)Transfer-Encoding: chunked\r\n\r\n"
                    + String(
                        repeating: "1;" + String(repeating: "x", count: 4000) + "\r\na\r\n",
                        count: 20),
                .stays),
        ] as [ServerScript])
    func tooLarge(_ script: ServerScript) throws {
        #expect(try outcome(script) == .failed(.tooLarge))
    }

    @Test("A body without end is left as soon as it is too large")
    func endless() throws {
        let server = try ScriptedUpstream()
        let looking = try Looking<KeyFetchOutcome>(server.url)
        let peer = try server.accept()
        _ = peer.readHead()
        peer.send("\(ok)\r\n")
        let sent = peer.flood(
            [UInt8](repeating: 0x20, count: 65536), for: 2000, atMost: 200_000_000)
        #expect(sent < 20_000_000)
        #expect(try looking.outcome() == .failed(.tooLarge))
    }

    @Test(
        "A compressed body is refused, whatever it holds",
        arguments: ["gzip", "GZIP", "x-gzip", "br", "deflate", "zstd", "identity, gzip", "odd"])
    func encoded(_ coding: String) throws {
        let answer = "\(ok)Content-Encoding: \(coding)\r\nContent-Length: 2\r\n\r\n{}"
        #expect(try outcome(.init(coding, answer)) == .failed(.encoded))
    }

    @Test(
        "Any status but 200 is a fault, and its body is not waited for",
        arguments: [
            201, 202, 203, 204, 206, 226, 300, 304, 305, 306, 400, 401, 403, 404, 410, 429, 500,
            502, 503, 599,
        ])
    func status(_ status: Int) throws {
        let script = ServerScript("", "HTTP/1.1 \(status) Odd\r\n\r\n", .stays)
        #expect(try outcome(script) == .failed(.status(status)))
    }

    @Test("Switching protocols, and interim answers without end, are faults")
    func interim() throws {
        #expect(
            try outcome(
                .init("", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"))
                == .failed(.status(101)))
        let many = String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 9)
        #expect(try outcome(.init("", many, .stays)) == .failed(.status(100)))
    }

    @Test("Clear text stays on this machine unless it is allowed to leave")
    func plainHTTP() throws {
        let refused = try Looking<KeyFetchOutcome>("http://keys.example/", timeout: 1000)
        #expect(try refused.outcome() == .failed(.plainHTTP))
        let server = try ScriptedUpstream()
        let port = try #require(server.address.port)
        let address = server.address
        let allowed = try Looking<KeyFetchOutcome>(
            "http://keys.example:\(port)/", allowsPlainHTTP: true
        ) { host throws(SystemError) in
            if host == "keys.example" { return [address] }
            throw .addressNotFound
        }
        let peer = try server.accept()
        #expect(peer.readHead().contains("\r\nHost: keys.example:\(port)\r\n"))
        peer.send("\(ok)Content-Length: 2\r\n\r\n{}")
        #expect(try allowed.outcome() == .body(Array("{}".utf8), etag: nil, freshFor: nil))
    }

    @Test("localhost is this machine, whatever the resolver says", arguments: [false, true])
    func localhost(_ isVersion6: Bool) throws {
        let address = SocketAddress.ip(
            isVersion6 ? .v6(high: 0, low: 1) : .v4(0x7f00_0001), port: 0)
        let server = try ScriptedUpstream(at: address)
        let port = try #require(server.address.port)
        let looking = try Looking<KeyFetchOutcome>("http://localhost:\(port)/")
        let peer = try server.accept()
        _ = peer.readHead()
        peer.send("\(ok)Content-Length: 2\r\n\r\n{}")
        #expect(try looking.outcome() == .body(Array("{}".utf8), etag: nil, freshFor: nil))
    }

    @Test("An IPv6 literal is written in brackets")
    func literal6() throws {
        let server = try ScriptedUpstream(at: .ip(.v6(high: 0, low: 1), port: 0))
        let port = try #require(server.address.port)
        let looking = try Looking<KeyFetchOutcome>("http://[::1]:\(port)/")
        let peer = try server.accept()
        #expect(peer.readHead().contains("\r\nHost: [::1]:\(port)\r\n"))
        peer.send("\(ok)Content-Length: 2\r\n\r\n{}")
        #expect(try looking.outcome() == .body(Array("{}".utf8), etag: nil, freshFor: nil))
    }
}
