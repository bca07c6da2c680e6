import Configuration
import EventLoop
import HTTP2
import OpenSSL
import Testing

@testable import Gateway

/// TLS on both sides.
@Suite struct TLSTests {
    /// A gateway whose listener ends TLS.
    private func gateway(
        to upstream: ScriptedUpstream, _ more: String = "", isLogging: Bool = false
    ) throws -> RunningGateway {
        try publicGateway(
            to: upstream,
            listeners: """
                [{"address":"127.0.0.1:0","tls":{
                  "certificates":[{"certificate":"api.pem","privateKey":"api.key"}],
                  "clientCA":"ca.pem","clientCertificate":"optional",
                  "clientCertificateHeaders":{
                    "subject":"X-Cert-Subject","thumbprint":"X-Cert-Thumb"}}\(more)}]
                """, isLogging: isLogging)
    }

    @Test("ALPN chooses the version", arguments: [ApplicationProtocol.http11, .http2])
    func versions(_ version: ApplicationProtocol) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try gateway(to: upstream)
        let end = try TLSPeer(to: gateway.addresses[0], protocols: [version])
        #expect(end.shakeHands() == .complete)
        #expect(end.session.applicationProtocol == version)
        if version == .http11 {
            end.send(get("/", "X-Cert-Subject: me\r\nX_Cert_Thumb: t\r\n"))
            let connection = try upstream.accept()
            let head = connection.readHead()
            #expect(!head.lowercased().contains("cert"))
            #expect(head.contains("X-Forwarded-Proto: https\r\n"))
            connection.send(ok("tls"))
            #expect(end.read(through: "tls").status == 200)
            return
        }
        let client = HTTP2Peer(end, .client)
        let stream = try client.request(get("/", "X-Cert-Subject: me\r\nX_Cert_Thumb: t\r\n"))
        let connection = try upstream.accept()
        #expect(!connection.readHead().lowercased().contains("cert"))
        connection.send(ok("tls"))
        #expect(client.readMessage(stream).body == "tls")
    }

    @Test("Who a certificate names is told the upstream, whatever the client says of itself")
    func clientCertificate() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try gateway(to: upstream)
        let end = try TLSPeer(
            to: gateway.addresses[0], protocols: [.http2],
            identity: try TLSMaterial.identity("client"))
        #expect(end.shakeHands() == .complete)
        let client = HTTP2Peer(end, .client)
        _ = try client.request(get("/", "X-Cert-Subject: CN=root\r\n"))
        let head = try upstream.accept().readHead()
        #expect(head.contains("X-Cert-Subject: CN=client.example.com\r\n"))
        #expect(head.contains("X-Cert-Thumb: "))
        #expect(!head.contains("CN=root"))
    }

    @Test("A listener of HTTP/2 alone has nothing to say to who offers no protocol")
    func withoutALPN() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try gateway(to: upstream, #","protocols":["h2"]"#)
        let end = try TLSPeer(to: gateway.addresses[0], protocols: [])
        #expect(end.shakeHands() == .complete)
        end.send(get())
        #expect(end.readSome(within: 3000) == nil)
        #expect(!end.isOpen)
    }

    @Test("A client that ends in the middle of its handshake is let go of at once")
    func endInHandshake() throws {
        let gateway = try gateway(to: try ScriptedUpstream())
        let end = try TLSPeer(to: gateway.addresses[0], protocols: [.http2])
        end.beginHandshake()
        end.shutdownWriting()
        #expect(end.isEnded(within: 3000))
    }

    @Test("Half a ClientHello and the end are enough to end", arguments: [1, 5, 6, 200])
    func halfAHello(_ count: Int) throws {
        let gateway = try gateway(to: try ScriptedUpstream())
        let peer = try gateway.connect()
        let hello: [UInt8] = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3] + Array(repeating: 7, count: 300)
        peer.send(Array(hello.prefix(count)))
        peer.shutdownWriting()
        #expect(peer.waitForEnd(within: 3000) != .open)
    }

    @Test("Handshakes wait in line, and those whose clients went do not hold the others up")
    func crowd() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try gateway(to: upstream)
        var ends = try (0..<40).map { _ in
            try TLSPeer(to: gateway.addresses[0], protocols: [.http11])
        }
        for end in ends { end.beginHandshake() }
        ends.removeSubrange(10..<20)
        for end in ends { #expect(end.shakeHands() == .complete) }
        let last = try #require(ends.last)
        last.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok("served"))
        #expect(last.read(through: "served").status == 200)
    }

    // MARK: Upstream

    /// A gateway to an upstream with TLS.
    private func secureGateway(
        to upstream: ScriptedUpstream, isLogging: Bool = false
    ) throws -> RunningGateway {
        let json = proxyJSON(
            upstreams: """
                {"up":{"endpoints":["https://\(upstream.address)"],"retries":0,
                       "tls":{"ca":"ca.pem","serverName":"api.example.com"}}}
                """,
            routes: #"[{"path":"/**","access":"public","upstream":"up"}]"#)
        return try RunningGateway(json, isLogging: isLogging)
    }

    private func serverContext(
        clients: TLSServerContext.ClientCertificates = .none, _ protocols: [ApplicationProtocol],
        _ tickets: TLSTicketKeys = TLSTicketKeys()
    ) throws -> TLSServerContext {
        try TLSServerContext(
            .init(
                identities: [try TLSMaterial.identity("api")],
                clientCA: clients == .none ? nil : try TLSMaterial.read("ca.pem"),
                clientCertificates: clients, protocols: protocols), tickets: tickets)
    }

    @Test("Sessions are resumed", arguments: [ApplicationProtocol.http11, .http2])
    func resumption(_ version: ApplicationProtocol) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try secureGateway(to: upstream)
        let tickets = TLSTicketKeys()
        tickets.replace(with: [.random()])
        let context = try serverContext([version], tickets)
        for round in 0..<2 {
            let client = try gateway.connect()
            client.send(get())
            let end = try TLSPeer(try upstream.acceptSocket(), context)
            #expect(end.shakeHands() == .complete)
            #expect(end.session.isResumed == (round == 1))
            if version == .http11 {
                _ = end.read(through: "\r\n\r\n")
                end.send(ok("ok", "Connection: close\r\n"))
            } else {
                let connection = HTTP2Peer(end, .server)
                connection.answer(try connection.nextRequest())
            }
            #expect(client.readMessage().status == 200)
        }
    }

    @Test(
        "What was opened under earlier rules serves what it has, and no more",
        arguments: [ApplicationProtocol.http11, .http2])
    func changedRules(_ version: ApplicationProtocol) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try secureGateway(to: upstream)
        let settings = try #require(gateway.configuration.upstreams[0].tls).settings
        let context = try serverContext([version])
        let client = try gateway.connect()
        for round in 0..<2 {
            client.send(get("/\(round)"))
            let end = try TLSPeer(try upstream.acceptSocket(), context)
            #expect(end.shakeHands() == .complete)
            // An exchange is under way as the rules change.
            if version == .http11 {
                #expect(end.read(through: "\r\n\r\n").hasPrefix("GET /\(round) "))
                gateway.tellAll(.clientTLS(upstream: 0, settings))
                try waitForMessage(gateway)
                end.send(ok("\(round)"))
            } else {
                let connection = HTTP2Peer(end, .server)
                let stream = try connection.nextRequest()
                gateway.tellAll(.clientTLS(upstream: 0, settings))
                try waitForMessage(gateway)
                connection.answer(stream, "\(round)")
            }
            #expect(client.readMessage().hasSuffix("\(round)"))
            #expect(end.isEnded(within: 3000))
        }
    }

    /// Waits until the worker has heard what it was told: it answers a client only later.
    private func waitForMessage(_ gateway: RunningGateway) throws {
        for _ in 0..<2 {
            let probe = try gateway.connect()
            probe.send("BAD\r\n\r\n")
            #expect(probe.readHead().status == 400)
        }
    }

    @Test(
        "An alert behind the handshake is what the log names",
        arguments: [
            ApplicationProtocol.http11, .http2,
        ])
    func lateAlert(_ version: ApplicationProtocol) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try secureGateway(to: upstream, isLogging: true)
        let client = try gateway.connect()
        client.send(get())
        let end = try TLSPeer(
            try upstream.acceptSocket(), try serverContext(clients: .required, [version]))
        #expect(end.shakeHands() != .complete)
        #expect(client.readMessage().status == 502)
        let lines = try gateway.logLines()
        #expect(lines.count == 1)
        #expect(lines[0].contains(#""reason":"upstream_tls""#))
        #expect(lines[0].contains("certificate required"))
    }

    @Test("An upstream that ends in the middle of the handshake is noticed at once")
    func upstreamEndsInHandshake() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try secureGateway(to: upstream, isLogging: true)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        #expect(connection.hasInput(within: Peer.patience))
        connection.send([22, 3, 3, 0, 100, 2, 0])
        connection.shutdownWriting()
        #expect(client.readMessage().status == 502)
        #expect(try gateway.logLines()[0].contains(#""reason":"upstream_tls""#))
    }
}
