import JWT
import Testing

@Suite struct TokenCacheTests {
    private static let limits = TokenCacheLimits(
        entries: 100, bytes: 1 << 20, maxAgeMilliseconds: 300_000)
    private static let start = TokenTime(wallSeconds: mintedAt, monotonicMilliseconds: 5_000)

    /// A cache, the verifier it works with, and what is asked of both.
    final class Bench {
        let cache: TokenCache
        let verifier: TokenVerifier

        init(
            _ limits: TokenCacheLimits = TokenCacheTests.limits,
            _ issuer: IssuerRules = secretRules()
        ) {
            cache = TokenCache(limits)
            verifier = TokenVerifier([issuer])
        }

        func admit(_ token: String, at time: TokenTime = start) throws {
            let bytes = Array(token.utf8)
            let verified = try verifier.verify(bytes.span, now: time.wallSeconds)
            cache.insert(verified, cache.key(of: bytes.span), at: time)
        }

        func has(_ token: String, at time: TokenTime = start) -> Bool {
            let bytes = Array(token.utf8)
            return find(bytes, at: time, trustedBy: verifier) != nil
        }

        func find(
            _ token: [UInt8], at time: TokenTime = start, trustedBy verifier: TokenVerifier
        ) -> VerifiedToken? {
            cache.find(token.span, cache.key(of: token.span), at: time, trustedBy: verifier)
        }
    }

    private static func later(seconds: Int64 = 0, milliseconds: Int64 = 0) -> TokenTime {
        TokenTime(
            wallSeconds: start.wallSeconds + seconds,
            monotonicMilliseconds: start.monotonicMilliseconds + milliseconds)
    }

    private static func token(_ number: Int) -> String { mint(claims([("jti", "\"\(number)\"")])) }

    @Test("A token is found by all of its bytes and nothing less")
    func exactly() throws {
        let bench = Bench()
        let token = mint(claims())
        #expect(!bench.has(token))
        try bench.admit(token)
        #expect(bench.has(token))
        #expect(!bench.has(token + "A"))
        #expect(!bench.has(String(token.dropLast())))
        #expect(!bench.has(""))
        for place in [0, 10, token.utf8.count / 2, token.utf8.count - 1] {
            var other = Array(token.utf8)
            other[place] ^= 1
            #expect(!bench.has(String(decoding: other, as: UTF8.self)))
        }
        #expect(bench.has(token))
    }

    @Test("What is found is the verified token itself")
    func identity() throws {
        let bench = Bench()
        let bytes = Array(mint(claims()).utf8)
        let verified = try bench.verifier.verify(bytes.span, now: mintedAt)
        bench.cache.insert(verified, bench.cache.key(of: bytes.span), at: Self.start)
        let found = bench.find(bytes, trustedBy: bench.verifier)
        #expect(found === verified)
    }

    @Test("Each hit looks at exp and nbf again, whatever the wall clock does")
    func times() throws {
        let bench = Bench()
        let token = mint(claims([("exp", "1700000100"), ("nbf", "1700000000")]))
        try bench.admit(token)
        #expect(bench.has(token, at: Self.later(seconds: 99)))
        #expect(!bench.has(token, at: Self.later(seconds: 100)))
        #expect(bench.cache.count == 0)
        // Dropped when it was found expired: a clock that steps back does not revive it.
        #expect(!bench.has(token))
        try bench.admit(token)
        #expect(bench.has(token, at: Self.later(seconds: -120)))
        #expect(!bench.has(token, at: Self.later(seconds: -121)))
    }

    @Test("An entry ends at its age by the monotonic clock, however the wall clock steps")
    func age() throws {
        let bench = Bench()
        let token = mint(claims())
        try bench.admit(token)
        #expect(bench.has(token, at: Self.later(milliseconds: 299_999)))
        #expect(bench.has(token, at: Self.later(seconds: -100, milliseconds: 299_999)))
        #expect(!bench.has(token, at: Self.later(seconds: -100, milliseconds: 300_000)))
        #expect(bench.cache.count == 0)
        try bench.admit(token)
        #expect(!bench.has(token, at: Self.later(milliseconds: -1)))
    }

    @Test("A key that goes ends its tokens; a refresh that changes nothing keeps them")
    func keys() throws {
        let bench = Bench(Self.limits, rules())
        bench.verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        let rsa = mintedTokens[0].token
        let p256 = try #require(mintedTokens.first { $0.key == "p256" }).token
        try bench.admit(rsa)
        try bench.admit(p256)
        bench.verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        #expect(bench.has(rsa) && bench.has(p256))
        bench.verifier.replaceKeys(
            of: KeyPlace(issuer: 0),
            with: try keySet(jwk("p256", adding: ",\"kid\":\"p256\""), jwk("p384")))
        #expect(bench.has(p256))
        #expect(!bench.has(rsa))
        #expect(bench.has(p256))
        // Back again: the token has to be verified anew.
        bench.verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        #expect(!bench.has(rsa))
        #expect(bench.has(p256))
    }

