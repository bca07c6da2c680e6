import EventLoop
import Keys
import OpenSSL
import Testing

@testable import Gateway

private let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
private let body = KeyFetchOutcome.body(Array("{}".utf8), etag: nil, freshFor: nil)

@Suite("A fetch's course: time, addresses, redirects, TLS")
struct KeyFetchCourseTests {
    // MARK: Time

    /// What a server does instead of answering.
    enum Delay: CaseIterable, Sendable {
        case neverReads, silent, halfAHead, halfABody, trickledHead, trickledBody, endlessInterim
    }

    @Test("However slowly a server goes, the time is up when it is up", arguments: Delay.allCases)
    func timeout(_ delay: Delay) throws {
        let server = try ScriptedUpstream()
        let looking = try Looking<KeyFetchOutcome>(server.url, timeout: 300)
        let peer = try server.accept()
        if delay != .neverReads { _ = peer.readHead() }
        switch delay {
        case .neverReads, .silent: break
        case .halfAHead: peer.send("HTTP/1.1 200 OK\r\nContent-")
        case .halfABody: peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        case .trickledHead: trickle("HTTP/1.1 200 OK\r\nA: " + filler, to: peer)
        case .trickledBody: trickle("HTTP/1.1 200 OK\r\n\r\n" + filler, to: peer)
        case .endlessInterim: trickle("HTTP/1.1 100 Continue\r\nA: " + filler, to: peer)
        }
        let ending = try looking.end()
        #expect(ending.outcomes == [.failed(.timeout)])
        #expect(ending.leaked == 0)
        #expect((300..<3000).contains(ending.milliseconds))
    }

    private var filler: String { String(repeating: "a", count: 100) }

    /// A byte every 20 ms until the other side goes.
    private func trickle(_ text: String, to peer: Peer) {
        for byte in text.utf8 {
            peer.send([byte])
            if peer.hasInput(within: 20) { return }
        }
    }

    @Test("Whoever answers before the question is not heard")
    func early() throws {
        let server = try ScriptedUpstream()
        // Its greeting is there when the connection is: the loop waits in between.
        let gate = Gate()
        let url = try #require(FetchURL(server.url))
        let looking = try Looking<KeyFetchOutcome> { means, onEnd in
            let request = KeyFetchRequest(
                url: url, etag: nil, timeoutMilliseconds: 5000, allowsPlainHTTP: false)
            let fetch = KeyFetch(request, tls: nil, means: means, onEnd: onEnd)
            means.loop.turn(maxWait: 0)
            gate.wait()
            return { fetch.cancel() }
        }
        let peer = try server.accept()
        peer.send(answer)
        gate.open()
        #expect(try looking.outcome() == .failed(.malformed))
    }

    // MARK: Cancelling

    /// How far a fetch got.
    enum Stage: CaseIterable, Sendable {
        case resolving, connecting, handshaking, awaitingHead, receivingBody, redirected
    }

    @Test("Cancelled at any stage, it is silent and leaves nothing", arguments: Stage.allCases)
    func cancel(_ stage: Stage) throws {
        let server = try ScriptedUpstream()
        let address = server.address
        let port = try #require(address.port)
        let hanging = try HangingAddress(port: port)
        let (asked, gate) = (Gate(), Gate())
        let looking = try Looking<KeyFetchOutcome>(
            "\(stage == .handshaking ? "https" : "http")://keys.example:\(port)/",
            allowsPlainHTTP: true, trust: stage == .handshaking ? TLSMaterial.read("ca.pem") : nil
        ) { _ throws(SystemError) in
            asked.open()
            if stage == .resolving { gate.wait() }
            return [stage == .connecting ? hanging.address : address]
        }
        switch stage {
        case .resolving, .connecting:
            asked.wait()
        case .handshaking, .awaitingHead:
            let peer = try server.accept()
            #expect(peer.hasInput(within: Peer.patience))
            looking.cancel()
            #expect(peer.waitForEnd() != .open)
        case .receivingBody:
            let peer = try server.accept()
            _ = peer.readHead()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            looking.cancel()
            #expect(peer.waitForEnd() != .open)
        case .redirected:
            let first = try server.accept()
            _ = first.readHead()
            first.send("HTTP/1.1 302 Found\r\nLocation: /2\r\n\r\n")
            let peer = try server.accept()
            #expect(peer.readHead().hasPrefix("GET /2 "))
            looking.cancel()
            #expect(peer.waitForEnd() != .open)
        }
        looking.cancel()
        let ending = try looking.end()
        gate.open()
        #expect(ending.outcomes == [])
        #expect(ending.leaked == 0)
    }

