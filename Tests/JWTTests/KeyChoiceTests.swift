import JWT
import OpenSSL
import Testing

/// Which key a token is checked with: issuer, `kid`, family, and what the JWK says of itself.
@Suite struct KeyChoiceTests {
    @Test(
        "A token by another implementation verifies under its key, for every algorithm",
        arguments: mintedTokens)
    func minted(_ name: String, _ token: String, _ key: String) throws {
        let isSecret = key == "secret"
        let issuer = isSecret ? secretRules() : rules()
        let keys = isSecret ? nil : try allKeys()
        #expect(refusal(token, under: issuer, with: keys) == nil)
        // Its payload under the same signature is worth nothing once a character differs.
        var segments = token.split(separator: ".").map(String.init)
        segments[1] = encoded(Array(claims([("sub", "\"mallory\"")]).utf8))
        #expect(
            refusal(segments.joined(separator: "."), under: issuer, with: keys) == .badSignature)
    }

    @Test("Without that key, and without any, the token is refused", arguments: mintedTokens)
    func withoutKey(_ name: String, _ token: String, _ key: String) throws {
        guard key != "secret" else { return }
        let others = publicJWKs.keys.filter { $0 != key }.map {
            jwk($0, adding: ",\"kid\":\"\($0)\"")
        }
        #expect(refusal(token, under: rules(), with: try keySet(of: others)) == .unknownKey)
        #expect(refusal(token, under: rules(), with: try keySet()) == .unknownKey)
        #expect(refusal(token, under: rules(), with: nil) == .keysUnavailable)
    }

    @Test(
        "A token is refused under every algorithm but those that its issuer admits",
        arguments: mintedTokens)
    func algorithmPolicy(_ name: String, _ token: String, _ key: String) throws {
        let header = String(
            decoding: decoded(token.split(separator: ".").map(String.init)[0]), as: UTF8.self)
        for algorithm in SignatureAlgorithm.allCases {
            let issuer = (key == "secret" ? secretRules() : rules()).with(algorithm)
            let expected: TokenError? =
                header.contains("\"\(algorithm.name)\"") ? nil : .badAlgorithm
            #expect(
                refusal(token, under: issuer, with: key == "secret" ? nil : try allKeys())
                    == expected)
        }
    }

    @Test("HMAC keyed with a public key in any encoding is refused without a key being tried")
    func publicKeyAsSecret() throws {
        let member = try #require(publicJWKs["rsa"])
        let numbers = try #require(
            member.split(separator: "\"").map(String.init).last { $0.count > 300 })
        let der = try #require(try keySet(jwk("rsa")).keys.first).publicKey.subjectPublicKeyInfo
        let base64 = encoded(der).replacing("-", with: "+").replacing("_", with: "/")
        let pem = "-----BEGIN PUBLIC KEY-----\n\(base64)\n-----END PUBLIC KEY-----\n"
        let secrets: [[UInt8]] = [
            der, Array(pem.utf8), Array(pem.dropLast().utf8), Array(member.utf8), decoded(numbers),
            Array(numbers.utf8), [], [0],
        ]
        for secret in secrets {
            for header in [#"{"alg":"HS256","kid":"rsa"}"#, #"{"alg":"HS256"}"#] {
                let token = mint(Array(claims().utf8), header: Array(header.utf8), key: secret)
                #expect(refusal(token, under: rules(), with: try allKeys()) == .badAlgorithm)
                let all = rules { $0.algorithms = SignatureAlgorithm.allCases }
                #expect(refusal(token, under: all, with: try allKeys()) == .badAlgorithm)
            }
        }
    }

    @Test("An issuer with a secret takes nothing else, whatever set it is given")
    func secretAlone() throws {
        let verifier = TokenVerifier([secretRules()])
        verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        #expect(refusal(mint(claims()), by: verifier) == nil)
        #expect(
            refusal(mint(claims(), header: #"{"alg":"HS256","kid":"any"}"#), by: verifier) == nil)
        for row in mintedTokens where row.key != "secret" {
            #expect(refusal(row.token, by: verifier) == .badAlgorithm)
        }
        let other = mint(
            Array(claims().utf8), header: Array(#"{"alg":"HS256"}"#.utf8), key: [1, 2, 3])
        #expect(refusal(other, by: verifier) == .badSignature)
    }

    @Test("A secret shorter than a hash does not serve it")
    func shortSecret() throws {
        let short = secretRules { $0.secret = $0.secret.map { Array($0.prefix(47)) } }
        let token = mint(
            Array(claims().utf8), header: Array(#"{"alg":"HS256"}"#.utf8), key: short.secret ?? [])
        #expect(refusal(token, under: short) == nil)
        for row in mintedTokens where row.name == "HS384" || row.name == "HS512" {
            #expect(refusal(row.token, under: short) == .badAlgorithm)
        }
        let tiny = secretRules { $0.secret = [1] }
        #expect(refusal(token, under: tiny) == .badAlgorithm)
    }

    @Test(
        "An unknown kid is refused, however it looks",
        arguments: [
            "", "other", "RSA", "rsa ", " rsa", "rsa\\u0000", "../../rsa", "rsa' OR '1'='1",
            "rsa\\r\\nX: y", "*", "%72sa", "r\\u0073\\u0061x", String(repeating: "k", count: 8_192),
        ])
    func unknownKeyIDs(_ keyID: String) throws {
        let segments = Minted.noKeyID.split(separator: ".").map(String.init)
        let header = encoded(Array(#"{"alg":"RS256","kid":"\#(keyID)"}"#.utf8))
        #expect(
            refusal("\(header).\(segments[1]).\(segments[2])", under: rules(), with: try allKeys())
                == .unknownKey)
    }

    @Test("A key is chosen by kid and family together")
    func family() throws {
        #expect(
            refusal(Minted.keyIDOfAnotherFamily, under: rules(), with: try allKeys()) == .unknownKey
        )
        // One kid for an RSA and an EC key: each family finds its own.
        let shared = try keySet(
            jwk("rsa", adding: ",\"kid\":\"p256\""), jwk("p256", adding: ",\"kid\":\"p256\""))
        #expect(shared.keys.count == 2)
        #expect(refusal(Minted.keyIDOfAnotherFamily, under: rules(), with: shared) == nil)
    }

    @Test("A JWK without kid serves only tokens without one, and those try every fitting key")
    func noKeyID() throws {
        let bare = try keySet(jwk("rsa"))
        #expect(refusal(Minted.noKeyID, under: rules(), with: bare) == nil)
        #expect(refusal(Minted.foreignKeyID, under: rules(), with: bare) == .unknownKey)
        #expect(refusal(Minted.noKeyID, under: rules(), with: try allKeys()) == nil)
        #expect(refusal(Minted.noKeyIDP256, under: rules(), with: try allKeys()) == nil)
        #expect(
            refusal(Minted.noKeyIDP256, under: rules(), with: try keySet(jwk("p384")))
                == .unknownKey)
    }

    @Test("At most four keys are tried for a token without kid")
    func attempts() throws {
        let foreign = (0..<8).map { foreignRSA($0) }
        let own = jwk("rsa", adding: ",\"kid\":\"own\"")
        #expect(
            refusal(Minted.noKeyID, under: rules(), with: try keySet(of: foreign.prefix(3) + [own]))
                == nil)
        #expect(
            refusal(Minted.noKeyID, under: rules(), with: try keySet(of: foreign.prefix(4) + [own]))
                == .unknownKey)
        #expect(
            refusal(Minted.noKeyID, under: rules(), with: try keySet(of: Array(foreign.prefix(4))))
                == .badSignature)
        // Keys for other algorithms are not tried and do not count.
        let others = (0..<8).map { foreignRSA($0, adding: ",\"alg\":\"PS256\"") }
        #expect(
            refusal(Minted.noKeyID, under: rules(), with: try keySet(of: others + [own])) == nil)
        let named = foreign + [jwk("rsa", adding: ",\"kid\":\"other\"")]
        #expect(refusal(Minted.foreignKeyID, under: rules(), with: try keySet(of: named)) == nil)
    }

    @Test(
        "A JWK's alg, use and key_ops must admit the token's algorithm",
        arguments: [
            (#","alg":"RS256""#, nil), (#","use":"sig""#, nil), (#","key_ops":["verify"]"#, nil),
            (#","key_ops":["sign","verify"],"use":"sig","alg":"RS256""#, nil),
            (#","alg":"RS512""#, .badAlgorithm), (#","alg":"PS256""#, .badAlgorithm),
            (#","alg":"RSA-OAEP""#, .unknownKey), (#","alg":"ES256""#, .unknownKey),
            (#","alg":"HS256""#, .unknownKey), (#","alg":"none""#, .unknownKey),
            (#","use":"enc""#, .unknownKey), (#","key_ops":["encrypt"]"#, .unknownKey),
            (#","key_ops":[]"#, .unknownKey),
        ] as [(String, TokenError?)])
    func constraints(_ members: String, _ expected: TokenError?) throws {
        let set = try keySet(jwk("rsa", adding: ",\"kid\":\"other\"\(members)"))
        #expect(refusal(Minted.foreignKeyID, under: rules(), with: set) == expected)
    }

    @Test("A kid with characters of base64 is a text like any other")
    func oddKeyID() throws {
        let set = try keySet(jwk("rsa", adding: #","kid":"a+b/c==""#))
        #expect(refusal(Minted.oddKeyID, under: rules(), with: set) == nil)
        let near = try keySet(jwk("rsa", adding: #","kid":"a-b_c""#))
        #expect(refusal(Minted.oddKeyID, under: rules(), with: near) == .unknownKey)
    }

    @Test("Keys that a token brings along are not looked at")
    func embeddedKeys() throws {
        let keys = try allKeys()
        #expect(refusal(Minted.embeddedKeys, under: rules(), with: keys) == nil)
        #expect(refusal(Minted.forgedWithEmbeddedKey, under: rules(), with: keys) == .badSignature)
        #expect(refusal(Minted.forgedWithoutKeyID, under: rules(), with: keys) == .badSignature)
        #expect(
            refusal(Minted.forgedWithEmbeddedKey, under: rules(), with: try keySet()) == .unknownKey
        )
    }

    @Test("One issuer's key never checks another issuer's token, and routes choose issuers")
    func issuers() throws {
        var other = rules()
        (other.name, other.issuer) = ("other", "https://other.example/")
        let verifier = TokenVerifier([other, rules()])
        verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        let token = mintedTokens[0].token
        #expect(refusal(token, by: verifier) == .keysUnavailable)
        verifier.replaceKeys(
            of: KeyPlace(issuer: 1), with: try keySet(jwk("p256", adding: ",\"kid\":\"p256\"")))
        #expect(refusal(token, by: verifier) == .unknownKey)
        verifier.replaceKeys(of: KeyPlace(issuer: 1), with: try allKeys())
        #expect(refusal(token, by: verifier) == nil)
        #expect(refusal(token, by: verifier, admitting: .only([1])) == nil)
        #expect(refusal(token, by: verifier, admitting: .only([0])) == .unknownIssuer)
        #expect(refusal(token, by: verifier, admitting: .only([])) == .unknownIssuer)
    }

    @Test("What is cheap to find wrong is found before keys are asked for")
    func order() {
        let token = mintedTokens[0].token
        #expect(refusal(token, under: rules(), with: nil, now: 1_800_000_000) == .expired)
        #expect(refusal(token, under: rules { $0.audiences = ["x"] }, with: nil) == .wrongAudience)
    }

    @Test("A verified token says whose it is and how long")
    func contents() throws {
        let verifier = TokenVerifier([rules()])
        verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        let token = try verified(mintedTokens[0].token, by: verifier)
        #expect(token.issuerIndex == 0)
        #expect(token.subject == "alice" && token.tokenID == "t-1")
        let audience = "https://api.example.com"
        for name in [audience, audience + "/", String(audience.dropLast()), "", "alice"] {
            let isNamed = token.hasAudience(name.utf8Span.span)
            #expect(isNamed == (name == audience))
        }
        #expect(
            token.lifetime
                == TokenLifetime(begins: 1_700_000_000, expires: 1_700_003_600, leeway: 60))
        #expect(token.key?.keyID == "rsa")
    }

    /// A well-formed RSA key that nobody holds the other half of.
    private func foreignRSA(_ number: Int, adding members: String = "") -> String {
        let modulus = [UInt8](repeating: 0xc5, count: 255) + [UInt8(number * 2 + 1)]
        return #"{"kty":"RSA","e":"AQAB","n":"\#(encoded(modulus))"\#(members)}"#
    }
}

extension IssuerRules {
    fileprivate func with(_ algorithm: SignatureAlgorithm) -> IssuerRules {
        var copy = self
        copy.algorithms = [algorithm]
        return copy
    }
}

/// Headers are remembered by their text: what one token said must never hold for another.
@Suite struct RecentHeaderTests {
    private let texts = (0..<9).map { #"{"alg":"HS256","kid":"\#($0)"}"# }

    @Test("A header that was seen, seen long ago or never gives its own token")
    func eachItsOwn() throws {
        let verifier = TokenVerifier([secretRules()])
        for round in 0..<3 {
            for (place, header) in texts.enumerated() where round < 2 || place % 2 == 0 {
                let token = mint(claims([("jti", "\"\(place)\"")]), header: header)
                let verified = try verifier.verify(Array(token.utf8).span, now: mintedAt)
                #expect(verified.tokenID == String(place))
            }
        }
    }

    @Test("A refused header is refused again, also after a good one that differs by a byte")
    func refusedAgain() throws {
        let verifier = TokenVerifier([secretRules()])
        let good = mint(claims())
        let bad = mint(claims(), header: #"{"alg":"HS257"}"#)
        let critical = mint(claims(), header: #"{"alg":"HS256","crit":["x"]}"#)
        for _ in 0..<3 {
            #expect(throws: Never.self) {
                try verifier.verify(Array(good.utf8).span, now: mintedAt)
            }
            #expect(throws: TokenError.badAlgorithm) {
                try verifier.verify(Array(bad.utf8).span, now: mintedAt)
            }
            #expect(throws: TokenError.badToken) {
                try verifier.verify(Array(critical.utf8).span, now: mintedAt)
            }
        }
    }
}
