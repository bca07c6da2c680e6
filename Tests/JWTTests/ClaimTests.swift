import JWT
import Testing

/// The claims of a token whose signature is right.
@Suite struct ClaimTests {
    struct Row: CustomTestStringConvertible {
        let changes: [(String, String?)]
        let expected: TokenError?

        init(_ name: String, _ value: String?, _ expected: TokenError? = nil) {
            changes = [(name, value)]
            self.expected = expected
        }

        var testDescription: String { "\(changes)" }
    }

    @Test("exp, nbf and iat are numbers of seconds, with a leeway of a minute", arguments: timeRows)
    func times(_ row: Row) {
        #expect(refusal(mint(claims(row.changes))) == row.expected)
    }

    // Tokens are looked at at 1700000060, with a leeway of 60 seconds.
    static let timeRows: [Row] = [
        Row("exp", "1700000061"), Row("exp", "1700000001"), Row("exp", "1700000000", .expired),
        Row("exp", "1700000000.999", .expired), Row("exp", "1700000001.5"),
        Row("exp", "1.7e9", .expired),
        Row("exp", "17000036e2"), Row("exp", "1700003600.0"), Row("exp", "0", .expired),
        Row("exp", "-1", .expired), Row("exp", "-0", .expired), Row("exp", "0.5e-400", .expired),
        Row("exp", nil, .missingClaim("exp")), Row("exp", "null", .badToken),
        Row("exp", "\"1700003600\"", .badToken), Row("exp", "true", .badToken),
        Row("exp", "[1700003600]", .badToken), Row("exp", "{}", .badToken),
        Row("exp", "1e400", .badToken), Row("exp", "1e999999999", .badToken),
        Row("exp", "-1e400", .badToken), Row("exp", "9223372036854775807", .badToken),
        Row("exp", "9223372036854775808", .badToken), Row("exp", "18446744073709551616", .badToken),
        Row("exp", "-9223372036854775808", .badToken),
        Row("exp", "-9223372036854775809", .badToken),
        Row("exp", "9007199254740992"), Row("exp", "9007199254740993", .badToken),
        Row("exp", "-9007199254740993", .badToken), Row("exp", "1e19", .badToken),
        Row("exp", "1" + String(repeating: "0", count: 4_000), .badToken),
        Row("exp", "1700003600." + String(repeating: "9", count: 4_000)),

        Row("nbf", "1700000060"), Row("nbf", "1700000120"), Row("nbf", "1700000121", .notYetValid),
        Row("nbf", "1700000120.1", .notYetValid), Row("nbf", "1e10", .notYetValid),
        Row("nbf", "0"), Row("nbf", "-5"), Row("nbf", "null", .badToken),
        Row("nbf", "\"0\"", .badToken), Row("nbf", "1e400", .badToken), Row("nbf", "[]", .badToken),
        Row("nbf", "9223372036854775808", .badToken), Row("nbf", "9007199254740992", .notYetValid),

        Row("iat", nil), Row("iat", "1700000120"), Row("iat", "1700000121", .notYetValid),
        Row("iat", "0"), Row("iat", "null", .badToken), Row("iat", "\"now\"", .badToken),
        Row("iat", "-1e400", .badToken), Row("iat", "1700000120.000001", .notYetValid),
    ]

    @Test("iss is one text, octet by octet", arguments: issuerRows)
    func issuers(_ row: Row) {
        #expect(refusal(mint(claims(row.changes))) == row.expected)
    }

    static let issuerRows: [Row] = [
        Row("iss", nil, .unknownIssuer), Row("iss", "null", .unknownIssuer),
        Row("iss", "\"\"", .unknownIssuer), Row("iss", "1", .unknownIssuer),
        Row("iss", "true", .unknownIssuer), Row("iss", "{}", .unknownIssuer),
        Row("iss", "[\"https://login.example.com/\"]", .unknownIssuer),
        Row("iss", "\"https://login.example.com\"", .unknownIssuer),
        Row("iss", "\"https://login.example.com//\"", .unknownIssuer),
        Row("iss", "\"https://login.example.com/ \"", .unknownIssuer),
        Row("iss", "\"https://Login.example.com/\"", .unknownIssuer),
        Row("iss", "\"http://login.example.com/\"", .unknownIssuer),
        Row("iss", "\"https://login.example.com/x\"", .unknownIssuer),
        Row("iss", "\"https://login.example.com:443/\"", .unknownIssuer),
        Row("iss", "\"https://login.example.co\u{6d}\u{301}/\"", .unknownIssuer),
        Row("iss", "\"https:\\/\\/login.example.com\\/\""),
        Row("iss", "\"https://login.example.com/\\u0000\"", .unknownIssuer),
    ]

