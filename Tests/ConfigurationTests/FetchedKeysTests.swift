import JWT
import Keys
import OpenSSL
import Testing

@testable import Configuration

@Suite struct FetchedKeysTests {
    private func issuer(_ members: String) throws -> Configuration.Issuer {
        try configuration(sections(issuers: #"{"l":{"audiences":["a"],\#(members)}}"#)).issuers[0]
    }

    @Test func whatIsNotSaidHasItsDefault() throws {
        let keys = try issuer(#""issuer":"i","keys":{"url":"https://a.example"}"#).fetchedKeys
        let url = try #require(FetchURL("https://a.example/"))
        #expect(keys.policy == KeyFetchPolicy(location: .url(url)))
        #expect(keys.policy.refresh == nil)
        #expect(!keys.allowsPlainHTTP)
        #expect(keys.files == [])
        #expect(keys.settings == .init(protocols: [.http11]))
        #expect(!keys.isPerTenant)
    }

    /// `unsafePlainHTTP` is not needed there, and is not implied: a redirect or a discovered URL
    /// may lead elsewhere.
    @Test(arguments: ["http://localhost:81/", "http://127.0.0.1/", "http://[::1]:81/"])
    func clearTextOnLoopbackAllowsNoOther(url: String) throws {
        let keys = try issuer(#""issuer":"i","keys":{"url":"\#(url)"}"#).fetchedKeys
        #expect(!keys.allowsPlainHTTP)
    }

    @Test(arguments: ["https://a.example/", "https://a.example", "http://127.0.0.1:81/realms/x"])
    func discoveryTakesTheIssuerAsItIsWritten(issuer name: String) throws {
        let keys = try issuer(#""issuer":"\#(name)","keys":{"discovery":true}"#).fetchedKeys
        #expect(keys.policy.location == .discovery(issuer: name))
        #expect(!keys.isPerTenant)
    }

    @Test(arguments: [
        (#"{"discovery":true}"#, "discovery https://a.example/t-1/v2.0", true),
        (#"{"url":"https://k.example/{tenant}/keys?v=2"}"#, "https://k.example/t-1/keys?v=2", true),
        (#"{"url":"https://k.example/keys"}"#, "https://k.example/keys", false),
    ])
    func tenantsHaveKeysOfTheirOwnWhereTheLocationNamesThem(
        keys: String, location: String, isPerTenant: Bool
    ) throws {
        let issuer = try issuer(
            #""issuer":"https://a.example/{tenant}/v2.0","tenants":{"claim":"t"},"keys":\#(keys)"#)
        let fetched = try issuer.fetchedKeys
        #expect(issuer.rules.tenants?.sharesKeys == !isPerTenant)
        #expect(fetched.isPerTenant == isPerTenant)
        #expect(fetched.policy(forTenant: "t-1")?.location.text == location)
        #expect(fetched.policy(forTenant: "t-1")?.timeout == 5_000)
    }

    @Test(arguments: ["", ".", "..", "a/b", "a%2Fb", "a b", "a?b", "a#b", "é", "{tenant}", "a~"])
    func whatIsNoTenantHasNoPolicy(name: String) throws {
        let fetched = try issuer(
            #""issuer":"https://a.example/{tenant}/","tenants":{"claim":"t"},"#
                + #""keys":{"discovery":true}"#
        ).fetchedKeys
        #expect(fetched.policy(forTenant: name) == nil)
    }

    @Test(arguments: [
        (#"{"claim":"t"}"#, 100), (#"{"allow":["a"]}"#, 100), (#"{"claim":"t","max":3}"#, 3),
    ])
    func tenantsAreBounded(tenants: String, most: Int) throws {
        let members = #""issuer":"https://a.example/{tenant}","keys":{"discovery":true}"#
        let rules = try issuer(#""tenants":\#(tenants),\#(members)"#).rules.tenants
        #expect(rules?.maxTenants == most)
    }

    @Test func everyTenantThatIsNamedHasRoom() throws {
        let names = (0..<150).map { "\"t\($0)\"" }.joined(separator: ",")
        let members = #""issuer":"https://a.example/{tenant}","keys":{"discovery":true}"#
        let rules = try issuer(#""tenants":{"allow":[\#(names)]},\#(members)"#).rules.tenants
        #expect(rules?.maxTenants == 150)
        #expect(rules?.allowed?.count == 150)
    }

    @Test func urlsAreBounded() {
        let url = "https://a.example/" + String(repeating: "a", count: FetchURL.maxBytes)
        let found = problems(
            sections(
                issuers: #"{"l":{"issuer":"i","audiences":["a"],"keys":{"url":"\#(url)"}}}"#))
        #expect(found.count == 1)
        #expect(found[0].hasPrefix("3:62: error: \"url\" is no URL to fetch from; "))
    }

    @Test func aStateDirectoryThatCannotBeUsedIsAWarningOfTheCheck() {
        let text = sections(more: #""stateDirectory":"state""#)
        let files = ["dir/k": #"{"keys":[\#(jwk)]}"#]
        let decoder = { (checks: Bool) in
            ConfigurationDecoder(
                file: "dir/proxy.json", environment: [:], checksKeyFiles: checks,
                readFile: { files[$0].map { Array($0.utf8) } },
                faultOfDirectory: { $0 == "dir/state" ? "it is read-only" : nil }
            ).decode(text.utf8Span.span)
        }
        let checked = decoder(true)
        #expect(checked.configuration?.stateDirectory == "dir/state")
        #expect(
            checked.problems.map(\.description) == [
                "dir/proxy.json:6:18: warning: the state directory \"dir/state\": it is read-only"
            ])
        #expect(decoder(false).problems == [])
    }

    @Test(arguments: [
        "https://example.eu.auth0.com/",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
        "https://token.actions.githubusercontent.com", "https://accounts.google.com",
        "https://sso.example.com/realms/main", "https://sso.example.com:8443/auth/realms/main",
        "https://kubernetes.default.svc.cluster.local", "https://dev-1.okta.com/oauth2/default",
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/",
    ])
    func issuersOfTheLargeProvidersCanBeDiscovered(issuer name: String) throws {
        let keys = try issuer(#""issuer":"\#(name)","keys":{"discovery":true}"#).fetchedKeys
        #expect(keys.policy.location == .discovery(issuer: name))
    }

    @Test func theSmallestRealConfigurationHasNoProblem() throws {
        let text = """
            {
              "listeners": [{ "address": "127.0.0.1:8080" }],
              "issuers": {
                "login": {
                  "issuer": "https://login.example.com/",
                  "audiences": ["https://api.example.com"],
                  "keys": { "url": "https://login.example.com/.well-known/jwks.json" }
                }
              },
              "upstreams": { "orders": { "endpoints": ["http://127.0.0.1:9000"] } },
              "routes": [
                { "path": "/health", "access": "public", "upstream": "orders" },
                {
                  "path": "/orders/**", "methods": ["GET"], "scopes": ["orders:read"],
                  "upstream": "orders"
                },
                {
                  "path": "/orders/**", "methods": ["POST", "DELETE"],
                  "scopes": ["orders:write"], "upstream": "orders"
                }
              ]
            }
            """
        let outcome = decode(text, checksKeyFiles: true)
        #expect(outcome.problems == [])
        #expect(outcome.configuration != nil)
    }
}

extension Configuration.Issuer {
    /// The keys of an issuer whose keys are fetched.
    var fetchedKeys: Configuration.FetchedKeys {
        get throws {
            guard case .fetched(let fetched) = keys else { throw NoFetchedKeys() }
            return fetched
        }
    }
}

private struct NoFetchedKeys: Error {}
