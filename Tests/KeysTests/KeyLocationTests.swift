import Keys
import Testing

@Suite struct KeyLocationTests {
    @Test(
        "A pattern holds one tenant, where no name of one leads to another domain",
        arguments: [
            "https://login.example.com/{tenant}/keys", "https://h/keys?t={tenant}",
            "https://{tenant}.example.com/keys", "https://{tenant}.example.com:8443/keys",
            "https://h/a-{tenant}-b", "http://127.0.0.1:9/{tenant}",
        ])
    func patterns(text: String) throws {
        let location = try #require(KeyLocation(url: text))
        #expect(location == .tenantURL(pattern: text))
        let tenant = try #require(location.forTenant("contoso"))
        #expect(tenant.text.contains("contoso"))
        #expect(!tenant.text.contains("{"))
        #expect(location.text == text)
    }

    @Test(
        "Other patterns are none",
        arguments: [
            "", "{tenant}", "https://{tenant}/keys", "https://{tenant}", "https://a{tenant}.b/",
            "https://h.{tenant}/", "https://{tenant}x.example.com/", "https://{tenant}:443/k",
            "https://{tenant}./k", "https://h:{tenant}/", "https://h/{tenant}/{tenant}",
            "{tenant}://h/", "https://h/{Tenant}", "https://h/{name}", "https://h/{tenant",
            "ftp://h/{tenant}", "https://u@h/{tenant}", "https://h/{tenant}#x",
            "https://h/{tenant} ",
        ])
    func badPatterns(text: String) {
        #expect(KeyLocation(url: text) == nil)
    }

    @Test(
        "Discovery begins from issuers that could have a document, whoever the tenant is",
        arguments: [
            ("https://h", true), ("https://h/", true), ("https://h/a/{tenant}/v2.0", true),
            ("https://{tenant}.okta.example/", true), ("http://127.0.0.1:4000", true),
            ("https://{tenant}/", false), ("https://{tenant}", false), ("h", false), ("", false),
            ("https://h/?a", false), ("https://h/#a", false), ("urn:issuer", false),
            ("https://a.{tenant}/", false), ("https://h/?{tenant}", false),
        ])
    func discovery(issuer: String, isPossible: Bool) {
        #expect((KeyLocation(discoveryOf: issuer) != nil) == isPossible)
    }

    @Test("A tenant's name fills the pattern; a URL and a fixed issuer are the same for all")
    func tenants() throws {
        let url = try #require(KeyLocation(url: "https://h/keys"))
        #expect(url.forTenant("t") == url)
        #expect(!url.isPerTenant)
        #expect(KeyLocation(url: "https://h/{tenant}")?.isPerTenant == true)
        #expect(KeyLocation(discoveryOf: "https://h/{tenant}")?.isPerTenant == true)
        #expect(KeyLocation(discoveryOf: "https://h/")?.isPerTenant == false)
        let issuer = KeyLocation.discovery(issuer: "https://h/{tenant}/v2.0")
        #expect(issuer.forTenant("t-1") == .discovery(issuer: "https://h/t-1/v2.0"))
        #expect(
            KeyLocation.discovery(issuer: "https://h").forTenant("t")?.text == "discovery https://h"
        )
        let pattern = try #require(KeyLocation(url: "https://h/{tenant}"))
        #expect(pattern.forTenant("a b") == nil)
        #expect(pattern.forTenant("a#b") == nil)
        #expect(pattern.forTenant("a.b")?.text == "https://h/a.b")
        let policy = KeyFetchPolicy(location: pattern)
        #expect(policy.forTenant("x")?.location.text == "https://h/x")
        #expect(policy.forTenant("\n") == nil)
    }

    @Test(
        "Clear text to another machine is found out before anything is fetched",
        arguments: [
            (KeyLocation(url: "http://h/k"), true), (KeyLocation(url: "https://h/k"), false),
            (KeyLocation(url: "http://127.0.0.1/k"), false),
            (KeyLocation(url: "http://h/{tenant}"), true),
            (KeyLocation(url: "http://localhost/{tenant}"), false),
            (.discovery(issuer: "http://h"), true), (.discovery(issuer: "https://h"), false),
            (.discovery(issuer: "http://[::1]:80/x"), false), (.discovery(issuer: "h"), false),
            (.discovery(issuer: "http://h/{tenant}/v2"), true),
        ])
    func plainHTTP(location: KeyLocation?, needsIt: Bool) throws {
        let location = try #require(location)
        #expect(location.needsPlainHTTP == needsIt)
    }
}