    @Test(
        "The same key under another kid or another alg is another key",
        arguments: [
            #","kid":"other""#, #","kid":"rsa","alg":"RS256""#, #","kid":"rsa","use":"enc""#, "",
        ])
    func changedKey(_ members: String) throws {
        let bench = Bench(Self.limits, rules())
        bench.verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        try bench.admit(mintedTokens[0].token)
        bench.verifier.replaceKeys(
            of: KeyPlace(issuer: 0), with: try keySet(jwk("rsa", adding: members)))
        #expect(!bench.has(mintedTokens[0].token))
    }

    @Test("Tokens verified under another policy do not count")
    func policy() throws {
        let bench = Bench()
        let token = Array(mint(claims()).utf8)
        let old = try bench.verifier.verify(token.span, now: mintedAt)
        bench.cache.insert(old, bench.cache.key(of: token.span), at: Self.start)
        let next = TokenVerifier([secretRules()], policyNumber: 1)
        let found = bench.find(token, trustedBy: next)
        #expect(found == nil)
        let none = bench.find(token, trustedBy: bench.verifier)
        #expect(none == nil)
    }

    @Test("5,000 rotating tokens all hit in a cache for 10,000")
    func rotation() throws {
        let bench = Bench(TokenCacheLimits())
        let tokens = (0..<5_000).map(Self.token)
        for token in tokens { try bench.admit(token) }
        for _ in 0..<2 {
            let hits = tokens.count { bench.has($0) }
            #expect(hits == 5_000)
        }
    }

    @Test("A few more tokens in rotation than fit still hit mostly")
    func overfullRotation() throws {
        let bench = Bench(TokenCacheLimits(entries: 400, bytes: 16 << 20))
        let tokens = (0..<440).map(Self.token)
        var hits = 0
        for round in 0..<12 {
            for token in tokens {
                if bench.has(token) {
                    hits += round < 2 ? 0 : 1
                } else {
                    try bench.admit(token)
                }
            }
        }
        #expect(hits > 4_400 * 6 / 10)
    }

    @Test("The limits hold at every moment, in entries and in bytes")
    func limits() throws {
        let few = Bench(TokenCacheLimits(entries: 7, bytes: 1 << 20, maxAgeMilliseconds: 1_000))
        for number in 0..<50 {
            try few.admit(Self.token(number))
            #expect(few.cache.count == min(number + 1, 7))
            #expect(few.has(Self.token(number)))
        }
        let small = Bench(
            TokenCacheLimits(entries: 1_000, bytes: 20_000, maxAgeMilliseconds: 1_000))
        for number in 0..<50 {
            try small.admit(Self.token(number))
            #expect(small.cache.bytes <= 20_000)
            #expect(small.has(Self.token(number)))
        }
        #expect(small.cache.count > 5)
        small.cache.removeAll()
        #expect(small.cache.count == 0 && small.cache.bytes == 0)
        #expect(!small.has(Self.token(49)))
    }

    @Test(
        "A cache of no entries or too few bytes keeps nothing and works",
        arguments: [(0, 1 << 20), (10, 100)])
    func off(_ entries: Int, _ bytes: Int) throws {
        let bench = Bench(
            TokenCacheLimits(entries: entries, bytes: bytes, maxAgeMilliseconds: 1_000))
        try bench.admit(mint(claims()))
        #expect(!bench.has(mint(claims())))
        #expect(bench.cache.count == 0)
    }

    @Test("Tokens in use outlive a run of tokens that come once")
    func scanResistance() throws {
        let bench = Bench()
        // Half of the cache; the other half is for passers-by.
        let regulars = (0..<50).map(Self.token)
        for token in regulars { try bench.admit(token) }
        for number in 1_000..<1_600 {
            if number % 10 == 0 { for token in regulars { _ = bench.has(token) } }
            try bench.admit(Self.token(number))
        }
        let kept = regulars.count { bench.has($0) }
        #expect(kept >= 40)
    }

    @Test("Entries removed from the middle of their chains leave the others to be found")
    func chains() throws {
        let bench = Bench(TokenCacheLimits(entries: 500, bytes: 1 << 20, maxAgeMilliseconds: 1_000))
        for round in 0..<20 {
            let expiring = (0..<40).map {
                mint(claims([("jti", "\"e\(round)-\($0)\""), ("exp", "1700000070")]))
            }
            let lasting = (0..<20).map { Self.token(round * 100 + $0) }
            for (number, token) in expiring.enumerated() {
                try bench.admit(token)
                if number % 2 == 0 { try bench.admit(lasting[number / 2]) }
            }
            let after = Self.later(seconds: 100)
            #expect(!expiring.contains { bench.has($0, at: after) })
            #expect(lasting.allSatisfy { bench.has($0, at: after) })
            #expect(bench.cache.count == 20 * (round + 1))
        }
    }

    @Test("The same token again takes the place of the earlier entry")
    func again() throws {
        let bench = Bench()
        for _ in 0..<10 { try bench.admit(mint(claims())) }
        #expect(bench.cache.count == 1)
    }
}
