import Keys
import Testing

@Suite struct DiscoveryTests {
    private static func fault(
        _ text: String, issuer: String = "https://login.example.com/"
    ) -> KeyFault? {
        do throws(KeyFault) {
            _ = try DiscoveryDocument(parsing: Array(text.utf8).span, expecting: issuer)
            return nil
        } catch {
            return error
        }
    }

    /// The shapes of real documents, with what else stands in them.
    @Test(
        "The documents of the large providers name their keys",
        arguments: [
            // Entra: many members, nulls among them, arrays, a URL of another path.
            (
                "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
                #"""
                {"token_endpoint":"https://login.microsoftonline.com/x/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported":["client_secret_post","private_key_jwt"],
                "jwks_uri":"https://login.microsoftonline.com/9188040d/discovery/v2.0/keys",
                "issuer":"https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
                "request_uri_parameter_supported":false,"tenant_region_scope":null,
                "kerberos_endpoint":"https://login.microsoftonline.com/9188040d/kerberos"}
                """#, "https://login.microsoftonline.com/9188040d/discovery/v2.0/keys"
            ),
            // Google: keys on another host.
            (
                "https://accounts.google.com",
                #"""
                {
                 "issuer": "https://accounts.google.com",
                 "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
                 "response_types_supported": ["code", "none"]
                }
                """#, "https://www.googleapis.com/oauth2/v3/certs"
            ),
            // Auth0: an issuer with a final slash, escaped slashes.
            (
                "https://tenant.eu.auth0.com/",
                #"{"issuer":"https:\/\/tenant.eu.auth0.com\/","jwks_uri":"https:\/\/tenant.eu.auth0.com\/.well-known\/jwks.json"}"#,
                "https://tenant.eu.auth0.com/.well-known/jwks.json"
            ),
            // Okta: a query in the URL.
            (
                "https://dev-1.okta.com",
                #"{"issuer":"https://dev-1.okta.com","jwks_uri":"https://dev-1.okta.com/oauth2/v1/keys?client_id=a%20b"}"#,
                "https://dev-1.okta.com/oauth2/v1/keys?client_id=a%20b"
            ),
            // Keycloak in development: clear text, a port, upper case in the path.
            (
                "http://localhost:8080/realms/Demo",
                #"{"issuer":"http://localhost:8080/realms/Demo","mtls_endpoint_aliases":{"token_endpoint":"x"},"jwks_uri":"http://localhost:8080/realms/Demo/protocol/openid-connect/certs"}"#,
                "http://localhost:8080/realms/Demo/protocol/openid-connect/certs"
            ),
            // Cognito: an underscore in the path.
            (
                "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC",
                #"{"issuer":"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC","jwks_uri":"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC/.well-known/jwks.json"}"#,
                "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC/.well-known/jwks.json"
            ),
            // Kubernetes: keys at an address of the API server.
            (
                "https://kubernetes.default.svc.cluster.local",
                #"{"issuer":"https://kubernetes.default.svc.cluster.local","jwks_uri":"https://10.0.0.1:6443/openid/v1/jwks","subject_types_supported":["public"]}"#,
                "https://10.0.0.1:6443/openid/v1/jwks"
            ),
            // GitHub Actions: a host of its own below the issuer.
            (
                "https://token.actions.githubusercontent.com",
                #"{"issuer":"https://token.actions.githubusercontent.com","jwks_uri":"https://token.actions.githubusercontent.com/.well-known/jwks","scopes_supported":["openid"]}"#,
                "https://token.actions.githubusercontent.com/.well-known/jwks"
            ),
        ])
    func documents(issuer: String, text: String, keys: String) throws {
        let document = try DiscoveryDocument(parsing: Array(text.utf8).span, expecting: issuer)
        #expect(document.keysURL.text == keys)
    }

    @Test(
        "Any other document is refused with its reason",
        arguments: [
            ("", .notJSON), ("<html></html>", .notJSON), ("\u{feff}{}", .notJSON),
            ("{", .notJSON), ("{} x", .notJSON), (#"{"issuer":"a","issuer":"a"}"#, .notJSON),
            ("null", .notADiscoveryDocument), ("[]", .notADiscoveryDocument),
            ("{}", .notADiscoveryDocument), (#"{"issuer":null}"#, .notADiscoveryDocument),
            (#"{"issuer":1}"#, .notADiscoveryDocument), (#"{"keys":[]}"#, .notADiscoveryDocument),
            (#"{"issuer":["https://login.example.com/"]}"#, .notADiscoveryDocument),
            (#"{"issuer":"https://login.example.com"}"#, .issuerMismatch),
            (#"{"issuer":"https://login.example.com//"}"#, .issuerMismatch),
            (#"{"issuer":"https://LOGIN.example.com/"}"#, .issuerMismatch),
            (#"{"issuer":"https://login.example.com:443/"}"#, .issuerMismatch),
            (#"{"issuer":"http://login.example.com/"}"#, .issuerMismatch),
            (#"{"issuer":"https://login.example.com/ "}"#, .issuerMismatch),
            (#"{"issuer":"https://evil.example/"}"#, .issuerMismatch),
            (#"{"issuer":""}"#, .issuerMismatch),
            (#"{"issuer":"https://login.example.com/"}"#, .noKeysURL),
            (about(#"null"#), .noKeysURL), (about(#"1"#), .noKeysURL), (about(#""""#), .noKeysURL),
            (about(#"["https://a/"]"#), .noKeysURL), (about(#""/keys""#), .noKeysURL),
            (about(#""//a/keys""#), .noKeysURL), (about(#""file:///etc/passwd""#), .noKeysURL),
            (about(#""https://u:p@a/""#), .noKeysURL), (about(#""https://a/#x""#), .noKeysURL),
            (about(#""https://a/\r\nX: y""#), .noKeysURL), (about(#""ftp://a/""#), .noKeysURL),
            (about(#""http://login.example.com/keys""#), .plainHTTP),
            (about(#""http://127.0.0.1/keys""#), .plainHTTP),
            (about(#""http://169.254.169.254/latest/meta-data""#), .plainHTTP),
        ] as [(String, KeyFault)])
    func refused(text: String, fault: KeyFault) {
        #expect(Self.fault(text) == fault)
    }

    @Test("A document that is too large or too deep is refused")
    func bounds() {
        #expect(Self.fault(String(repeating: "[", count: 20_000)) == .notJSON)
        #expect(Self.fault(String(repeating: " ", count: (512 << 10) + 1)) == .tooLarge)
    }

    private static func about(_ url: String) -> String {
        #"{"issuer":"https://login.example.com/","jwks_uri":\#(url)}"#
    }

    @Test("An issuer of clear text may name keys in clear text")
    func plainIssuer() {
        let text = #"{"issuer":"http://127.0.0.1:1/","jwks_uri":"http://127.0.0.1:1/keys"}"#
        #expect(Self.fault(text, issuer: "http://127.0.0.1:1/") == nil)
    }

    @Test(
        "Documents are looked for where both standards put them, each place once",
        arguments: [
            (
                "https://h",
                [
                    "https://h/.well-known/openid-configuration",
                    "https://h/.well-known/oauth-authorization-server",
                ]
            ),
            (
                "https://h/",
                [
                    "https://h/.well-known/openid-configuration",
                    "https://h/.well-known/oauth-authorization-server",
                ]
            ),
            (
                "https://H:444/realms/a/",
                [
                    "https://h:444/realms/a/.well-known/openid-configuration",
                    "https://h:444/.well-known/oauth-authorization-server/realms/a",
                    "https://h:444/.well-known/openid-configuration/realms/a",
                ]
            ),
            ("https://h/a?b", []), ("https://h?b", []), ("https://h/#b", []), ("h", []), ("", []),
            ("urn:example:issuer", []), ("https://h/{tenant}", []),
        ] as [(String, [String])])
    func candidates(issuer: String, expected: [String]) {
        #expect(DiscoveryDocument.candidates(ofIssuer: issuer).map(\.text) == expected)
    }

    @Test("Only a definite answer leads from one place to the next")
    func definite() {
        let definite: [KeyFault] = [
            .status(404), .status(400), .status(401), .status(410), .notJSON,
            .notADiscoveryDocument,
        ]
        let others: [KeyFault] = [
            .status(500), .status(503), .status(429), .status(408), .status(304), .status(204),
            .timeout, .unresolved, .unreachable, .tls("expired"), .tooLarge, .encoded, .cutShort,
            .malformed, .redirectElsewhere, .tooManyRedirects, .issuerMismatch, .noKeysURL,
            .plainHTTP,
        ]
        #expect(definite.filter { !$0.meansNoDocument } == [])
        #expect(others.filter { $0.meansNoDocument } == [])
    }
}
