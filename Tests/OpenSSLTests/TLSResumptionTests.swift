import COpenSSL
import Testing

@testable import OpenSSL

@Suite struct TLSResumptionTests {
    /// Connects once, and gives what the server left to resume with.
    func ticket(
        _ client: TLSClientContext, _ server: TLSServerContext, name: String = "a.example.com",
        resuming: TLSResumption? = nil, isResumed: Bool = false
    ) throws -> TLSResumption? {
        let pair = try TLSPair(client, server, name: name, resuming: resuming)
        #expect(pair.shakeHands() == .complete)
        #expect(pair.client.isResumed == isResumed)
        #expect(pair.server.isResumed == isResumed)
        #expect(pair.server.write("x") == .wrote(1))
        #expect(pair.client.readAll() == [0x78])
        let ticket = pair.client.takeResumption()
        #expect(pair.client.takeResumption() == nil)
        return ticket
    }

    @Test("A ticket makes the next handshake a short one, and each brings a new ticket")
    func chainOfTickets() throws {
        let client = try clientContext()
        let server = try serverContext(tickets: freshTickets())
        var resumption = try ticket(client, server)
        for _ in 0..<5 {
            resumption = try ticket(client, server, resuming: resumption, isResumed: true)
        }
        #expect(resumption != nil)
    }

    @Test("A ticket serves several connections, though none was closed in good form")
    func reuse() throws {
        let client = try clientContext()
        let server = try serverContext(tickets: freshTickets())
        let resumption = try #require(try ticket(client, server))
        for _ in 0..<3 {
            _ = try ticket(client, server, resuming: resumption, isResumed: true)
        }
    }

    @Test("TLS 1.2 resumes as well")
    func oldClients() throws {
        let tickets = freshTickets()
        let context = try serverContext(tickets: tickets)
        var session: OpaquePointer?
        for round in 0..<3 {
            let sockets = SocketPair()
            let server = try context.makeSession(descriptor: sockets.right)
            let client = RawClient(sockets.left, .init(maximum: .tls12))
            if let session = unsafe session { unsafe SSL_set_session(client.ssl, session) }
            #expect(client.shakeHands(with: server).isComplete)
            #expect(server.isResumed == (round > 0))
            unsafe SSL_SESSION_free(session)
            unsafe session = SSL_get1_session(client.ssl)
            unsafe SSL_set_shutdown(client.ssl, SSL_SENT_SHUTDOWN)
        }
        unsafe SSL_SESSION_free(session)
    }

    @Test("Without keys there are no tickets")
    func noKeys() throws {
        let client = try clientContext()
        #expect(try ticket(client, serverContext()) == nil)
        let sockets = SocketPair()
        let server = try serverContext().makeSession(descriptor: sockets.right)
        let old = RawClient(sockets.left, .init(maximum: .tls12))
        #expect(old.shakeHands(with: server).isComplete)
    }

    @Test("Older keys still open, what they opened is sealed anew, and dropped keys open nothing")
    func rotation() throws {
        let tickets = TLSTicketKeys()
        let kept = (0..<5).map { _ in TLSTicketKey.random() }
        let client = try clientContext()
        let server = try serverContext(tickets: tickets)
        tickets.replace(with: [kept[0]])
        let first = try ticket(client, server)
        tickets.replace(with: [kept[1], kept[0]])
        let second = try ticket(client, server, resuming: first, isResumed: true)
        tickets.replace(with: [kept[2], kept[1]])
        _ = try ticket(client, server, resuming: first, isResumed: false)
        _ = try ticket(client, server, resuming: second, isResumed: true)
        tickets.replace(with: Array(kept.reversed()))
        // The fifth of five keys is not kept.
        _ = try ticket(client, server, resuming: first, isResumed: false)
        tickets.replace(with: [kept[4], kept[3], kept[2], kept[0]])
        _ = try ticket(client, server, resuming: first, isResumed: true)
    }

    @Test("What one worker sealed, another opens")
    func workers() throws {
        let key = TLSTicketKey.random()
        let client = try clientContext()
        let tickets = (0..<2).map { _ in TLSTicketKeys() }
        for keys in tickets { keys.replace(with: [key]) }
        let first = try ticket(client, serverContext(tickets: tickets[0]))
        _ = try ticket(
            client, serverContext(tickets: tickets[1]), resuming: first, isResumed: true)
    }

    @Test("A key is eighty octets", arguments: [0, 79, 81])
    func keyLength(_ count: Int) {
        #expect(TLSTicketKey([UInt8](repeating: 1, count: count)) == nil)
        let key = TLSTicketKey.random()
        #expect(TLSTicketKey(key.octets) == key)
        #expect(key != TLSTicketKey.random())
    }

    typealias Rules = (mode: TLSServerContext.ClientCertificates, clientCA: String)