    // MARK: Names and addresses

    @Test("A name that is nobody's is unresolved, and so is one without addresses")
    func unresolved() throws {
        let nobody = try Looking<KeyFetchOutcome>("https://keys.example/")
        #expect(try nobody.outcome() == .failed(.unresolved))
        let empty = try Looking<KeyFetchOutcome>("https://keys.example/") { _ in [] }
        #expect(try empty.outcome() == .failed(.unresolved))
    }

    @Test("A look-up that hangs ends with the fetch's time, and its late answer finds nobody")
    func hangingLookup() throws {
        let gate = Gate()
        let looking = try Looking<KeyFetchOutcome>("https://keys.example/", timeout: 200) { _ in
            gate.wait()
            return [.ip(.v4(0x7f00_0001), port: 0)]
        }
        let ending = try looking.end()
        #expect(ending.outcomes == [.failed(.timeout)])
        #expect(ending.threads == 1)
        gate.open()
    }

    @Test("An address that nobody listens at is passed over")
    func refusedAddress() throws {
        let server = try ScriptedUpstream()
        let port = try #require(server.address.port)
        let looking = try Looking<KeyFetchOutcome>(
            "http://keys.example:\(port)/", allowsPlainHTTP: true
        ) { _ in
            // Nobody listens on the same port of another loopback address.
            [.ip(.v4(0x7f00_0002), port: port), .ip(.v4(0x7f00_0001), port: port)]
        }
        let peer = try server.accept()
        _ = peer.readHead()
        peer.send(answer)
        #expect(try looking.outcome() == body)
    }

    @Test("An address that hangs has its share of the time only")
    func hangingAddress() throws {
        let server = try ScriptedUpstream()
        let (address, port) = (server.address, try #require(server.address.port))
        let hanging = try HangingAddress(port: port)
        let looking = try Looking<KeyFetchOutcome>(
            "http://keys.example:\(port)/", timeout: 3000, allowsPlainHTTP: true
        ) { _ in [hanging.address, address] }
        let peer = try server.accept()
        _ = peer.readHead()
        peer.send(answer)
        let ending = try looking.end()
        #expect(ending.outcomes == [body])
        #expect((1450..<3000).contains(ending.milliseconds))
    }

    @Test("No address that can be used: the fault that can be mended is told")
    func unreachable() throws {
        let dead = try deadAddress()
        #expect(
            try Looking<KeyFetchOutcome>("http://\(dead)/").outcome() == .failed(.unreachable))
    }

    // MARK: Redirects

    @Test(
        "Redirects within the origin are followed",
        arguments: [301, 302, 303, 307, 308], ["/b", "b", "?b", "//HOST/b", "http://HOST/b#x"])
    func redirect(_ status: Int, _ location: String) throws {
        let server = try ScriptedUpstream()
        let looking = try Looking<KeyFetchOutcome>(server.url + "/a", etag: "\"1\"")
        let location = location.split(separator: "HOST", omittingEmptySubsequences: false)
            .joined(separator: server.authority)
        let first = try server.accept()
        _ = first.readHead()
        first.send("HTTP/1.1 \(status) Found\r\nLocation: \(location)\r\nContent-Length: 9\r\n\r\n")
        let second = try server.accept()
        let head = second.readHead()
        #expect(head.hasPrefix(location == "?b" ? "GET /a?b " : "GET /b "))
        // A tag means nothing elsewhere, and where a redirect leads may change.
        #expect(!head.contains("If-None-Match"))
        second.send("HTTP/1.1 200 OK\r\nETag: \"2\"\r\nContent-Length: 2\r\n\r\n{}")
        #expect(try looking.outcome() == body)
        #expect(first.waitForEnd() == .closed)
    }