    @Test("aud names the API, as text or in an array of texts", arguments: audienceRows)
    func audiences(_ row: Row) {
        #expect(refusal(mint(claims(row.changes))) == row.expected)
    }

    static let audienceRows: [Row] = [
        Row("aud", "[\"https://api.example.com\"]"),
        Row("aud", "[\"x\",\"https://api.example.com\"]"),
        Row("aud", nil, .missingClaim("aud")), Row("aud", "null", .wrongAudience),
        Row("aud", "\"\"", .wrongAudience), Row("aud", "[]", .wrongAudience),
        Row("aud", "{}", .wrongAudience), Row("aud", "1", .wrongAudience),
        Row("aud", "true", .wrongAudience),
        Row("aud", "[[\"https://api.example.com\"]]", .wrongAudience),
        Row("aud", "[\"https://api.example.com\",1]", .wrongAudience),
        Row("aud", "[null,\"https://api.example.com\"]", .wrongAudience),
        Row("aud", "{\"https://api.example.com\":1}", .wrongAudience),
        Row("aud", "\"https://api.example.com/\"", .wrongAudience),
        Row("aud", "\"https://api.example.co\"", .wrongAudience),
        Row("aud", "\"https://API.example.com\"", .wrongAudience),
        Row("aud", "\"https://api.example.com https://x\"", .wrongAudience),
        Row("aud", "\"https://api.example.com,https://x\"", .wrongAudience),
        Row("aud", "\"*\"", .wrongAudience),
    ]

    @Test("One of several audiences is enough; none at all fits nothing")
    func severalAudiences() {
        let several = secretRules { $0.audiences = ["a", "https://api.example.com"] }
        #expect(refusal(mint(claims()), under: several) == nil)
        let none = secretRules { $0.audiences = [] }
        #expect(refusal(mint(claims()), under: none) == .wrongAudience)
    }

    @Test("unsafeNoAudience takes absent ones, and any where none is configured")
    func noAudience() {
        let open = secretRules { ($0.audiences, $0.allowsNoAudience) = ([], true) }
        for value in [nil, "\"x\"", "1", "[1,\"x\"]", "null"] {
            #expect(refusal(mint(claims([("aud", value)])), under: open) == nil)
        }
        let either = secretRules { $0.allowsNoAudience = true }
        #expect(refusal(mint(claims([("aud", nil)])), under: either) == nil)
        #expect(refusal(mint(claims([("aud", "\"x\"")])), under: either) == .wrongAudience)
    }

    @Test("unsafeNoExpiry takes tokens without exp, not ones with a bad or past one")
    func noExpiry() {
        let open = secretRules { $0.allowsNoExpiry = true }
        #expect(refusal(mint(claims([("exp", nil)])), under: open) == nil)
        #expect(refusal(mint(claims([("exp", "null")])), under: open) == .badToken)
        #expect(refusal(mint(claims([("exp", "1")])), under: open) == .expired)
    }

    @Test("The leeway is the configured one, down to the second")
    func leeway() {
        let exact = secretRules { $0.leeway = 0 }
        let token = mint(claims([("nbf", "1700000000"), ("exp", "1700003600")]))
        #expect(refusal(token, under: exact, now: 1_699_999_999) == .notYetValid)
        #expect(refusal(token, under: exact, now: 1_700_000_000) == nil)
        #expect(refusal(token, under: exact, now: 1_700_003_599) == nil)
        #expect(refusal(token, under: exact, now: 1_700_003_600) == .expired)
        let wide = secretRules { $0.leeway = 300 }
        #expect(refusal(token, under: wide, now: 1_699_999_700) == nil)
        #expect(refusal(token, under: wide, now: 1_699_999_699) == .notYetValid)
        #expect(refusal(token, under: wide, now: 1_700_003_899) == nil)
        #expect(refusal(token, under: wide, now: 1_700_003_900) == .expired)
    }

