import COpenSSL
import OpenSSL
import Testing

/// What a client of ours says to a server's certificate, and a server of ours to a client's.
@Suite struct TLSVerificationTests {
    typealias ServerRow = (certificate: String, name: String, problem: String?)

    static let servers: [ServerRow] = [
        ("a", "a.example.com", nil), ("a", "A.Example.COM", nil), ("a", "a.example.com.", nil),
        ("a", "a2.example.com", nil), ("for-servers", "a.example.com", nil),
        ("chain", "a.example.com", nil), ("wildcard", "x.example.com", nil),
        ("addresses", "127.0.0.1", nil), ("addresses", "::1", nil), ("addresses", "[::1]", nil),
        ("addresses", "0:0:0:0:0:0:0:1", nil), ("addresses", "[::1%25lo]", nil),
        ("a", "b.test", "hostname mismatch"), ("a", "example.com", "hostname mismatch"),
        ("a", "a.example.com.evil.test", "hostname mismatch"),
        ("a", "xa.example.com", "hostname mismatch"),
        ("wildcard", "example.com", "hostname mismatch"),
        ("wildcard", "x.y.example.com", "hostname mismatch"),
        ("top-wildcard", "foo.com", "hostname mismatch"),
        ("top-wildcard", "localhost", "hostname mismatch"),
        ("partial-wildcard", "www.example.com", "hostname mismatch"),
        ("partial-wildcard", "w.example.com", "hostname mismatch"),
        ("common-name", "cn.example.com", "hostname mismatch"),
        ("common-name-beside", "cn.example.com", "hostname mismatch"),
        ("nul", "a.example.com", "hostname mismatch"),
        ("expired", "a.example.com", "certificate has expired"),
        ("for-clients", "a.example.com", "unsuitable certificate purpose"),
        ("untrusted", "a.example.com", "unable to get local issuer certificate"),
        ("below", "a.example.com", "unable to get local issuer certificate"),
        ("self-signed", "a.example.com", "self-signed certificate"),
        ("addresses", "127.0.0.2", "IP address mismatch"),
        ("addresses", "::2", "IP address mismatch"),
        ("address-as-name", "127.0.0.1", "IP address mismatch"),
        ("a", "127.0.0.1", "IP address mismatch"),
    ]

    @Test("A server's certificate is believed only for its own names", arguments: servers)
    func server(_ row: ServerRow) throws {
        let pair = try TLSPair(
            clientContext(), serverContext(identity(row.certificate)), name: row.name)
        let result = pair.shakeHands()
        guard let problem = row.problem else {
            #expect(result == .complete)
            return
        }
        guard case .failed(.certificate(let words)) = result.client else {
            Issue.record("\(result.client)")
            return
        }
        #expect(words.lowercased() == problem.lowercased())
        guard case .failed(.alert) = result.server else {
            Issue.record("\(result.server)")
            return
        }
        #expect(ERR_peek_error() == 0)
        #expect(pair.client.write("secret") == .failed(.closed))
    }

    @Test("Whoever believes anybody believes anybody", arguments: servers)
    func unverified(_ row: ServerRow) throws {
        let pair = try TLSPair(
            clientContext(verifies: false), serverContext(identity(row.certificate)),
            name: row.name)
        #expect(pair.shakeHands() == .complete)
    }