    @Test(
        "A redirect anywhere else is a fault",
        arguments: [
            "http://127.0.0.1:1/", "http://127.0.0.2:PORT/", "http://localhost:PORT/",
            "https://127.0.0.1:PORT/", "//evil.example/", "https://keys.example/",
            "http://user@127.0.0.1:PORT/", "file:///etc/passwd", "javascript:alert(1)",
            "http://127.0.0.1:PORT@evil.example/", "http:/evil", "/a b", "/\u{e9}",
            "http://127.0.0.1:PORT:1/", "http://[::1]:PORT/",
        ])
    func foreignRedirect(_ location: String) throws {
        let server = try ScriptedUpstream()
        let port = try #require(server.address.port)
        let location = location.split(separator: "PORT", omittingEmptySubsequences: false)
            .joined(separator: "\(port)")
        let looking = try Looking<KeyFetchOutcome>(server.url)
        let peer = try server.accept()
        _ = peer.readHead()
        peer.send("HTTP/1.1 302 Found\r\nLocation: \(location)\r\n\r\n")
        #expect(try looking.outcome() == .failed(.redirectElsewhere))
        #expect(try server.acceptIfAny(within: 0) == nil)
    }

    @Test(
        "A redirect that says nothing, or two things, is a fault",
        arguments: ["", "Location: /a\r\nLocation: /b\r\n"])
    func unclearRedirect(_ lines: String) throws {
        let server = try ScriptedUpstream()
        let looking = try Looking<KeyFetchOutcome>(server.url)
        let peer = try server.accept()
        _ = peer.readHead()
        peer.send("HTTP/1.1 302 Found\r\n\(lines)\r\n")
        #expect(try looking.outcome() == .failed(.redirectElsewhere))
    }

    @Test("Three redirects are followed, a fourth is not; all within one time")
    func redirectLoop() throws {
        let server = try ScriptedUpstream()
        let looking = try Looking<KeyFetchOutcome>(server.url + "/0")
        for number in 0..<4 {
            let peer = try server.accept()
            #expect(peer.readHead().hasPrefix("GET /\(number) "))
            peer.send("HTTP/1.1 302 Found\r\nLocation: /\(number + 1)\r\n\r\n")
        }
        #expect(try looking.outcome() == .failed(.tooManyRedirects))
        #expect(try server.acceptIfAny(within: 0) == nil)
    }
}

@Suite("A fetch over TLS")
struct KeyFetchTLSTests {
    private let server: ScriptedUpstream
    private let url: String

    init() throws {
        server = try ScriptedUpstream()
        url = "https://api.example.com:\(try #require(server.address.port))/keys"
    }

    private func looking(
        _ url: String, trust: [UInt8]?, timeout: Int64 = 5000
    ) throws -> Looking<KeyFetchOutcome> {
        let address = server.address
        return try Looking<KeyFetchOutcome>(url, timeout: timeout, trust: trust) { _ in [address] }
    }

    private func looking(timeout: Int64 = 5000) throws -> Looking<KeyFetchOutcome> {
        try looking(url, trust: try TLSMaterial.read("ca.pem"), timeout: timeout)
    }

    private func accept(
        clients: TLSServerContext.ClientCertificates = .none,
        protocols: [ApplicationProtocol] = [.http2, .http11]
    ) throws -> TLSPeer {
        let context = try TLSServerContext(
            .init(
                identities: [try TLSMaterial.identity("api")],
                clientCA: clients == .none ? nil : try TLSMaterial.read("ca.pem"),
                clientCertificates: clients, protocols: protocols),
            tickets: TLSTicketKeys())
        return try TLSPeer(try server.acceptSocket(), context)
    }

    @Test("A server that is whom it has to be is asked, over HTTP/1.1")
    func whole() throws {
        let looking = try looking()
        let peer = try accept()
        #expect(peer.shakeHands() == .complete)
        #expect(peer.session.applicationProtocol == .http11)
        #expect(peer.read(through: "\r\n\r\n").hasPrefix("GET /keys HTTP/1.1\r\nHost: api.example"))
        peer.send(answer)
        #expect(try looking.outcome() == body)
    }