    @Test("maxLifetime bounds exp - iat, so both must be there")
    func maxLifetime() {
        let hour = secretRules { $0.maxLifetime = 3600 }
        #expect(refusal(mint(claims()), under: hour) == nil)
        #expect(refusal(mint(claims([("exp", "1700003601")])), under: hour) == .badToken)
        #expect(refusal(mint(claims([("iat", nil)])), under: hour) == .missingClaim("iat"))
        let open = secretRules { ($0.maxLifetime, $0.allowsNoExpiry) = (3600, true) }
        #expect(refusal(mint(claims([("exp", nil)])), under: open) == .missingClaim("exp"))
        #expect(
            refusal(mint(claims([("iat", "-9007199254740992")])), under: hour) == .badToken)
    }

    @Test(
        "typ is an admitted kind, without case, application/ or not",
        arguments: [
            (nil, nil), ("JWT", nil), ("jwt", nil), ("at+jwt", nil), ("AT+JWT", nil),
            ("application/at+jwt", nil), ("Application/JWT", nil), ("dpop+jwt", .wrongType),
            ("logout+jwt", .wrongType), ("secevent+jwt", .wrongType), ("", .wrongType),
            ("JWT ", .wrongType), ("application/", .wrongType), ("JWS", .wrongType),
            ("application/application/jwt", .wrongType), ("text/jwt", .wrongType),
            ("at", .wrongType), ("id_token", .wrongType), ("at+jwt;x=y", .wrongType),
        ] as [(String?, TokenError?)])
    func types(_ type: String?, _ expected: TokenError?) {
        let member = type.map { #","typ":"\#($0)""# } ?? ""
        #expect(refusal(mint(claims(), header: #"{"alg":"HS256"\#(member)}"#)) == expected)
    }

    @Test("A list of types without null refuses an absent typ; application/ in it means the same")
    func configuredTypes() {
        let strict = secretRules { $0.types = ["application/At+JWT"] }
        #expect(refusal(mint(claims()), under: strict) == .wrongType)
        #expect(
            refusal(mint(claims(), header: #"{"alg":"HS256","typ":"JWT"}"#), under: strict)
                == .wrongType)
        #expect(
            refusal(mint(claims(), header: #"{"alg":"HS256","typ":"at+jwt"}"#), under: strict)
                == nil)
    }

    @Test(
        "Required claims must be there and not be null; pointers too",
        arguments: [
            ("sub", nil), ("/sub", nil), ("client_id", .missingClaim("client_id")),
            ("empty", .missingClaim("empty")), ("/a/b", nil), ("/a/c", .missingClaim("/a/c")),
            ("/a/d", .missingClaim("/a/d")), ("/list/1", nil),
            ("/list/2", .missingClaim("/list/2")),
            ("http://x.example/y", nil), ("/a~1b", nil), ("/m~0n", nil), ("a", nil),
            ("a/b", nil), ("/sub/x", .missingClaim("/sub/x")), ("/", .missingClaim("/")),
        ] as [(String, TokenError?)])
    func requiredClaims(_ name: String, _ expected: TokenError?) throws {
        let claim = try #require(ClaimName(name))
        let rules = secretRules { $0.requiredClaims = [claim] }
        let token = mint(
            claims([
                ("empty", "null"), ("a", #"{"b":1,"d":null}"#), ("list", "[1,2]"),
                ("http://x.example/y", "true"), ("a/b", "1"), ("m~n", "1"),
            ]))
        #expect(refusal(token, under: rules) == expected)
    }

    @Test("A pointer's ~ stands before 0 or 1 alone", arguments: ["/~", "/a~", "/~2", "/a/~x/b"])
    func badPointers(_ text: String) {
        #expect(ClaimName(text) == nil)
    }

    @Test(
        "Array indexes of a pointer are plain numbers",
        arguments: [
            "/list/00", "/list/01", "/list/-", "/list/-1", "/list/+1", "/list/1e0",
            "/list/99999999999999999999", "/list/", "/list/ 1", "/list/１",
        ])
    func badIndexes(_ text: String) throws {
        let claim = try #require(ClaimName(text))
        let rules = secretRules { $0.requiredClaims = [claim] }
        #expect(
            refusal(mint(claims([("list", "[1,2]")])), under: rules) == .missingClaim(text))
    }
}