    @Test("Only the given authorities are believed; the system's store knows none of ours")
    func trust() throws {
        let server = try serverContext(identity("untrusted"))
        let trusting = try TLSPair(clientContext(trust: authorities("other-root")), server)
        #expect(trusting.shakeHands() == .complete)
        let both = try TLSPair(clientContext(trust: authorities("root", "other-root")), server)
        #expect(both.shakeHands() == .complete)
        let system = try TLSPair(TLSClientContext(.init()), serverContext())
        #expect(
            system.shakeHands().client
                == .failed(.certificate("unable to get local issuer certificate")))
        let pinned = try TLSPair(
            clientContext(trust: authorities("self-signed")),
            serverContext(identity("self-signed")))
        #expect(pinned.shakeHands() == .complete)
    }

    @Test(
        "A host that is neither a name nor an address makes no session",
        arguments: [
            "", ".", "..", ".example.com", "1.2.3", "999.1.1.1", "[::1", "::g", "a\0.test", "256",
        ])
    func badNames(_ host: String) throws {
        let sockets = SocketPair()
        let context = try clientContext()
        #expect(throws: OpenSSLError.refused) {
            try context.makeSession(descriptor: sockets.left, to: TLSServerName(host))
        }
        #expect(ERR_peek_error() == 0)
    }

    @Test("A DNS name is asked for, an address is not")
    func serverNameIndication() throws {
        let context = try clientContext()
        for (name, isAsked) in [("a.example.com.", true), ("127.0.0.1", false), ("::1", false)] {
            let sockets = SocketPair()
            let client = try context.makeSession(
                descriptor: sockets.left, to: TLSServerName(name))
            #expect(client.handshake() == .wantsRead)
            let hello = sockets.receiveRight()
            let wanted = Array("a.example.com".utf8)
            let places = hello.indices.filter { hello[$0...].starts(with: wanted) }
            #expect(places.isEmpty == !isAsked)
            if let place = places.first { #expect(hello[place + wanted.count] != 0x2e) }
            #expect(hello.firstRange(of: Array("127.0".utf8)) == nil)
        }
    }

    typealias ClientRow = (certificate: String?, optional: String?, required: String?)

    /// What a server says under `optional` and `required`; nil where it is content.
    static let clients: [ClientRow] = [
        ("client", nil, nil), ("client-any", nil, nil), ("client-control", nil, nil),
        (nil, nil, "peer did not return a certificate"),
        ("client-expired", "certificate has expired", "certificate has expired"),
        (
            "client-server", "unsuitable certificate purpose", "unsuitable certificate purpose"
        ),
        (
            "client-untrusted", "unable to get local issuer certificate",
            "unable to get local issuer certificate"
        ),
        ("client-self-signed", "self-signed certificate", "self-signed certificate"),
    ]

    @Test("A client's certificate is verified where one is asked for", arguments: clients)
    func client(_ row: ClientRow) throws {
        let shown = row.certificate.map { identity($0, "client") }
        for (mode, problem) in [
            (TLSServerContext.ClientCertificates.none, nil), (.optional, row.optional),
            (.required, row.required),
        ] {
            let pair = try TLSPair(clientContext(identity: shown), serverContext(clients: mode))
            let server = pair.shakeHands().server
            guard let problem else {
                #expect(server == .complete)
                let expected = mode == .none ? nil : row.certificate.map(thumbprint)
                #expect(pair.server.peerCertificate?.thumbprint == expected)
                continue
            }
            switch server {
            case .failed(.certificate(let words)), .failed(.protocol(let words)):
                #expect(words.lowercased() == problem)
            default: Issue.record("\(server)")
            }
            #expect(pair.server.read().0 == .failed(.closed))
        }
    }

    @Test("A refused TLS 1.3 client learns why when it reads")
    func lateRefusal() throws {
        let pair = try TLSPair(clientContext(), serverContext(clients: .required))
        #expect(pair.shakeHands().client == .complete)
        #expect(pair.client.read().0 == .failed(.alert("certificate required")))
    }

    @Test(
        "A subject is written as RFC 4514 has it",
        arguments: [
            ("client", "O=Müller\\, Söhne,CN=alice"), ("client-any", "CN=bob"),
            ("client-control", "CN=a\\0Ab\\,c=d"),
        ])
    func subjects(certificate: String, subject: String) throws {
        let pair = try TLSPair(
            clientContext(identity: identity(certificate, "client")),
            serverContext(clients: .required))
        #expect(pair.shakeHands() == .complete)
        let peer = try #require(pair.server.peerCertificate)
        #expect(String(decoding: peer.subject, as: UTF8.self) == subject)
        #expect(peer.thumbprint == thumbprint(certificate))
        // Until 1 January 2120.
        #expect(!peer.isExpired(at: 4_733_510_400))
        #expect(peer.isExpired(at: 4_733_510_401))
    }

    @Test("The authorities that issue clients' certificates are named to them")
    func authorityNames() throws {
        for (mode, count) in [(TLSServerContext.ClientCertificates.none, 0), (.optional, 1)] {
            let sockets = SocketPair()
            let server = try serverContext(clients: mode).makeSession(descriptor: sockets.right)
            let client = RawClient(sockets.left)
            #expect(client.shakeHands(with: server).isComplete)
            #expect(client.authorityCount == Int32(count))
        }
    }

    @Test("Rules for clients hold whatever name they ask for")
    func clientsOfEachName() throws {
        for name in ["a.example.com", "b.test", "unknown.test"] {
            let context = try serverContext(identity("a"), identity("b"), clients: .required)
            let anonymous = try TLSPair(clientContext(verifies: false), context, name: name)
            #expect(
                anonymous.shakeHands().server
                    == .failed(.protocol("peer did not return a certificate")))
            let untrusted = try TLSPair(
                clientContext(identity: identity("client-untrusted", "client"), verifies: false),
                context, name: name)
            #expect(
                untrusted.shakeHands().server
                    == .failed(.certificate("unable to get local issuer certificate")))
            let known = try TLSPair(
                clientContext(identity: identity("client", "client"), verifies: false), context,
                name: name)
            #expect(known.shakeHands() == .complete)
            #expect(known.server.peerCertificate?.thumbprint == thumbprint("client"))
        }
    }

    @Test("TLS 1.2 clients are held to the same rules", arguments: clients)
    func oldClient(_ row: ClientRow) throws {
        for (mode, problem) in [
            (TLSServerContext.ClientCertificates.optional, row.optional), (.required, row.required),
        ] {
            let sockets = SocketPair()
            let server = try serverContext(clients: mode).makeSession(descriptor: sockets.right)
            let client = RawClient(
                sockets.left,
                .init(maximum: .tls12, identity: row.certificate.map { identity($0, "client") }))
            let outcome = client.shakeHands(with: server)
            #expect(outcome.isComplete == (problem == nil))
            guard problem == nil else { continue }
            #expect(server.peerCertificate?.thumbprint == row.certificate.map(thumbprint))
        }
    }
}