    @Test(
        "A ticket counts only where the same rules hold for clients",
        arguments: [
            (.none, .none, "client-root", true), (.optional, .optional, "client-root", true),
            (.required, .required, "client-root", true),
            (.none, .required, "client-root", false), (.none, .optional, "client-root", false),
            (.optional, .required, "client-root", false),
            (.required, .optional, "client-root", false),
            (.required, .none, "client-root", false), (.required, .required, "root", false),
            (.optional, .optional, "other-root", false),
        ]
            as [(
                TLSServerContext.ClientCertificates, TLSServerContext.ClientCertificates, String,
                Bool
            )])
    func otherRules(
        first: TLSServerContext.ClientCertificates, second: TLSServerContext.ClientCertificates,
        secondCA: String, isResumed: Bool
    ) throws {
        let tickets = freshTickets()
        let client = try clientContext(identity: identity("client", "client"))
        let from = try serverContext(clients: first, tickets: tickets)
        let to = try serverContext(clients: second, tickets: tickets, clientCA: secondCA)
        let resumption = try ticket(client, from)
        let pair = try TLSPair(client, to, resuming: resumption)
        let outcome = pair.shakeHands().server
        #expect(pair.server.isResumed == isResumed)
        let isKnown = secondCA == "client-root"
        #expect((outcome == .complete) == isKnown, "\(outcome)")
        if isKnown {
            let expected = second == .none ? nil : thumbprint("client")
            #expect(pair.server.peerCertificate?.thumbprint == expected)
        }
    }

    @Test("An anonymous client's ticket never opens what needs a certificate")
    func anonymousTicket() throws {
        let tickets = freshTickets()
        let client = try clientContext()
        let resumption = try ticket(client, serverContext(clients: .optional, tickets: tickets))
        let pair = try TLSPair(
            client, serverContext(clients: .required, tickets: tickets), resuming: resumption)
        #expect(
            pair.shakeHands().server == .failed(.protocol("peer did not return a certificate")))
    }

    @Test("A session is not resumed for another name or under another context's rules")
    func otherPeers() throws {
        let tickets = freshTickets()
        let server = try serverContext(identity("a"), identity("b"), tickets: tickets)
        let client = try clientContext()
        let resumption = try ticket(client, server)
        _ = try ticket(client, server, name: "b.test", resuming: resumption, isResumed: false)
        _ = try ticket(clientContext(), server, resuming: resumption, isResumed: false)
        let lax = try clientContext(verifies: false)
        let unverified = try ticket(lax, server, name: "b.test")
        _ = try ticket(client, server, name: "b.test", resuming: unverified, isResumed: false)
    }

    @Test("A session is resumed whatever certificate stands behind the name by now")
    func renewedCertificate() throws {
        let tickets = freshTickets()
        let client = try clientContext()
        let resumption = try ticket(client, serverContext(identity("a"), tickets: tickets))
        _ = try ticket(
            client, serverContext(identity("for-servers"), identity("b"), tickets: tickets),
            resuming: resumption, isResumed: true)
    }

    @Test("A name's own context resumes, too", arguments: ["a.example.com", "b.test"])
    func namedContexts(_ name: String) throws {
        let client = try clientContext()
        let server = try serverContext(
            identity("a"), identity("b"), protocols: [.http2, .http11], tickets: freshTickets())
        let resumption = try ticket(client, server, name: name)
        _ = try ticket(client, server, name: name, resuming: resumption, isResumed: true)
    }

    @Test("A ticket whose client certificate has expired since is not taken")
    func expiredClient() throws {
        let tickets = freshTickets()
        let settings = TLSServerContext.Settings(
            identities: [identity("a")], clientCA: authorities("client-root"),
            clientCertificates: .optional, protocols: [])
        let client = try clientContext(identity: identity("client-expired", "client"))

        // A server that took the certificate while it held: here one that takes any.
        let lenient = try CertificateContext(
            [(index: 0, LoadedIdentity(identity("a"), index: 0))], settings, tickets: tickets)
        let store = try TrustStore.parsing(authorities("client-root"))
        unsafe copenssl_ask_clients(lenient.pointer, store.pointer, store.subjects, 0)
        unsafe SSL_CTX_set_verify(lenient.pointer, SSL_VERIFY_PEER, { _, _ in 1 })
        let method = try StreamMethod()
        func connect(_ resumption: TLSResumption?) throws -> TLSResumption? {
            let sockets = SocketPair()
            let ours = try client.makeSession(
                descriptor: sockets.left, to: TLSServerName("a.example.com"), resuming: resumption)
            let stream = TLSStream(sockets.right)
            let ssl = unsafe try #require(
                unsafe copenssl_accepting(lenient.pointer, method.pointer, stream.pointer))
            let theirs = unsafe TLSSession(owning: ssl, stream, keeping: lenient)
            for _ in 0..<3 {
                _ = ours.handshake()
                _ = theirs.handshake()
            }
            #expect(theirs.peerCertificate?.thumbprint == thumbprint("client-expired"))
            #expect(!theirs.isResumed)
            _ = ours.read()
            return ours.takeResumption()
        }
        let first = try #require(try connect(nil))
        _ = try connect(first)

        let pair = try TLSPair(
            client, TLSServerContext(settings, tickets: tickets), resuming: first)
        #expect(
            pair.shakeHands().server == .failed(.certificate("certificate has expired")))
    }
}
