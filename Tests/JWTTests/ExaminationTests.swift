import JWT
import OpenSSL
import Testing

/// Verification in two steps: what is found before the signature, what a token lacks, and the
/// signature elsewhere.
@Suite struct ExaminationTests {
    private static let place = KeyPlace(issuer: 0)

    @Test(
        "A token that is examined verifies here and in another thread's checker",
        arguments: mintedTokens)
    func twoSteps(_ name: String, _ token: String, _ key: String) throws {
        let isSecret = key == "secret"
        let verifier = TokenVerifier([isSecret ? secretRules() : rules()])
        if !isSecret { verifier.replaceKeys(of: Self.place, with: try allKeys()) }
        let checker = SignatureChecker()
        let examined = try #require(try ready(token, verifier))
        #expect(examined.place == Self.place && examined.attempts >= 1)
        let here = try verifier.complete(examined)
        // A second time with the key made ready.
        for _ in 0..<2 {
            let elsewhere = try checker.check(examined)
            #expect(elsewhere.key == here.key && elsewhere.subject == here.subject)
            #expect(elsewhere.scopes == here.scopes && elsewhere.lifetime == here.lifetime)
            #expect(verifier.stillTrusts(elsewhere, now: mintedAt))
        }
    }

    @Test("Neither an examined nor a verified token describes itself by what it says")
    func descriptions() throws {
        let verifier = TokenVerifier([secretRules()])
        let examined = try #require(try ready(mint(claims()), verifier))
        let verified = try verifier.complete(examined)
        #expect("\(examined) \(verified) \(verified.claims)".utf8.count < 80)
        let all = [
            String(reflecting: examined), String(reflecting: verified),
            String(reflecting: verified.claims),
        ]
        #expect(all.allSatisfy { $0.utf8.count < 40 })
    }

    @Test("A forged signature passes the examination and neither check", arguments: mintedTokens)
    func forged(_ name: String, _ token: String, _ key: String) throws {
        let isSecret = key == "secret"
        let verifier = TokenVerifier([isSecret ? secretRules() : rules()])
        if !isSecret { verifier.replaceKeys(of: Self.place, with: try allKeys()) }
        var segments = token.split(separator: ".").map(String.init)
        segments[1] = encoded(Array(claims([("sub", "\"mallory\"")]).utf8))
        let examined = try #require(try ready(segments.joined(separator: "."), verifier))
        #expect(throws: TokenError.badSignature) { try verifier.complete(examined) }
        #expect(throws: TokenError.badSignature) { try SignatureChecker().check(examined) }
    }

