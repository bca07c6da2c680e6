import COpenSSL
import OpenSSL
import Testing

@Suite struct TLSIdentityTests {
    /// The order of the identities of `choice`.
    static let served = ["a", "wildcard", "b", "common-name", "top-wildcard", "common-name-beside"]

    @Test(
        "The name asked for chooses: exact, then a wildcard for one label, else the first",
        arguments: [
            ("a.example.com", "a"), ("A.EXAMPLE.com", "a"), ("a2.example.com", "a"),
            ("x.example.com", "wildcard"), ("X.Example.Com", "wildcard"), ("b.test", "b"),
            ("c.test", "b"), ("cn.example.com", "common-name"),
            ("other.test", "common-name-beside"),
            ("x.y.example.com", "a"), ("example.com", "a"), (".example.com", "a"),
            ("unknown.test", "a"), ("x.b.test", "a"), ("foo.com", "a"), ("com", "a"), ("*", "a"),
            ("xa.example.com.evil.test", "a"), (nil, "a"),
        ] as [(String?, String)])
    func choice(name: String?, chosen: String) throws {
        let context = try TLSServerContext(
            .init(identities: Self.served.map { identity($0) }), tickets: TLSTicketKeys())
        for version in [TLSVersion.tls12, .tls13] {
            let sockets = SocketPair()
            let server = try context.makeSession(descriptor: sockets.right)
            let client = RawClient(sockets.left, .init(maximum: version, serverName: name))
            #expect(client.shakeHands(with: server).server == .complete)
            #expect(client.serverThumbprint == thumbprint(chosen))
        }
    }

    @Test(
        "Certificates with different keys for a name stand beside each other",
        arguments: [
            ("a.example.com", "ECDSA+SHA256:RSA-PSS+SHA256", "a"),
            ("a.example.com", "RSA-PSS+SHA256:RSA+SHA256", "a-rsa"),
            ("a.example.com", "ed25519", "a-ed25519"),
            ("rsa.example.com", "ECDSA+SHA256:RSA-PSS+SHA256", "a-rsa"),
            ("x.example.com", "ECDSA+SHA256:RSA-PSS+SHA256", "wildcard"),
            ("x.example.com", "RSA-PSS+SHA256", "wildcard-rsa"),
            ("a2.example.com", "RSA-PSS+SHA256", nil),
            ("unknown.test", "RSA-PSS+SHA256", "a-rsa"), (nil, "RSA-PSS+SHA256", "a-rsa"),
            ("b.test", "RSA-PSS+SHA256", nil),
        ] as [(String?, String, String?)])
    func abilities(name: String?, signatures: String, chosen: String?) throws {
        let context = try serverContext(
            identity("a"), identity("a-rsa", "rsa"), identity("a-ed25519", "ed25519"),
            identity("wildcard-rsa", "rsa"), identity("wildcard"), identity("b"))
        let sockets = SocketPair()
        let server = try context.makeSession(descriptor: sockets.right)
        let client = RawClient(sockets.left, .init(signatures: signatures, serverName: name))
        #expect(client.shakeHands(with: server).isComplete == (chosen != nil))
        if let chosen { #expect(client.serverThumbprint == thumbprint(chosen)) }
    }

    @Test("TLS 1.2 suites choose the key as well")
    func abilitiesOfOldClients() throws {
        let context = try serverContext(identity("a"), identity("a-rsa", "rsa"))
        for (authentication, key) in [("ECDSA", "a"), ("RSA", "a-rsa")] {
            let suite = "ECDHE-\(authentication)-AES128-GCM-SHA256"
            let sockets = SocketPair()
            let server = try context.makeSession(descriptor: sockets.right)
            let client = RawClient(sockets.left, .init(maximum: .tls12, cipherList: suite))
            #expect(client.shakeHands(with: server).isComplete)
            #expect(client.serverThumbprint == thumbprint(key))
        }
    }

    @Test("Intermediate certificates of the file are sent")
    func chain() throws {
        let pair = try TLSPair(clientContext(), serverContext(identity("chain")))
        #expect(pair.shakeHands() == .complete)
        let bare = try TLSPair(clientContext(), serverContext(identity("below")))
        #expect(
            bare.shakeHands().client
                == .failed(.certificate("unable to get local issuer certificate")))
    }