    @Test("A server without ALPN is asked all the same")
    func withoutALPN() throws {
        let looking = try looking()
        let peer = try accept(protocols: [])
        #expect(peer.shakeHands() == .complete)
        _ = peer.read(through: "\r\n\r\n")
        peer.send(answer)
        #expect(try looking.outcome() == body)
    }

    @Test("A large body comes whole")
    func large() throws {
        let looking = try looking()
        let peer = try accept()
        #expect(peer.shakeHands() == .complete)
        _ = peer.read(through: "\r\n\r\n")
        let text = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 % 251) }
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(text.count)\r\n\r\n")
        peer.send(text)
        #expect(try looking.outcome() == .body(text, etag: nil, freshFor: nil))
    }

    @Test("A body to the end of a connection that TLS does not end is cut short")
    func truncation() throws {
        let looking = try looking()
        let peer = try accept()
        #expect(peer.shakeHands() == .complete)
        _ = peer.read(through: "\r\n\r\n")
        peer.send("HTTP/1.1 200 OK\r\n\r\n{}")
        peer.shutdownWriting()
        #expect(try looking.outcome() == .failed(.cutShort))
    }

    @Test("An authority that is not believed, and another host's certificate, are told apart")
    func certificates() throws {
        for (url, trust, words) in [
            (url, nil, ["unable to get", "self-signed", "self signed"]),
            (
                url.replacing("api.example.com", with: "login.example.com"),
                try TLSMaterial.read("ca.pem"), ["ostname mismatch"]
            ),
        ] as [(String, [UInt8]?, [String])] {
            let looking = try looking(url, trust: trust)
            let peer = try accept()
            #expect(peer.shakeHands() != .complete)
            let outcome = try looking.outcome()
            guard case .failed(.tls(let reason)) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
            #expect(reason.hasPrefix("certificate: "))
            #expect(words.contains { reason.contains($0) }, "\(reason)")
            #expect(try server.acceptIfAny(within: 0) == nil, "no second try")
        }
    }

    @Test("What TLS said of one address is told, though another one hangs")
    func preferredFault() throws {
        let hanging = try HangingAddress(port: try #require(server.address.port))
        let address = server.address
        let looking = try Looking<KeyFetchOutcome>(url, timeout: 2000) { _ in
            [address, hanging.address]
        }
        #expect(try accept().shakeHands() != .complete)
        let outcome = try looking.outcome()
        guard case .failed(.tls) = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }

    @Test("A server that wants to know us is told apart as well")
    func clientCertificate() throws {
        let looking = try looking()
        let peer = try accept(clients: .required)
        _ = peer.shakeHands()
        let outcome = try looking.outcome()
        guard case .failed(.tls(let reason)) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.hasPrefix("alert: "))
    }

    @Test(
        "What is no TLS is a fault of TLS",
        arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "\u{16}\u{03}", ""])
    func notTLS(_ text: String) throws {
        let looking = try looking()
        let peer = try server.accept()
        #expect(peer.hasInput(within: Peer.patience))
        peer.send(text)
        peer.shutdownWriting()
        let outcome = try looking.outcome()
        guard case .failed(.tls) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(try server.acceptIfAny(within: 0) == nil, "nothing is tried in the clear")
    }

    @Test("A handshake that hangs ends with the time")
    func hangingHandshake() throws {
        let looking = try looking(timeout: 200)
        let peer = try server.accept()
        #expect(try looking.outcome() == .failed(.timeout))
        #expect(peer.waitForEnd() != .open)
    }

    @Test("Redirects to clear text are not followed")
    func downgrade() throws {
        let looking = try looking()
        let peer = try accept()
        #expect(peer.shakeHands() == .complete)
        _ = peer.read(through: "\r\n\r\n")
        peer.send("HTTP/1.1 302 Found\r\nLocation: http://api.example.com/keys\r\n\r\n")
        #expect(try looking.outcome() == .failed(.redirectElsewhere))
    }
}
