import COpenSSL
import OpenSSL
import Testing

@Suite struct TLSHandshakeTests {
    @Test("Both sides agree and bytes go both ways", arguments: [TLSVersion.tls12, .tls13])
    func plainHandshake(_ version: TLSVersion) throws {
        let pair = try TLSPair(clientContext(), serverContext(minimum: version))
        #expect(pair.shakeHands() == .complete)
        #expect(pair.server.version == .tls13)
        #expect(!pair.server.isResumed)
        #expect(pair.server.peerCertificate == nil)
        #expect(pair.client.peerCertificate?.thumbprint == thumbprint("a"))
        #expect(pair.client.write("question") == .wrote(8))
        #expect(pair.server.read().1 == Array("question".utf8))
        #expect(pair.server.write("answer") == .wrote(6))
        #expect(pair.client.read().1 == Array("answer".utf8))
    }

    @Test(
        "Versions below the least one are refused",
        arguments: [
            (0x0301, TLSVersion.tls12, TLSVersion.tls12, true),
            (0x0303, .tls12, .tls12, true), (0x0303, .tls13, .tls13, true),
            (0x0303, .tls12, .tls13, false),
        ])
    func versions(least: Int32, newest: TLSVersion, minimum: TLSVersion, isComplete: Bool) throws {
        let sockets = SocketPair()
        let server = try serverContext(minimum: minimum).makeSession(descriptor: sockets.right)
        let client = RawClient(sockets.left, .init(maximum: newest, minimum: least))
        let outcome = client.shakeHands(with: server)
        #expect(outcome.isComplete == isComplete)
        if isComplete {
            #expect(server.version == newest)
            #expect(outcome.server == .complete)
        } else {
            #expect(outcome.server == .failed(.protocol("unsupported protocol")))
        }
    }

    @Test("TLS 1.1 is refused")
    func oldVersion() throws {
        let sockets = SocketPair()
        let server = try serverContext().makeSession(descriptor: sockets.right)
        var hello: [UInt8] =
            [0x16, 3, 1, 0, 49, 1, 0, 0, 45, 3, 2] + [UInt8](repeating: 7, count: 32)
        hello += [0, 0, 4, 0xc0, 0x09, 0xc0, 0x13, 1, 0, 0, 0]
        sockets.sendLeft(hello)
        #expect(server.handshake() == .failed(.protocol("unsupported protocol")))
    }

