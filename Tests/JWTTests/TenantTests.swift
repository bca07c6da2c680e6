import JWT
import OpenSSL
import Testing

/// Issuers with a pattern: which tenant an `iss` names, who is let in, and whose keys count.
@Suite struct TenantTests {
    private static let pattern = "https://login.example.com/{tenant}/v2.0"

    @Test(
        "A pattern holds the placeholder exactly once",
        arguments: [
            (pattern, true), ("{tenant}", true), ("https://{tenant}.example.com/", true),
            ("https://login.example.com/", false), ("", false), ("{tenan}", false),
            ("https://x/{tenant}/{tenant}", false), ("{tenant}{tenant}", false),
            ("https://x/{Tenant}", false),
        ])
    func patterns(_ text: String, _ isPattern: Bool) {
        #expect((TenantRules(pattern: text) != nil) == isPattern)
    }

    @Test(
        "A tenant's name is 1 to 128 letters, digits, dots, underscores and hyphens",
        arguments: [
            ("a", true), ("9188040d-6c67-4c5b-b112-36a304b66dad", true), ("contoso.com", true),
            ("_", true), ("...", true), (".a", true), (String(repeating: "x", count: 128), true),
            ("", false), (".", false), ("..", false), ("a/b", false), ("a b", false),
            ("a%2fb", false), ("a~b", false), ("a\\b", false), ("a?b", false), ("a#b", false),
            ("a@b", false), ("a:b", false), ("ä", false), ("a\u{212A}", false), ("a\0", false),
            ("a\n", false), ("{tenant}", false), (String(repeating: "x", count: 129), false),
        ])
    func names(_ name: String, _ isName: Bool) throws {
        #expect(TenantRules.isName(name) == isName)
        let rules = try #require(TenantRules(pattern: Self.pattern))
        #expect(tenant(of: rules.prefix + name + rules.suffix, rules) == (isName ? name : nil))
    }

    @Test(
        "Only an iss that fits the whole pattern names a tenant",
        arguments: [
            ("https://login.example.com/a/v2.0", "a"), ("https://login.example.com/a/v2.0/", nil),
            ("https://login.example.com//v2.0", nil), ("https://login.example.com/v2.0", nil),
            ("https://login.example.com/a/b/v2.0", nil), ("http://login.example.com/a/v2.0", nil),
            ("https://login.example.com/a/v1.0", nil), ("https://LOGIN.example.com/a/v2.0", nil),
            (" https://login.example.com/a/v2.0", nil), ("https://login.example.com/a/v2.0 ", nil),
            ("https://login.example.com/", nil), ("", nil), (pattern, nil),
        ])
    func fits(_ issuer: String, _ tenant: String?) throws {
        let rules = try #require(TenantRules(pattern: Self.pattern))
        #expect(self.tenant(of: issuer, rules) == tenant)
    }

    private func tenant(of issuer: String, _ rules: TenantRules) -> String? {
        rules.tenant(of: issuer.utf8Span.span)
    }

    @Test("A prefix and a suffix that overlap in the text do not fit")
    func overlap() throws {
        let rules = try #require(TenantRules(pattern: "https://x/a{tenant}a/"))
        #expect(tenant(of: "https://x/a/", rules) == nil)
        #expect(tenant(of: "https://x/aa/", rules) == nil)
        #expect(tenant(of: "https://x/aba/", rules) == "b")
    }

    @Test("An allow-list compares whole names with case")
    func allowed() throws {
        let rules = try #require(TenantRules(pattern: "https://x/{tenant}", allowed: ["one", "2"]))
        #expect(tenant(of: "https://x/one", rules) == "one")
        #expect(tenant(of: "https://x/2", rules) == "2")
        for name in ["ONE", "on", "one2", "", "22"] {
            #expect(tenant(of: "https://x/\(name)", rules) == nil)
        }
    }

    @Test("Each tenant's tokens are checked with its own keys alone")
    func keys() throws {
        let verifier = TokenVerifier([try tenantRules()])
        let token = mintedTokens[0].token
        // The minted tokens are of "login".
        #expect(refusal(token, by: verifier) == .keysUnavailable)
        let other = KeyPlace(issuer: 0, tenant: "other")
        let own = KeyPlace(issuer: 0, tenant: "login")
        #expect(verifier.replaceKeys(of: other, with: try allKeys()))
        #expect(refusal(token, by: verifier) == .keysUnavailable)
        #expect(verifier.replaceKeys(of: own, with: try keySet(jwk("p384"))))
        #expect(refusal(token, by: verifier) == .unknownKey)
        #expect(verifier.replaceKeys(of: own, with: try allKeys()))
        #expect(refusal(token, by: verifier) == nil)
        let found = try verified(token, by: verifier)
        #expect(found.place == own && found.issuerIndex == 0)
        // A place without tenant holds nothing for them.
        #expect(verifier.replaceKeys(of: own, with: nil))
        verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        #expect(refusal(token, by: verifier) == .keysUnavailable)
        #expect(!verifier.hasKeys(of: own) && verifier.hasKeys(of: other))
    }

