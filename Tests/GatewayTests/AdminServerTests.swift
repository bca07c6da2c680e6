import Configuration
import EventLoop
import Foundation
import Testing

@testable import Gateway

/// What the admin listener serves, and what it refuses.
@Suite struct AdminServerTests {
    @Test(
        "Each path is served by its methods",
        arguments: [
            ("GET", "/healthz", 200), ("HEAD", "/healthz", 200), ("GET", "/readyz", 200),
            ("HEAD", "/readyz", 200), ("GET", "/status", 200), ("HEAD", "/status", 200),
            ("GET", "/metrics", 200), ("HEAD", "/metrics", 200), ("GET", "/healthz?verbose", 200),
            ("POST", "/keys/refresh", 202), ("POST", "/keys/refresh?", 202),
            ("POST", "/keys/refresh?issuer=login", 202), ("GET", "http://127.0.0.1/healthz", 200),
            ("POST", "/healthz", 405), ("DELETE", "/status", 405), ("OPTIONS", "/readyz", 405),
            ("TRACE", "/metrics", 405), ("get", "/healthz", 405), ("GET", "/keys/refresh", 405),
            ("HEAD", "/keys/refresh", 405), ("PUT", "/keys/refresh", 405),
            ("GET", "/", 404), ("GET", "/healthz/", 404), ("GET", "/Healthz", 404),
            ("GET", "//healthz", 404), ("GET", "/%68ealthz", 404), ("GET", "/orders", 404),
            ("GET", "/keys", 404), ("GET", "/keys/refresh/../../status", 404),
            ("GET", "http://127.0.0.1", 404), ("OPTIONS", "*", 404), ("POST", "/nothing", 404),
            ("POST", "/keys/refresh?issuer=nobody", 404),
            ("POST", "/keys/refresh?issuer", 400), ("POST", "/keys/refresh?issuer=", 400),
            ("POST", "/keys/refresh?Issuer=a", 400), ("POST", "/keys/refresh?issuer=a&b=c", 400),
            ("POST", "/keys/refresh?issuer=a&issuer=b", 400),
            ("POST", "/keys/refresh?all", 400), ("POST", "/keys/refresh?issuer=%", 400),
            ("POST", "/keys/refresh?issuer=%4", 400), ("POST", "/keys/refresh?issuer=%zz", 400),
            ("POST", "/keys/refresh?issuer=%ff", 400),
        ])
    func paths(_ method: String, _ target: String, _ status: Int) throws {
        let admin = try RunningAdmin()
        let answer = try admin.ask(adminRequest(method, target))
        #expect(answer.status == status)
        #expect(answer.contains("\r\nConnection: close\r\n"))
        #expect(answer.contains("\r\nCache-Control: no-store\r\n"))
        #expect(answer.hasSuffix("\r\n\r\n") == (method == "HEAD"))
        if status >= 400 { #expect(answer.contains("application/problem+json")) }
        let methods = target.hasPrefix("/keys") ? "POST" : "GET, HEAD"
        #expect(answer.contains("\r\nAllow: \(methods)\r\n") == (status == 405))
        if status >= 400 { #expect(admin.refreshed == []) }
    }

    @Test(
        "A refresh is of one issuer, by its decoded name, or of all",
        arguments: [
            ("", "*"), ("?", "*"), ("?issuer=login", "login"), ("?issuer=a%20b", "a b"),
            ("?issuer=a+b", "a b"), ("?issuer=%C3%A9", "é"), ("?issuer=a%26b%3Dc", "a&b=c"),
        ])
    func refresh(_ query: String, _ name: String) throws {
        let admin = try RunningAdmin()
        let answer = try admin.ask(adminRequest("POST", "/keys/refresh\(query)"))
        #expect(answer.contains(#""outcome":"started""#))
        #expect(admin.refreshed == [name])
    }

    @Test(
        "Only an address, localhost and the configured name are hosts",
        arguments: [
            ("127.0.0.1", true), ("127.0.0.1:9901", true), ("10.1.2.3", true), ("[::1]", true),
            ("[::1]:80", true), ("localhost", true), ("LocalHost:1", true), ("localhost.", true),
            ("admin.internal", true), ("ADMIN.internal:9", true), ("evil.example", false),
            ("127.0.0.1.evil.example", false), ("localhost.evil.example", false),
            ("0x7f.1", false), ("127.1", false), ("2130706433", false), ("internal", false),
        ])
    func hosts(_ host: String, isServed: Bool) throws {
        let admin = try RunningAdmin(.tcp(host: "admin.internal", port: 0))
        #expect(try admin.ask(adminRequest(host: host)).status == (isServed ? 200 : 403))
    }

    @Test(
        "A web page's request is refused, whatever it asks",
        arguments: ["http://evil.example", "null", "http://127.0.0.1", ""])
    func origins(_ origin: String) throws {
        let admin = try RunningAdmin()
        for request in [
            adminRequest("POST", "/keys/refresh", "Origin: \(origin)\r\n"),
            adminRequest("GET", "/status", "oRIGIN:\(origin)\r\n"),
            adminRequest("OPTIONS", "/nothing", "Origin: \(origin)\r\n"),
        ] {
            #expect(try admin.ask(request).status == 403)
        }
        #expect(admin.refreshed == [])
    }

    @Test(
        "Malformed requests get the status that is theirs",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", 400), ("GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 400),
            (adminRequest("GET", "/healthz", "Host: localhost\r\n"), 400),
            (adminRequest(host: "a b"), 400), (adminRequest(host: "u@localhost"), 400),
            ("GET http://localhost/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
            ("GET /healthz\r\n\r\n", 400), ("\r\n\r\n", 400),
            ("GET  /healthz HTTP/1.1\r\n\r\n", 400),
            ("GET /healthz HTTP/1.1\nHost: localhost\n\n", 400),
            (adminRequest("GET", "/healthz", " folded\r\n"), 400),
            (adminRequest("GET", "/healthz", "Content-Length: 1\r\nContent-Length: 1\r\n"), 400),
            (
                adminRequest(
                    "GET", "/healthz", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400
            ),
            (adminRequest("GET", "/healthz", "Transfer-Encoding: gzip, chunked\r\n"), 501),
            (adminRequest("GET", "/healthz", "Expect: tea\r\n"), 417),
            (adminRequest("GET", "/healthz", "Connection: Host\r\n"), 400),
            ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n", 400),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
            (adminRequest("GET", "/" + filler(8192)), 431),
            ("GET /" + filler(16_384), 431),
            (adminRequest("GET", "/healthz", String(repeating: "A: b\r\n", count: 64)), 431),
        ])
    func malformed(_ request: String, _ status: Int) throws {
        #expect(try RunningAdmin().ask(request).status == status)
    }

    @Test("HTTP/1.0 without a host, as health checkers speak it, is served")
    func http10() throws {
        #expect(try RunningAdmin().ask("GET /readyz HTTP/1.0\r\n\r\n").status == 200)
    }

    @Test(
        "A body has no use: a small one is dropped, a large one refused",
        arguments: [
            ("Content-Length: 5\r\n", "hello", 202),
            ("Content-Length: 4096\r\n", filler(4096), 202),
            ("Content-Length: 4097\r\n", "", 413), ("Content-Length: 99999999999\r\n", "a", 413),
            ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", 202),
            ("Transfer-Encoding: chunked\r\n", "1010\r\n" + filler(4112) + "\r\n0\r\n\r\n", 413),
            ("Transfer-Encoding: chunked\r\n", "xyz\r\n", 400),
            ("Content-Length: 9\r\nExpect: 100-continue\r\n", "", 202),
            ("Content-Length: 9999\r\nExpect: 100-continue\r\n", "", 413),
        ])
    func bodies(_ fields: String, _ body: String, _ status: Int) throws {
        let admin = try RunningAdmin()
        #expect(
            try admin.ask(adminRequest("POST", "/keys/refresh", fields) + body).status == status)
        #expect(admin.refreshed.isEmpty == (status != 202))
    }

    @Test("A request may come byte by byte, and what comes behind it is not answered")
    func pieces() throws {
        let admin = try RunningAdmin()
        let client = try admin.connect()
        let request = adminRequest("POST", "/keys/refresh", "Content-Length: 3\r\n") + "abc"
        for byte in request.utf8 { client.send([byte]) }
        client.send(adminRequest("GET", "/status"))
        let (text, ending) = client.readToEnd()
        #expect(ending == .closed)
        #expect(text.components(separatedBy: "HTTP/1.1 ").count == 2)
        #expect(admin.refreshed == ["*"])
    }

    @Test("A client that ended its direction gets its answer, one that left its request open none")
    func halfClosed() throws {
        let admin = try RunningAdmin()
        let client = try admin.connect()
        client.send(adminRequest())
        client.shutdownWriting()
        #expect(client.readToEnd().text.status == 200)
        let quitter = try admin.connect()
        quitter.send("GET /healthz HTTP/1.1\r\n")
        quitter.shutdownWriting()
        #expect(quitter.readToEnd().text == "")
    }

    @Test("A unix socket is served, and its file goes with the listener")
    func unixSocket() throws {
        let folder = TemporaryFolder()
        let admin = try RunningAdmin(.unix(path: folder.path("admin.sock")))
        #expect(try admin.ask(adminRequest(host: "localhost")).status == 200)
        #expect(try admin.ask(adminRequest(host: "evil.example")).status == 403)
        admin.stop()
        #expect(throws: SystemError.self) { try Peer(to: .unix(folder.path("admin.sock"))) }
    }

    @Test("Idle connections keep nobody out for long")
    func idleConnections() throws {
        let admin = try RunningAdmin()
        let idle = try (0..<AdminServer.maxConnections).map { _ in try admin.connect() }
        var statuses: [Int] = []
        // Nobody gives way before having had a moment to ask.
        while statuses.last != 200, statuses.count < 100 {
            let client = try admin.connect()
            client.send(adminRequest())
            statuses.append(client.readToEnd().text.status)
            if statuses.last != 200 { _ = idle[0].hasInput(within: 50) }
        }
        #expect(statuses.last == 200)
        #expect(Set(statuses).isSubset(of: [200, 503, 0]))
        #expect(idle[0].waitForEnd() == .closed)
        #expect(idle[15].hasInput(within: 0) == false)
    }

    @Test("A request that is not whole in time is told so")
    func slowHead() throws {
        let admin = try RunningAdmin()
        let (slow, silent) = (try admin.connect(), try admin.connect())
        slow.send("GET /healthz HT")
        #expect(slow.readToEnd().text.status == 408)
        #expect(silent.readToEnd().text == "")
    }
}
