import Authorization
import Bytes
import HTTP
import JSON
import JWT
import Keys
import OpenSSL
import Testing

@testable import Configuration

let jwk =
    #"{"kid":"k","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#

/// Every key of this version.
private let everything = #"""
    {
      "$schema": "./proxy.schema.json",
      "realm": "orders api",
      "identityHeaders": ["X-Who", "X-Id-*"],
      "listeners": [
        {
          "address": "[::1]:8080", "protocols": ["http/1.1"],
          "trustedProxies": ["10.0.0.0/8", "unix"]
        },
        {
          "address": "unix:run/b.sock",
          "tls": {
            "certificates": [
              {
                "certificate": "tls/api.pem", "privateKey": "tls/api.key", "ocsp": "tls/api.ocsp"
              },
              { "certificate": "tls/rsa.pem", "privateKey": "tls/rsa.key" }
            ],
            "clientCA": "tls/ca.pem", "clientCertificate": "optional",
            "clientCertificateHeaders": { "subject": "X-Subject", "thumbprint": "X-Thumbprint" },
            "minimumVersion": "1.3"
          }
        }
      ],
      "issuers": {
        "file": {
          "issuer": "https://a/", "audiences": ["x", "y"], "algorithms": ["RS256", "EdDSA"],
          "leeway": "5s", "maxLifetime": "1h", "types": [null, "at+jwt"],
          "requiredClaims": ["sub", "/a/b"], "scopeClaims": ["/realm_access/roles"],
          "unsafeNoExpiry": true, "keys": { "file": "keys/a.json" }
        },
        "inline": {
          "issuer": "https://b/", "unsafeNoAudience": true, "keys": { "jwks": { "keys": [JWK] } }
        },
        "secret": {
          "issuer": "https://c/", "audiences": ["x"], "algorithms": ["HS256"],
          "keys": { "secretFile": "/secret" }
        },
        "fetched": {
          "issuer": "https://d/", "audiences": ["x"],
          "keys": {
            "url": "https://d/jwks?v=2", "refresh": "1m", "timeout": "2s", "maxStale": "2h",
            "unknownKeyCooldown": "5s", "ca": "tls/ca.pem", "unsafePlainHTTP": true
          }
        },
        "tenants": {
          "issuer": "https://e/{tenant}/v2.0", "audiences": ["x"],
          "tenants": { "allow": ["t1", "t2"], "claim": "/tid", "max": 5 },
          "keys": { "discovery": true }
        }
      },
      "upstreams": {
        "orders": {
          "endpoints": ["http://127.0.0.1:9000", "http://orders", "http://[::1]:81", "unix:o.sock"],
          "balance": "least-connections",
          "timeouts": { "connect": "1s", "response": "2s", "idle": "3s", "stream": "4m" },
          "maxConnections": 7, "retries": 2, "resolveInterval": "1m"
        },
        "plain": { "endpoints": ["http://h"] },
        "safe": {
          "endpoints": ["https://s", "https://[::1]:80", "h2c://c", "h2c://c:443", "http://p"],
          "tls": {
            "ca": "tls/ca.pem", "certificate": "tls/client.pem", "privateKey": "tls/client.key",
            "serverName": "s.example", "unsafeNoVerification": true
          }
        }
      },
      "routes": [
        {
          "name": "list", "path": "/v1/orders/{id}/**", "host": "*.Example.com",
          "methods": ["GET", "POST"],
          "access": "optional", "mode": "audit", "issuers": ["secret", "file"], "audiences": ["z"],
          "scopes": { "all": ["a", "b"], "any": ["c"] },
          "claims": {
            "tenant": 7, "/a/b": { "equals": [1] }, "c": { "in": ["x", 1] },
            "d": { "contains": "e" }, "f": { "present": false }
          },
          "upstream": "orders", "rewrite": { "stripPrefix": "/v1", "addPrefix": "/api" },
          "upstreamHost": "orders.internal:81", "forwardToken": true,
          "claimHeaders": { "Remote-User": "sub", "X-Tenant": "/tenant/id" },
          "requestHeaders": { "set": { "X-Plan": "gold" }, "remove": ["Cookie"] },
          "responseHeaders": { "set": { "Server": "us" }, "remove": ["X-Powered-By"] },
          "timeouts": { "connect": "10ms", "response": "5s", "stream": "1h" },
          "maxBody": "1MiB", "unsafePaths": ["parameters", "encoded-slash", "empty-segments"]
        },
        { "path": "/health", "access": "public", "upstream": "plain" },
        { "path": "/x", "scopes": ["s"], "upstream": "plain", "upstreamHost": "endpoint" }
      ],
      "limits": {
        "requestHead": "32KiB", "requestFields": 50, "token": "8KiB", "connections": 1000,
        "concurrentStreams": 20
      },
      "timeouts": { "head": "1s", "idle": "2s", "body": "3s", "drain": "0s" },
      "tokenCache": { "entries": 5, "size": "1KiB", "maxAge": "250ms" },
      "workers": 3,
      "log": { "level": "debug", "access": "log/access.log" },
      "admin": { "address": "unix:run/admin.sock" },
      "stateDirectory": "state"
    }
    """#.split(separator: "JWK").joined(separator: jwk)

private let secretFile = ["/secret": "0123456789abcdef0123456789abcdef\n"]

@Suite struct ConfigurationDecoderTests {
    private func decodeEverything() throws -> Configuration {
        let outcome = decode(everything, files: secretFile)
        #expect(outcome.problems == [])
        return try #require(outcome.configuration)
    }

    @Test func listenersAndSettingsAreRead() throws {
        let all = try decodeEverything()
        #expect(all.realm == "orders api")
        #expect(
            all.listeners.map(\.address) == [
                .tcp(host: "::1", port: 8080), .unix(path: "dir/run/b.sock"),
            ])
        #expect(all.listeners[0].trustedProxies.includesUnix)
        let peer: [UInt8] = [10, 1, 2, 3]
        let isTrusted = all.listeners[0].trustedProxies.contains(peer.span)
        #expect(isTrusted)
        #expect(all.listeners[1].trustedProxies.isEmpty)
        #expect(
            all.limits
                == .init(
                    requestHead: 32768, requestFields: 50, token: 8192, connections: 1000,
                    concurrentStreams: 20))
        #expect(
            all.timeouts
                == .init(head: .seconds(1), idle: .seconds(2), body: .seconds(3), drain: .zero))
        #expect(
            all.tokenCache == TokenCacheLimits(entries: 5, bytes: 1024, maxAgeMilliseconds: 250))
        #expect(all.workers == 3)
        #expect(all.log == .init(level: "debug", access: .file(path: "dir/log/access.log")))
        #expect(
            all.removedFields == [
                "X-Who", "X-Id-*", "Remote-User", "X-Tenant", "X-Plan", "X-Subject",
                "X-Thumbprint",
            ])
    }

    @Test func tlsOfListenersIsRead() throws {
        let all = try decodeEverything()
        #expect(all.listeners[0].tls == nil)
        #expect(all.listeners[0].protocols == [.http11])
        #expect(all.listeners[1].protocols == [.http2, .http11])
        let tls = try #require(all.listeners[1].tls)
        #expect(
            tls.certificates == [
                .init(
                    certificate: "dir/tls/api.pem", privateKey: "dir/tls/api.key",
                    ocsp: "dir/tls/api.ocsp"),
                .init(
                    certificate: "dir/tls/rsa.pem", privateKey: "dir/tls/rsa.key", ocsp: nil),
            ])
        #expect(tls.clientCA == "dir/tls/ca.pem")
        #expect(tls.subjectHeader == "X-Subject")
        #expect(tls.thumbprintHeader == "X-Thumbprint")
        let settings = try tls.settings { try #require(Fixtures.material($0)) }
        #expect(tls.settings == settings)
        #expect(settings.identities.map { $0.staple == nil } == [false, true])
        #expect(settings.clientCertificates == .optional)
        #expect(settings.minimumVersion == .tls13)
        #expect(settings.protocols == [.http2, .http11])
        let names = ["api.pem", "api.key", "api.ocsp", "rsa.pem", "rsa.key", "ca.pem"]
        #expect(tls.files == names.map { "dir/tls/\($0)" })
    }

    @Test func tlsOfUpstreamsIsRead() throws {
        let all = try decodeEverything()
        #expect(all.upstreams[0].tls == nil)
        #expect(all.upstreams[2].endpoints.map(\.transport) == [.https, .https, .h2c, .h2c, .http])
        #expect(
            all.upstreams[2].endpoints.map(\.authority) == ["s", "[::1]:80", "c", "c:443", "p"])
        #expect(
            all.upstreams[2].endpoints.map(\.description) == [
                "https://s:443", "https://[::1]:80", "h2c://c:80", "h2c://c:443", "http://p:80",
            ])
        let tls = try #require(all.upstreams[2].tls)
        #expect(tls.serverName == "s.example")
        #expect(!tls.settings.verifiesPeer)
        #expect(tls.settings.protocols == [.http2, .http11])
        #expect(tls.settings.identity?.staple == nil)
        let settings = try tls.settings { try #require(Fixtures.material($0)) }
        #expect(tls.settings == settings)
        #expect(tls.files == ["ca.pem", "client.pem", "client.key"].map { "dir/tls/\($0)" })
    }

    @Test func secureEndpointsWithoutSettingsAreVerified() throws {
        let all = try configuration(
            sections(upstreams: #"{"up":{"endpoints":["https://h"]}}"#))
        let tls = try #require(all.upstreams[0].tls)
        #expect(tls.settings.verifiesPeer)
        #expect(tls.settings.trust == nil)
        #expect(tls.settings.identity == nil)
        #expect(tls.serverName == nil)
        #expect(tls.files == [])
    }

    @Test(arguments: [
        #""claimHeaders":{"x_subject":"sub"}"#, #""requestHeaders":{"set":{"X.Subject":"s"}}"#,
    ])
    func fieldsAboutClientsAreNoRoutes(members: String) throws {
        let listener =
            #"[{"address":"h:1","tls":{"certificates":[{"certificate":"tls/api.pem","#
            + #""privateKey":"tls/api.key"}],"clientCA":"tls/ca.pem","#
            + #""clientCertificate":"required","clientCertificateHeaders":{"#
            + #""subject":"X-Subject"}}}]"#
        let found = problems(
            sections(
                listeners: listener, routes: #"[{"path":"/","upstream":"up",\#(members)}]"#))
        #expect(found.count == 1)
        #expect(found[0].contains("error: a route writes "))
        #expect(found[0].hasPrefix("2:") && found[0].contains(" too, at 5:"))
    }

    @Test func issuersAreRead() throws {
        let all = try decodeEverything()
        #expect(all.issuers.map(\.name) == ["file", "inline", "secret", "fetched", "tenants"])
        var rules = IssuerRules(name: "file", issuer: "https://a/", audiences: ["x", "y"])
        rules.algorithms = [.rs256, .edDSA]
        rules.leeway = 5
        rules.maxLifetime = 3600
        rules.types = [nil, "at+jwt"]
        rules.requiredClaims = ["sub", "/a/b"].compactMap { ClaimName($0) }
        rules.scopeClaims = ["/realm_access/roles"].compactMap { ClaimName($0) }
        rules.allowsNoExpiry = true
        #expect(all.issuers[0].rules == rules)
        #expect(all.issuers[0].keys == .file(path: "dir/keys/a.json"))
        var open = IssuerRules(name: "inline", issuer: "https://b/", audiences: [])
        open.allowsNoAudience = true
        #expect(all.issuers[1].rules == open)
        guard case .inline(let set) = all.issuers[1].keys else {
            Issue.record("no inline keys")
            return
        }
        #expect(set.keys.count == 1)
        #expect(all.issuers[2].keys == .secret)
        #expect(all.issuers[2].rules.secret == Array("0123456789abcdef0123456789abcdef".utf8))
    }

    @Test func fetchedKeysAreRead() throws {
        let all = try decodeEverything()
        let fetched = try all.issuers[3].fetchedKeys
        let url = try #require(FetchURL("https://d/jwks?v=2"))
        var policy = KeyFetchPolicy(location: .url(url))
        policy.refresh = 60_000
        policy.timeout = 2_000
        policy.maxStale = 7_200_000
        policy.unknownKeyCooldown = 5_000
        #expect(fetched.policy == policy)
        #expect(fetched.allowsPlainHTTP)
        #expect(fetched.files == ["dir/tls/ca.pem"])
        #expect(fetched.settings.protocols == [.http11])
        #expect(fetched.settings.verifiesPeer)
        let settings = try fetched.settings { try #require(Fixtures.material($0)) }
        #expect(fetched.settings == settings)
        #expect(settings.trust != nil)
    }

    @Test func tenantsAreRead() throws {
        let issuer = try decodeEverything().issuers[4]
        var rules = TenantRules(
            pattern: "https://e/{tenant}/v2.0", allowed: ["t1", "t2"], claim: ClaimName("/tid"))
        rules?.maxTenants = 5
        #expect(issuer.rules.tenants == rules)
        let location = try issuer.fetchedKeys.policy(forTenant: "t1")?.location
        #expect(location == .discovery(issuer: "https://e/t1/v2.0"))
    }

    @Test func adminAndStateAreRead() throws {
        let all = try decodeEverything()
        #expect(all.admin == .init(address: .unix(path: "dir/run/admin.sock")))
        #expect(all.stateDirectory == "dir/state")
        let none = try configuration(sections())
        #expect(none.admin == nil)
        #expect(none.stateDirectory == nil)
    }

    @Test func upstreamsAreRead() throws {
        let all = try decodeEverything()
        let orders = try #require(all.upstreams.first)
        #expect(
            orders.endpoints == [
                .tcp(.http, host: "127.0.0.1", port: 9000),
                .tcp(.http, host: "orders", port: 80), .tcp(.http, host: "::1", port: 81),
                .unix(path: "dir/o.sock"),
            ])
        #expect(
            orders.endpoints.map(\.authority) == [
                "127.0.0.1:9000", "orders", "[::1]:81", "localhost",
            ])
        #expect(orders.balance == .leastConnections)
        #expect(
            orders.timeouts
                == .init(
                    connect: .seconds(1), response: .seconds(2), idle: .seconds(3),
                    stream: .seconds(240)))
        #expect(orders.maxConnections == 7)
        #expect(orders.retries == 2)
        #expect(orders.resolveInterval == .seconds(60))
    }

    @Test func routesAreRead() throws {
        let all = try decodeEverything()
        let route = all.routes[0]
        let rules = route.rules
        #expect(rules.name == "list")
        #expect(
            rules.pattern
                == RoutePattern(
                    host: .below(Array("example.com".utf8)),
                    path: try PathPattern("/v1/orders/{x}/**"),
                    methods: ["GET", "POST"],
                    unsafePaths: [.parameters, .encodedSlash, .emptySegments]))
        #expect(rules.access == .optional)
        #expect(rules.mode == .audit)
        #expect(rules.issuers == .only([2, 0]))
        #expect(rules.audiences == ["z"])
        #expect(rules.scopes == ScopeRule(all: ["a", "b"], any: ["c"]))
        let one = JSONValue(.number(JSONNumber(1)))
        #expect(
            rules.claims.map(\.matcher) == [
                .equals(JSONValue(.number(JSONNumber(7)))), .equals(JSONValue(.array([one]))),
                .isIn([JSONValue(.string("x")), one]), .contains(JSONValue(.string("e"))),
                .present(false),
            ])
        #expect(rules.claims.map(\.claim.text) == ["tenant", "/a/b", "c", "d", "f"])
        #expect(rules.claimHeaders.map(\.field) == ["Remote-User", "X-Tenant"])
        #expect(route.upstream == 0)
        #expect(route.rewrite == .init(stripPrefix: "/v1", addPrefix: "/api"))
        #expect(route.upstreamHost == .name("orders.internal:81"))
        #expect(route.forwardToken)
        #expect(
            route.requestFields
                == .init(set: [.init(name: "X-Plan", value: "gold")], remove: ["Cookie"]))
        #expect(
            route.responseFields
                == .init(set: [.init(name: "Server", value: "us")], remove: ["X-Powered-By"]))
        #expect(
            route.timeouts
                == .init(connect: .milliseconds(10), response: .seconds(5), stream: .seconds(3600)))
        #expect(route.maxBody == 1 << 20)
        #expect(all.routes[1].rules.access == .open)
        #expect(all.routes[1].rules.name == "/health")
        #expect(all.routes[1].upstream == 1)
        #expect(all.routes[2].rules.scopes == ScopeRule(all: ["s"]))
        #expect(all.routes[2].upstreamHost == .endpoint)
    }

    @Test func whatIsLeftOutHasItsDefault() throws {
        let all = try configuration(sections(more: "\"log\":{}"))
        #expect(all.realm == "api")
        #expect(all.removedFields.contains("X-JWT-*"))
        #expect(all.removedFields.count == 11)
        #expect(
            all.limits
                == .init(
                    requestHead: 65536, requestFields: 100, token: 16384, connections: nil,
                    concurrentStreams: 100))
        #expect(all.listeners[0].protocols == [.http2, .http11])
        #expect(all.listeners[0].tls == nil)
        #expect(all.upstreams[0].tls == nil)
        #expect(
            all.timeouts
                == .init(
                    head: .seconds(10), idle: .seconds(75), body: .seconds(60), drain: .seconds(30))
        )
        #expect(all.tokenCache == TokenCacheLimits())
        #expect(all.workers == nil)
        #expect(all.log == .init(level: "info", access: .stdout))
        #expect(all.issuers[0].rules == IssuerRules(name: "login", issuer: "i", audiences: ["a"]))
        let upstream = all.upstreams[0]
        #expect(upstream.balance == .roundRobin)
        #expect(upstream.retries == 1)
        #expect(upstream.maxConnections == nil)
        #expect(
            upstream.timeouts
                == .init(
                    connect: .seconds(5), response: .seconds(60), idle: .seconds(60),
                    stream: .seconds(600)))
        let route = all.routes[0]
        #expect(route.rules.access == .token)
        #expect(route.rules.mode == .enforce)
        #expect(route.rules.issuers == .all)
        #expect(route.rules.pattern.methods == nil)
        #expect(route.upstreamHost == .preserve)
        #expect(!route.forwardToken)
        #expect(route.maxBody == nil)
        #expect(route.timeouts == .init(connect: nil, response: nil, stream: nil))
        #expect(route.requestFields == .none)
    }

    @Test func everyKeyOfTheSchemaIsReadByTheDecoder() throws {
        let diagnostics = Diagnostics()
        let decoder = ConfigurationDecoder(
            file: "dir/proxy.json", environment: [:], checksKeyFiles: false,
            readFile: { secretFile[$0].map { Array($0.utf8) } ?? Fixtures.material($0) })
        _ = decoder.decode(everything.utf8Span.span, diagnostics)
        #expect(!diagnostics.hasErrors)
        var missing: [String] = []
        var pending = [SchemaTables.root]
        while let schema = pending.popLast() {
            for key in schema.keys where key.isAvailable {
                if !diagnostics.keysRead.contains("\(schema.name).\(key.name)") {
                    missing.append("\(schema.name).\(key.name)")
                }
                pending += key.type.objects
            }
        }
        #expect(missing == [])
    }

    @Test func environmentVariablesAreTakenOnce() throws {
        let text = sections(
            listeners: #"[{"address":"${HOST}:${PORT}"}]"#,
            more: #""realm":"$${HOST} ${EVIL} $5 $""#)
        let outcome = decode(
            text, environment: ["HOST": "localhost", "PORT": "81", "EVIL": "${HOST}"])
        #expect(outcome.problems == [])
        #expect(outcome.configuration?.listeners[0].address == .tcp(host: "localhost", port: 81))
        #expect(outcome.configuration?.realm == "${HOST} ${HOST} $5 $")
    }

    @Test func environmentVariablesThatAreNotSetAreErrors() {
        #expect(
            problems(sections(more: #""realm":"a ${NOPE} ${x y} ${}""#)) == [
                "6:9: error: the environment variable NOPE is not set",
                #"6:9: error: "${x y}" is no environment variable's name; "#
                    + #"write "$${" for a literal "${""#,
                #"6:9: error: "${}" is no environment variable's name; "#
                    + #"write "$${" for a literal "${""#,
            ])
        #expect(
            problems(sections(more: #""realm":"a ${NOPE""#)) == [
                "6:9: error: \"${\" without \"}\"; write \"$${\" for a literal \"${\""
            ])
    }

    @Test(arguments: [
        ("proxy.json", "x", "x"), ("/etc/b/proxy.json", "x/y", "/etc/b/x/y"),
        ("a/p.json", "/x", "/x"),
        ("./p.json", "x", "./x"), ("/p.json", "x", "/x"),
    ])
    func relativePathsStartFromTheConfigurationsFolder(file: String, path: String, expected: String)
    {
        let text = sections(listeners: #"[{"address":"unix:\#(path)"}]"#)
        #expect(
            decode(text, file: file).configuration?.listeners[0].address == .unix(path: expected))
    }

    @Test(
        arguments: [
            (nil, ["3:67: error: the key file \"dir/k\" cannot be read"]),
            (
                "{",
                [
                    #"3:67: error: the key file "dir/k" is no JSON (byte 1): "#
                        + "the file ends inside a value"
                ]
            ),
            (
                "[]",
                ["3:67: error: the key file \"dir/k\" is no JWK Set: it needs an array \"keys\""]
            ),
            (#"{"keys":[]}"#, ["3:67: error: the key file \"dir/k\" has no usable key"]),
            ("{\"keys\":[\(jwk)]}", []),
            (
                "{\"keys\":[{\"kty\":\"oct\",\"k\":\"aaaa\"},\(jwk)]}",
                [
                    "3:67: warning: key 0 of \"dir/k\" is not used: a secret does not belong "
                        + "into a JWK Set; use \"secretFile\""
                ]
            ),
        ] as [(String?, [String])])
    func keyFilesAreCheckedWhereAsked(contents: String?, expected: [String]) {
        let files = contents.map { ["dir/k": $0] } ?? [:]
        let found = decode(sections(), files: files, checksKeyFiles: true)
        #expect(found.problems.map(\.description) == expected.map { "dir/proxy.json:" + $0 })
        #expect(decode(sections(), files: files).problems == [])
    }

    @Test(
        arguments: [
            (nil, "", "cannot be read"), ("short", "", "has fewer than 32 bytes"),
            ("0123456789abcdef0123456789abcde\n", "", "has fewer than 32 bytes"),
            ("0123456789abcdef0123456789abcdef\n", "\"HS384\"", "has fewer than 48 bytes"),
            (
                "0123456789abcdef0123456789abcdef\n", "\"HS256\",\"HS512\"",
                "has fewer than 64 bytes"
            ),
            ("0123456789abcdef0123456789abcdef", "", nil),
            ("0123456789abcdef0123456789abcdef\n", "", nil),
            ("0123456789abcdef0123456789abcdef\n", "\"HS256\"", nil),
        ] as [(String?, String, String?)])
    func secretsAreAsLongAsTheHash(contents: String?, algorithms: String, problem: String?) throws {
        let list = algorithms.isEmpty ? "" : "\"algorithms\":[\(algorithms)],"
        let text = sections(
            issuers: #"{"l":{"issuer":"i","audiences":["a"],\#(list)"keys":{"secretFile":"s"}}}"#)
        let outcome = decode(text, files: contents.map { ["dir/s": $0] } ?? [:])
        if let problem {
            #expect(outcome.problems.count == 1)
            #expect(outcome.problems.first?.message.hasSuffix(problem) == true)
            // Nothing of the secret is said.
            #expect(!outcome.problems.description.contains("0123"))
        } else {
            #expect(outcome.problems == [])
        }
    }
}