    @Test("What does not need the signature is refused by the examination alone")
    func order() throws {
        let verifier = TokenVerifier([rules()])
        let token = Array(mintedTokens[0].token.utf8)
        #expect(throws: TokenError.expired) {
            try verifier.examine(token.span, now: 1_800_000_000)
        }
        #expect(throws: TokenError.badToken) {
            try verifier.examine(Array("a.b".utf8).span, now: mintedAt)
        }
        #expect(throws: TokenError.unknownIssuer) {
            try verifier.examine(token.span, admitting: .only([]), now: mintedAt)
        }
    }

    @Test("Without any keys, and without the one of its kid, a token lacks a key of its issuer")
    func lacks() throws {
        let verifier = TokenVerifier([rules()])
        let token = mintedTokens[0].token
        let first = try #require(try need(token, verifier))
        #expect(first.place == Self.place && first.refusal == .keysUnavailable)
        verifier.replaceKeys(of: Self.place, with: try keySet())
        let second = try #require(try need(token, verifier))
        #expect(second.refusal == .unknownKey && second.hash == first.hash)
        verifier.replaceKeys(of: Self.place, with: try allKeys())
        #expect(try need(token, verifier) == nil)
    }

    @Test("Missing keys are told apart by kid and family, and by whether there is a kid")
    func hashes() throws {
        let verifier = TokenVerifier([rules()])
        let headers = [
            #"{"alg":"RS256"}"#, #"{"alg":"RS256","kid":""}"#, #"{"alg":"RS256","kid":"a"}"#,
            #"{"alg":"RS256","kid":"b"}"#, #"{"alg":"ES256","kid":"a"}"#, #"{"alg":"ES256"}"#,
            #"{"alg":"EdDSA","kid":"a"}"#,
        ]
        let hashes = try headers.map { try need(mint(claims(), header: $0), verifier)?.hash }
        #expect(!hashes.contains(nil) && Set(hashes).count == headers.count)
        let again = try need(mint(claims(), header: #"{"alg":"PS512","kid":"a"}"#), verifier)
        #expect(again?.hash == hashes[2])
        // Another verifier names them otherwise.
        let other = try need(mint(claims(), header: headers[2]), TokenVerifier([rules()]))
        #expect(other?.hash != hashes[2])
    }

    @Test("A known kid whose key does not fit, and too many keys without one, lack nothing")
    func definite() throws {
        let verifier = TokenVerifier([rules()])
        verifier.replaceKeys(
            of: Self.place, with: try keySet(jwk("rsa", adding: #","kid":"rsa","alg":"PS256""#)))
        let token = try #require(mintedTokens.first { $0.key == "rsa" }).token
        #expect(throws: TokenError.badAlgorithm) {
            try verifier.examine(Array(token.utf8).span, now: mintedAt)
        }
    }

    @Test("A secret's tokens never lack a key")
    func secret() throws {
        let verifier = TokenVerifier([secretRules()])
        let token = mint(claims(), header: #"{"alg":"HS256","kid":"unheard-of"}"#)
        #expect(try need(token, verifier) == nil)
        #expect(!verifier.replaceKeys(of: Self.place, with: nil))
        #expect(refusal(token, by: verifier) == nil)
    }

    @Test("Keys that were withdrawn count as never obtained, and end their tokens")
    func withdrawn() throws {
        let verifier = TokenVerifier([rules()])
        #expect(!verifier.replaceKeys(of: Self.place, with: nil))
        #expect(verifier.replaceKeys(of: Self.place, with: try allKeys()))
        #expect(!verifier.replaceKeys(of: Self.place, with: try allKeys()))
        let token = try verified(mintedTokens[0].token, by: verifier)
        #expect(verifier.replaceKeys(of: Self.place, with: nil))
        #expect(!verifier.hasKeys(of: Self.place))
        #expect(!verifier.stillTrusts(token, now: mintedAt))
        #expect(refusal(mintedTokens[0].token, by: verifier) == .keysUnavailable)
        #expect(verifier.replaceKeys(of: Self.place, with: try allKeys()))
        #expect(verifier.stillTrusts(token, now: mintedAt))
    }

    @Test("A key that goes while a signature is being checked elsewhere ends that token too")
    func overtaken() throws {
        let verifier = TokenVerifier([rules()])
        verifier.replaceKeys(of: Self.place, with: try allKeys())
        let examined = try #require(try ready(mintedTokens[0].token, verifier))
        verifier.replaceKeys(of: Self.place, with: try keySet(jwk("p256")))
        let late = try SignatureChecker().check(examined)
        #expect(!verifier.stillTrusts(late, now: mintedAt))
        #expect(throws: TokenError.badSignature) { try verifier.complete(examined) }
        #expect(throws: TokenError.keysUnavailable) {
            try TokenVerifier([rules()], policyNumber: 1).complete(examined)
        }
        verifier.replaceKeys(of: Self.place, with: try allKeys())
        #expect(verifier.stillTrusts(late, now: mintedAt))
        #expect(!verifier.stillTrusts(late, now: mintedAt + 7200))
    }

    private func examine(_ token: String, _ verifier: TokenVerifier) throws -> Examination {
        try verifier.examine(Array(token.utf8).span, now: mintedAt)
    }

    private func ready(_ token: String, _ verifier: TokenVerifier) throws -> ExaminedToken? {
        if case .ready(let examined) = try examine(token, verifier) { return examined }
        return nil
    }

    private func need(_ token: String, _ verifier: TokenVerifier) throws -> KeyNeed? {
        if case .lacksKey(let need) = try examine(token, verifier) { return need }
        return nil
    }
}