    @Test(
        "Only suites with forward secrecy and authenticated encryption are spoken",
        arguments: [
            ("ECDHE-ECDSA-AES128-GCM-SHA256", "ec", true),
            ("ECDHE-ECDSA-AES256-GCM-SHA384", "ec", true),
            ("ECDHE-ECDSA-CHACHA20-POLY1305", "ec", true),
            ("ECDHE-RSA-AES128-GCM-SHA256", "rsa", true),
            ("ECDHE-RSA-AES256-GCM-SHA384", "rsa", true),
            ("ECDHE-RSA-CHACHA20-POLY1305", "rsa", true),
            ("ECDHE-ECDSA-AES128-SHA", "ec", false), ("ECDHE-ECDSA-AES128-SHA256", "ec", false),
            ("ECDHE-RSA-AES256-SHA384", "rsa", false), ("AES128-GCM-SHA256", "rsa", false),
            ("DHE-RSA-AES128-GCM-SHA256", "rsa", false), ("AES256-SHA", "rsa", false),
            ("ECDHE-ECDSA-AES128-CCM", "ec", false), ("ADH-AES128-GCM-SHA256", "ec", false),
            ("ECDHE-ECDSA-NULL-SHA", "ec", false), ("ECDHE-ECDSA-AES128-GCM-SHA256", "rsa", false),
        ])
    func suites(cipher: String, key: String, isComplete: Bool) throws {
        let sockets = SocketPair()
        let server = try serverContext(identity(key == "ec" ? "a" : "a-rsa", key))
            .makeSession(descriptor: sockets.right)
        let client = RawClient(
            sockets.left, .init(maximum: .tls12, cipherList: cipher + ":@SECLEVEL=0"))
        #expect(client.shakeHands(with: server).isComplete == isComplete)
        if isComplete { #expect(client.cipher == cipher) }
    }

    @Test(
        "The server's order of suites counts, but a client that puts ChaCha20 first gets it",
        arguments: [
            ("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", "AES128-GCM-SHA256"),
            ("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305", "AES256-GCM-SHA384"),
            ("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256", "CHACHA20-POLY1305"),
        ])
    func suiteOrder(offered: String, chosen: String) throws {
        let sockets = SocketPair()
        let server = try serverContext().makeSession(descriptor: sockets.right)
        let client = RawClient(sockets.left, .init(maximum: .tls12, cipherList: offered))
        #expect(client.shakeHands(with: server).isComplete)
        #expect(client.cipher == "ECDHE-ECDSA-" + chosen)
    }

    @Test(
        "Groups are X25519, P-256 and P-384",
        arguments: [
            ("X25519", true), ("P-256", true), ("P-384", true), ("X448", false), ("P-521", false),
            ("ffdhe2048", false), ("P-521:P-384", true),
        ])
    func groups(offered: String, isComplete: Bool) throws {
        let sockets = SocketPair()
        let server = try serverContext().makeSession(descriptor: sockets.right)
        let client = RawClient(sockets.left, .init(groups: offered))
        #expect(client.shakeHands(with: server).isComplete == isComplete)
    }

    @Test(
        "The server's order of protocols counts; no overlap ends the handshake",
        arguments: [
            ([.http2, .http11], ["h2", "http/1.1"], "h2"),
            ([.http2, .http11], ["http/1.1", "h2"], "h2"),
            ([.http11, .http2], ["h2", "http/1.1"], "http/1.1"),
            ([.http2, .http11], ["http/1.1"], "http/1.1"),
            ([.http2, .http11], ["spdy/3", "http/1.1"], "http/1.1"),
            ([.http2, .http11], [], ""),
            ([.http11], ["h2", "http/1.1"], "http/1.1"),
            ([.http11], ["h2"], nil), ([.http2, .http11], ["H2"], nil),
            ([.http2, .http11], ["h2c", "http/1.0"], nil),
            ([], ["h2"], ""),
        ] as [([ApplicationProtocol], [String], String?)])
    func applicationProtocols(
        ours: [ApplicationProtocol], offered: [String], chosen: String?
    ) throws {
        for version in [TLSVersion.tls12, .tls13] {
            let sockets = SocketPair()
            let server = try serverContext(protocols: ours).makeSession(descriptor: sockets.right)
            let client = RawClient(sockets.left, .init(maximum: version, protocols: offered))
            let outcome = client.shakeHands(with: server)
            #expect(outcome.isComplete == (chosen != nil))
            guard let chosen else {
                #expect(outcome.server == .failed(.protocol("no application protocol")))
                continue
            }
            #expect(client.protocolName == chosen)
            #expect(server.applicationProtocol?.name ?? "" == chosen)
        }
    }

    @Test("A client of ours offers its protocols and learns the choice")
    func ownProtocols() throws {
        let pair = try TLSPair(
            clientContext(protocols: [.http2, .http11]), serverContext(protocols: [.http11]))
        #expect(pair.shakeHands() == .complete)
        #expect(pair.client.applicationProtocol == .http11)
        let sockets = SocketPair()
        let narrowed = try clientContext(protocols: [.http2, .http11]).makeSession(
            descriptor: sockets.left, to: TLSServerName("a.example.com"), offering: [.http11])
        let both = try serverContext(protocols: [.http2, .http11])
            .makeSession(descriptor: sockets.right)
        for _ in 0..<3 {
            _ = narrowed.handshake()
            _ = both.handshake()
        }
        #expect(both.applicationProtocol == .http11)
        let refused = try TLSPair(
            clientContext(protocols: [.http2]), serverContext(protocols: [.http11]))
        #expect(
            refused.shakeHands()
                == HandshakeResult(
                    client: .failed(.alert("no application protocol")),
                    server: .failed(.protocol("no application protocol"))))
    }