    @Test(
        "An OCSP response goes with its own certificate, while it holds, where it is asked for",
        arguments: [
            ("a", true, "ECDSA+SHA256", "a"), ("endless", true, "ECDSA+SHA256", "endless"),
            ("a", false, "ECDSA+SHA256", nil), ("old", true, "ECDSA+SHA256", nil),
            ("a", true, "RSA-PSS+SHA256", "rsa"),
        ] as [(String, Bool, String, String?)])
    func staples(staple: String, isAsked: Bool, signatures: String, expected: String?) throws {
        let context = try serverContext(
            identity("a", staple: staple), identity("a-rsa", "rsa", staple: "rsa"),
            identity("b"))
        for (version, name) in [(TLSVersion.tls12, nil), (.tls13, "a.example.com")] {
            let sockets = SocketPair()
            let server = try context.makeSession(descriptor: sockets.right)
            let client = RawClient(
                sockets.left,
                .init(
                    maximum: version, signatures: signatures, serverName: name,
                    asksForStatus: isAsked))
            #expect(client.shakeHands(with: server).isComplete)
            #expect(client.staple == expected.map { bytes(OpenSSLTests.staples[$0] ?? "") })
        }
    }

    @Test("No other certificate is sent with it")
    func noStaple() throws {
        let context = try serverContext(identity("a", staple: "a"), identity("b"))
        let sockets = SocketPair()
        let server = try context.makeSession(descriptor: sockets.right)
        let client = RawClient(sockets.left, .init(serverName: "b.test", asksForStatus: true))
        #expect(client.shakeHands(with: server).isComplete)
        #expect(client.staple == nil)
    }

    static let broken:
        [(certificate: String, key: String, staple: String?, error: TLSMaterialError)] = [
            ("none", "ec", nil, .noCertificate(identity: 1)),
            ("key", "ec", nil, .noCertificate(identity: 1)),
            ("text", "ec", nil, .noCertificate(identity: 1)),
            ("cut", "ec", nil, .badCertificate(identity: 1)),
            ("second cut", "ec", nil, .badCertificate(identity: 1)),
            ("a", "none", nil, .noPrivateKey(identity: 1)),
            ("a", "certificate", nil, .noPrivateKey(identity: 1)),
            ("a", "cut", nil, .badPrivateKey(identity: 1)),
            ("a", "encrypted", nil, .encryptedPrivateKey(identity: 1)),
            ("a", "rsa", nil, .keyMismatch(identity: 1)),
            ("a", "client", nil, .keyMismatch(identity: 1)),
            ("weak", "weak", nil, .weakKey(identity: 1)),
            ("b", "ec", "a", .badStaple(identity: 1)),
            ("a", "ec", "failed", .badStaple(identity: 1)),
            ("a", "ec", "empty", .badStaple(identity: 1)),
        ]

    @Test("Every broken file is told apart, and which identity it is of", arguments: broken)
    func brokenMaterial(
        certificate: String, key: String, staple: String?, error: TLSMaterialError
    ) throws {
        let good = certificates["a"] ?? ""
        let pem =
            switch certificate {
            case "none": ""
            case "key": keys["ec"] ?? ""
            case "text": "no certificate at all\n"
            case "cut": String(good.dropLast(100)) + "\n-----END CERTIFICATE-----\n"
            case "second cut": good + good.replacing("MII", with: "MIX")
            default: certificates[certificate] ?? ""
            }
        let keyText =
            switch key {
            case "none": ""
            case "certificate": good
            case "cut": (keys["ec"] ?? "").replacing("MIG", with: "MIX")
            default: keys[key] ?? ""
            }
        let bad = TLSIdentity(
            certificateChain: Array(pem.utf8), privateKey: Array(keyText.utf8),
            staple: staple.map { $0 == "empty" ? [] : bytes(OpenSSLTests.staples[$0] ?? "") })
        #expect(throws: error) { try serverContext(identity("a"), bad) }
        #expect(ERR_peek_error() == 0)
        #expect(!error.description.isEmpty)
        #expect(error.identity == 1)
    }

    @Test("Authorities that cannot be read are refused, and none where they are needed")
    func brokenAuthorities() throws {
        #expect(throws: TLSMaterialError.badTrustStore) { try clientContext(trust: []) }
        #expect(throws: TLSMaterialError.badTrustStore) {
            try clientContext(trust: Array((keys["ec"] ?? "").utf8))
        }
        #expect(throws: TLSMaterialError.badTrustStore) {
            try serverContext(clients: .required, clientCA: "nothing")
        }
        #expect(throws: TLSMaterialError.noClientAuthority) {
            try TLSServerContext(
                .init(identities: [identity("a")], clientCertificates: .optional),
                tickets: TLSTicketKeys())
        }
        #expect(throws: TLSMaterialError.noIdentity) {
            try TLSServerContext(.init(identities: []), tickets: TLSTicketKeys())
        }
    }
}
