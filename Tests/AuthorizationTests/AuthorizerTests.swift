import Authorization
import Bytes
import JSON
import JWT
import OpenSSL
import Testing

private let secret = Array("a secret of thirty-two bytes and more".utf8)
private let now: Int64 = 1_700_000_060

/// HMAC (RFC 2104) over SHA-256.
private func hmac(_ message: [UInt8]) -> [UInt8] {
    let block = secret + [UInt8](repeating: 0, count: 64 - secret.count)
    let inner = SHA256.digest(of: (block.map { $0 ^ 0x36 } + message).span)
    return SHA256.digest(of: (block.map { $0 ^ 0x5c } + inner).span)
}

private func base64(_ bytes: [UInt8]) -> String {
    String(decoding: Base64URL.encode(bytes), as: UTF8.self)
}

/// A verified token with these further members; issuer 0 is `one`, issuer 1 is `two`.
private func token(_ members: String = "", issuer: String = "one") throws -> VerifiedToken {
    let verifier = TokenVerifier(
        ["one", "two"].map { name in
            var rules = IssuerRules(name: name, issuer: name, audiences: ["api"])
            rules.secret = secret
            return rules
        })
    let claims = #"{"iss":"\#(issuer)","exp":1700003600"# + (members.isEmpty ? "" : "," + members)
    let hasAudience = members.contains("\"aud\"")
    let body = claims + (hasAudience ? "}" : #","aud":"api"}"#)
    let input = base64(Array(#"{"alg":"HS256"}"#.utf8)) + "." + base64(Array(body.utf8))
    let text = input + "." + base64(hmac(Array(input.utf8)))
    return try verifier.verify(text.utf8Span.span, now: now)
}

/// What became of a decision, as a value that tests can compare.
private enum Seen: Equatable {
    case permitted(Permit.Grounds, hasIdentity: Bool)
    case refused(Refusal)

    init(_ decision: consuming Decision) {
        switch consume decision {
        case .permitted(let permit):
            self = .permitted(permit.grounds, hasIdentity: permit.identity != nil)
        case .refused(let refusal): self = .refused(refusal)
        }
    }
}

private func decide(
    _ credential: Credential, _ change: (inout RouteRules) throws -> Void = { _ in }
) throws -> Seen {
    var rules = RouteRules(name: "r", pattern: try pattern("/"))
    try change(&rules)
    return Seen(Authorizer([rules]).decide(route: 0, credential))
}

private let ok = Seen.permitted(.token, hasIdentity: true)

@Suite struct AuthorizerTests {
    @Test func accessDecidesAboutRequestsWithoutToken() throws {
        #expect(try decide(.none) == .refused(.noToken))
        #expect(
            try decide(.none) { $0.access = .optional }
                == .permitted(.anonymous, hasIdentity: false))
        #expect(try decide(.none) { $0.access = .open } == .permitted(.open, hasIdentity: false))
        #expect(
            try decide(.none) { $0.mode = .audit }
                == .permitted(.audited(.noToken), hasIdentity: false))
    }

    @Test(arguments: [
        TokenError.badToken, .badAlgorithm, .unknownIssuer, .unknownKey, .badSignature, .expired,
        .notYetValid, .wrongAudience, .wrongType, .missingClaim("sub"), .keysUnavailable, .tooLarge,
    ])
    func badTokensAreRefusedWhereverATokenIsRead(error: TokenError) throws {
        #expect(try decide(.refused(error)) == .refused(.token(error)))
        #expect(try decide(.refused(error)) { $0.access = .optional } == .refused(.token(error)))
        let audited = try decide(.refused(error)) { $0.mode = .audit }
        #expect(
            audited
                == (error == .tooLarge
                    ? .refused(.token(.tooLarge))
                    : .permitted(.audited(.token(error)), hasIdentity: false)))
    }

    @Test func aVerifiedTokenPassesARouteThatAsksNothingMore() throws {
        #expect(try decide(.verified(token())) == ok)
        #expect(try decide(.verified(token())) { $0.access = .optional } == ok)
    }

    @Test func anOpenRouteGivesNoIdentity() throws {
        #expect(
            try decide(.verified(token())) { $0.access = .open }
                == .permitted(.open, hasIdentity: false))
    }

    @Test(arguments: [
        (#""scope":"orders:read""#, ["orders:read"], [], true),
        (#""scope":"a orders:read b""#, ["orders:read"], [], true),
        (#""scp":["orders:read"]"#, ["orders:read"], [], true),
        (#""scope":"a","scp":["b"]"#, ["a", "b"], [], true),
        (#""scope":"a b""#, ["a"], ["x", "b"], true),
        (#""scope":"b""#, [], ["a", "b"], true),
        ("", ["a"], [], false), (#""scope":"""#, ["a"], [], false),
        (#""scope":null"#, ["a"], [], false),
        (#""scope":"orders:reader""#, ["orders:read"], [], false),
        (#""scope":"orders:rea""#, ["orders:read"], [], false),
        (#""scope":"Orders:read""#, ["orders:read"], [], false),
        (#""scope":"a\torders:read""#, ["orders:read"], [], false),
        (#""scope":"a,orders:read""#, ["orders:read"], [], false),
        (#""scope":"a\u00a0orders:read""#, ["orders:read"], [], false),
        (#""scope":"a""#, ["a", "b"], [], false), (#""scope":"a c""#, ["a"], ["b"], false),
        (#""scp":[1,{},["a"],null]"#, ["a"], [], false), (#""scp":{"a":true}"#, ["a"], [], false),
        (#""scp":["a b"]"#, ["a"], [], false), (#""scope":1"#, ["1"], [], false),
        (#""roles":["a"]"#, ["a"], [], false),
    ])
    func scopesAreNeeded(members: String, all: [String], any: [String], passes: Bool) throws {
        let seen = try decide(.verified(token(members))) {
            $0.scopes = ScopeRule(all: all, any: any)
        }
        #expect(seen == (passes ? ok : .refused(.insufficientScope)))
        // An optional token must be wholly right, scopes included.
        let optional = try decide(.verified(token(members))) {
            $0.scopes = ScopeRule(all: all, any: any)
            $0.access = .optional
        }
        #expect(optional == seen)
    }

    @Test func aChallengeListsAllThenAny() {
        #expect(ScopeRule(all: ["b", "a"], any: ["d", "c"]).challenge == "b a d c")
        #expect(ScopeRule(any: ["c"]).challenge == "c")
        #expect(ScopeRule().challenge == nil)
    }

    @Test func audiencesOfTheRouteAreToBeMetAsWell() throws {
        func seen(_ audience: String) throws -> Seen {
            try decide(.verified(token(#""aud":"# + audience))) { $0.audiences = ["x", "y"] }
        }
        #expect(try seen(#"["api","x"]"#) == ok)
        #expect(try seen(#"["api","y","z"]"#) == ok)
        #expect(try seen(#""api""#) == .refused(.token(.wrongAudience)))
        #expect(try seen(#"["api","X"]"#) == .refused(.token(.wrongAudience)))
        #expect(try seen(#"["api","xy"]"#) == .refused(.token(.wrongAudience)))
    }

    @Test func aTokenOfAnIssuerTheRouteDoesNotAdmitIsRefusedAndNoIdentity() throws {
        let two = Credential.verified(try token(issuer: "two"))
        #expect(try decide(two) == ok)
        #expect(try decide(two) { $0.issuers = .only([1]) } == ok)
        #expect(try decide(two) { $0.issuers = .only([0]) } == .refused(.token(.unknownIssuer)))
        let audited = try decide(two) {
            $0.issuers = .only([0])
            $0.mode = .audit
        }
        #expect(audited == .permitted(.audited(.token(.unknownIssuer)), hasIdentity: false))
    }

    @Test(arguments: [
        (#""tenant":{"id":7}"#, true), (#""tenant":{"id":7.0}"#, true),
        (#""tenant":{"id":"7"}"#, false),
        (#""tenant":7"#, false), ("", false), (#""/tenant/id":7"#, false),
    ])
    func claimsMustMatch(members: String, passes: Bool) throws {
        let name = try #require(ClaimName("/tenant/id"))
        let seen = try decide(.verified(token(members))) {
            $0.claims = [ClaimRule(name, .equals(JSONValue(.number(JSONNumber(7)))))]
        }
        #expect(seen == (passes ? ok : .refused(.claimMismatch)))
    }

    @Test func everyClaimRuleCounts() throws {
        let rules = try ["a", "b"].map {
            ClaimRule(try #require(ClaimName($0)), .present(true))
        }
        #expect(try decide(.verified(token(#""a":1,"b":2"#))) { $0.claims = rules } == ok)
        #expect(
            try decide(.verified(token(#""a":1"#))) { $0.claims = rules }
                == .refused(.claimMismatch))
        #expect(
            try decide(.verified(token(#""b":1"#))) { $0.claims = rules }
                == .refused(.claimMismatch))
    }

    @Test func aClaimTooLongForItsFieldIsRefused() throws {
        let header = ClaimHeader(field: "X-Note", claim: try #require(ClaimName("note")))
        func seen(_ count: Int) throws -> Seen {
            let note = String(repeating: "n", count: count)
            return try decide(.verified(token(#""note":"\#(note)""#))) {
                $0.claimHeaders = [header]
            }
        }
        #expect(try seen(8192) == ok)
        #expect(try seen(8193) == .refused(.claimTooLong))
    }

    @Test func auditKeepsTheIdentityOfAVerifiedToken() throws {
        let seen = try decide(.verified(token(#""scope":"a""#))) {
            $0.mode = .audit
            $0.scopes = ScopeRule(all: ["b"])
        }
        #expect(seen == .permitted(.audited(.insufficientScope), hasIdentity: true))
        #expect(try decide(.verified(token())) { $0.mode = .audit } == ok)
    }
}