    @Test(
        "What is not TLS is refused, and the next session is not troubled",
        arguments: [
            ("GET / HTTP/1.1, Host: a", .protocol("http request")),
            ("PRI * HTTP/2.0", .protocol("wrong version number")),
            ("CONNECT a:1 HTTP/1.1", .protocol("https proxy request")),
            ("SSH-2.0-OpenSSH_9.2", .protocol("wrong version number")),
            ("too long", .protocol("packet length too long")),
            ("an alert", .protocol("unexpected message")),
        ] as [(String, TLSFault)])
    func garbage(text: String, fault: TLSFault) throws {
        let sockets = SocketPair()
        let context = try serverContext()
        let server = try context.makeSession(descriptor: sockets.right)
        let octets: [UInt8] =
            switch text {
            case "too long": [0x16, 3, 1, 0x7f, 0x7f] + [UInt8](repeating: 1, count: 20)
            case "an alert": [0x15, 3, 1, 0, 2, 2, 40]
            default: Array(text.utf8) + [13, 10, 13, 10]
            }
        sockets.sendLeft(octets)
        #expect(server.handshake() == .failed(fault))
        #expect(ERR_peek_error() == 0)
        #expect(server.handshake() == .failed(.closed))
        #expect(server.read().0 == .failed(.closed))
        #expect(server.write("x") == .failed(.closed))
        server.endWriting()
        let pair = try TLSPair(clientContext(), context)
        #expect(pair.shakeHands() == .complete)
    }

    @Test("Any bytes for a handshake end in a failure, never in a trap", arguments: 0..<200)
    func mutations(_ seed: Int) throws {
        // A real ClientHello with some octets changed; a fixed generator, so that a failure
        // repeats.
        let sockets = SocketPair()
        let client = try clientContext(protocols: [.http2])
            .makeSession(descriptor: sockets.left, to: TLSServerName("a.example.com"))
        #expect(client.handshake() == .wantsRead)
        var hello = sockets.receiveRight()
        var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 &+ 1
        for _ in 0..<(seed % 5 + 1) {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            hello[Int(state >> 33) % hello.count] = UInt8(truncatingIfNeeded: state >> 24)
        }
        let other = SocketPair()
        let server = try serverContext(protocols: [.http2]).makeSession(descriptor: other.right)
        other.sendLeft(hello)
        let outcome = server.handshake()
        other.closeLeft()
        if !outcome.isOver { #expect(server.handshake().isOver) }
        #expect(ERR_peek_error() == 0)
    }

    @Test("A peer that goes away in the handshake closed it")
    func vanishingPeer() throws {
        let sockets = SocketPair()
        let server = try serverContext().makeSession(descriptor: sockets.right)
        #expect(server.handshake() == .wantsRead)
        sockets.closeLeft()
        #expect(server.handshake() == .failed(.closed))
    }

    @Test("Sessions of a context that was replaced go on, and new ones use the new one")
    func replacement() throws {
        let client = try clientContext()
        var old: TLSServerContext? = try serverContext(identity("a"), identity("b"))
        let pair = try TLSPair(client, #require(old))
        let late = try TLSPair(client, #require(old), name: "b.test")
        #expect(pair.shakeHands() == .complete)
        old = nil
        #expect(late.shakeHands() == .complete)
        let next = try TLSPair(client, serverContext(identity("for-servers")))
        #expect(next.shakeHands() == .complete)
        #expect(next.client.peerCertificate?.thumbprint == thumbprint("for-servers"))
        #expect(pair.client.write("still") == .wrote(5))
        #expect(pair.server.read().1 == Array("still".utf8))
        #expect(late.client.peerCertificate?.thumbprint == thumbprint("b"))
    }

    @Test("A handshake goes on through a socket that takes little at a time")
    func tightSockets() throws {
        let pair = try TLSPair(
            clientContext(identity: identity("client", "client")),
            serverContext(identity("a-rsa", "rsa"), clients: .required), bufferBytes: 1)
        #expect(pair.shakeHands() == .complete)
    }
}