    @Test("Tenants that share their issuer's keys need no set of their own")
    func sharedKeys() throws {
        let verifier = TokenVerifier([try tenantRules { $0.tenants?.sharesKeys = true }])
        #expect(refusal(mintedTokens[0].token, by: verifier) == .keysUnavailable)
        verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        let found = try verified(mintedTokens[0].token, by: verifier)
        #expect(found.place == KeyPlace(issuer: 0))
    }

    @Test("Keys for a tenant of an issuer without tenants are not taken")
    func noTenants() throws {
        let verifier = TokenVerifier([rules()])
        let place = KeyPlace(issuer: 0, tenant: "login")
        #expect(!verifier.replaceKeys(of: place, with: try allKeys()))
        #expect(!verifier.hasKeys(of: place))
        #expect(refusal(mintedTokens[0].token, by: verifier) == .keysUnavailable)
        #expect(!verifier.replaceKeys(of: KeyPlace(issuer: 1), with: try allKeys()))
    }

    @Test("The tenants' keys that take a withdrawn one's place do not trust its tokens")
    func reusedPlace() throws {
        let verifier = TokenVerifier([try tenantRules()])
        let own = KeyPlace(issuer: 0, tenant: "login")
        verifier.replaceKeys(of: own, with: try allKeys())
        let token = try verified(mintedTokens[0].token, by: verifier)
        #expect(verifier.stillTrusts(token, now: mintedAt))
        verifier.replaceKeys(of: own, with: nil)
        #expect(!verifier.stillTrusts(token, now: mintedAt))
        verifier.replaceKeys(of: KeyPlace(issuer: 0, tenant: "next"), with: try allKeys())
        #expect(!verifier.stillTrusts(token, now: mintedAt))
        verifier.replaceKeys(of: own, with: try allKeys())
        #expect(verifier.stillTrusts(token, now: mintedAt))
        verifier.replaceKeys(of: own, with: try keySet(jwk("p256")))
        #expect(!verifier.stillTrusts(token, now: mintedAt))
    }

    @Test(
        "An exact issuer wins over a pattern, and is not replaced by it where a route excludes it")
    func exactFirst() throws {
        let verifier = TokenVerifier([try tenantRules(), rules()])
        verifier.replaceKeys(of: KeyPlace(issuer: 0, tenant: "login"), with: try allKeys())
        let token = mintedTokens[0].token
        #expect(refusal(token, by: verifier) == .keysUnavailable)
        #expect(refusal(token, by: verifier, admitting: .only([0])) == .unknownIssuer)
        verifier.replaceKeys(of: KeyPlace(issuer: 1), with: try allKeys())
        #expect(try verified(token, by: verifier).issuerIndex == 1)
        #expect(refusal(token, by: verifier, admitting: .only([0])) == .unknownIssuer)
    }

    @Test("Of two patterns the first that lists the tenant decides")
    func twoPatterns() throws {
        let first = try tenantRules { $0.tenants?.allowed = ["other"] }
        let verifier = TokenVerifier([first, try tenantRules()])
        verifier.replaceKeys(of: KeyPlace(issuer: 1, tenant: "login"), with: try allKeys())
        #expect(try verified(mintedTokens[0].token, by: verifier).issuerIndex == 1)
        #expect(
            refusal(mintedTokens[0].token, by: verifier, admitting: .only([0])) == .unknownIssuer)
    }

    @Test(
        "The claim rule asks for a string equal to the tenant",
        arguments: [
            (#""login""#, nil), (#""Login""#, .unknownIssuer), (#""other""#, .unknownIssuer),
            (#""""#, .unknownIssuer), ("null", .unknownIssuer), ("1", .unknownIssuer),
            (#"["login"]"#, .unknownIssuer), (#"{"login":true}"#, .unknownIssuer),
            (nil, .unknownIssuer),
        ] as [(String?, TokenError?)])
    func claimRule(_ value: String?, _ expected: TokenError?) throws {
        let issuer = try tenantRules {
            $0.secret = decoded(sharedSecret)
            $0.tenants?.claim = ClaimName("tid")
        }
        let verifier = TokenVerifier([issuer])
        // The claim is looked at before anybody asks for keys.
        let token = mint(claims([("tid", value)]))
        #expect(refusal(token, by: verifier) == (expected ?? .keysUnavailable))
    }

    /// The minted tokens' issuer as the tenant "login" of a pattern.
    private func tenantRules(
        _ change: (inout IssuerRules) -> Void = { _ in }
    ) throws -> IssuerRules {
        let pattern = "https://{tenant}.example.com/"
        return rules {
            $0.issuer = pattern
            $0.tenants = TenantRules(pattern: pattern)
            change(&$0)
        }
    }
}
