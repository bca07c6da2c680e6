import JWT
import Testing

/// Tokens and sets with random damage: whatever comes of it, nothing traps and nothing false
/// verifies.
@Suite struct MutationTests {
    /// A generator with a fixed start, so that a failure can be repeated.
    private struct Dice: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    @Test("A token with any damage is refused", arguments: mintedTokens)
    func tokens(_ name: String, _ token: String, _ key: String) throws {
        let verifier = TokenVerifier([key == "secret" ? secretRules() : rules()])
        if key != "secret" { verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys()) }
        var dice = Dice(state: 7)
        let good = Array(token.utf8)
        for _ in 0..<150 {
            let bad = damaged(good, &dice)
            guard bad != good else { continue }
            #expect(throws: TokenError.self) { try verifier.verify(bad.span, now: mintedAt) }
        }
    }

    @Test("Claims and headers with any damage, rightly signed, never trap")
    func signedDamage() {
        let verifier = TokenVerifier([secretRules()])
        var dice = Dice(state: 11)
        let payload = Array(
            claims([
                ("nbf", "1.5e9"), ("scope", "\"a b\""), ("scp", "[\"c\",1]"), ("n", "-0.0E-12"),
            ])
            .utf8)
        let header = Array(#"{"alg":"HS256","typ":"at+jwt","kid":"k\u0041"}"#.utf8)
        for _ in 0..<400 {
            let token = mint(
                damaged(payload, &dice),
                header: Bool.random(using: &dice) ? header : damaged(header, &dice),
                key: decoded(sharedSecret))
            _ = refusal(token, by: verifier)
        }
    }

    @Test("A set with any damage gives keys or a failure, and never a key that was not in it")
    func sets() throws {
        var dice = Dice(state: 13)
        let members = publicJWKs.keys.sorted().map { jwk($0, adding: ",\"kid\":\"\($0)\"") }
        let text = Array("{\"keys\":[\(members.joined(separator: ","))]}".utf8)
        for _ in 0..<300 {
            let bad = damaged(text, &dice)
            if let set = try? JWKSet(parsing: bad.span) { #expect(set.keys.count <= members.count) }
        }
    }

    private func damaged(_ bytes: [UInt8], _ dice: inout Dice) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &dice) {
            guard let place = bytes.indices.randomElement(using: &dice) else { return bytes }
            switch Int.random(in: 0..<5, using: &dice) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
            case 1: bytes[place] = .random(in: .min ... .max, using: &dice)
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(bytes[place], at: place)
            default: bytes.removeSubrange(place..<min(place + 9, bytes.count))
            }
        }
        return bytes
    }
}
