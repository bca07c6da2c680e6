import JWT
import OpenSSL
import Testing

/// Keys that check so much that a table of their multiples pays.
@Suite struct BusyKeyTests {
    /// More than any key waits for before it asks.
    private static let many = 1100

    private static let token = mintedTokens.first { $0.name == "ES256 with p256" }?.token ?? ""

    /// The tables that were asked for.
    private final class Asked {
        var keys: [PublicKey] = []
    }

    private func verifier(_ asked: Asked) throws -> TokenVerifier {
        let verifier = TokenVerifier([rules()]) { key in
            asked.keys.append(key)
        }
        verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try allKeys())
        return verifier
    }

    private func forged() -> String {
        var segments = Self.token.split(separator: ".").map(String.init)
        segments[1] = encoded(Array(claims([("sub", "\"mallory\"")]).utf8))
        return segments.joined(separator: ".")
    }

    private func judge(_ token: String, _ verifier: TokenVerifier) -> Result<String?, TokenError> {
        Result { () throws(TokenError) in
            try verifier.verify(Array(token.utf8).span, now: mintedAt).subject
        }
    }

    @Test("A busy key asks for a table once, and with it judges as before")
    func table() throws {
        let asked = Asked()
        let verifier = try verifier(asked)
        for _ in 0..<Self.many { #expect(judge(Self.token, verifier) == .success("alice")) }
        #expect(asked.keys.count == 1)
        let key = try #require(asked.keys.first)
        verifier.adopt(try PointTable(key))
        for _ in 0..<3 {
            #expect(judge(Self.token, verifier) == .success("alice"))
            #expect(judge(forged(), verifier) == .failure(.badSignature))
        }
    }

    @Test("A table that comes when its key has gone brings nothing back")
    func late() throws {
        let asked = Asked()
        let verifier = try verifier(asked)
        for _ in 0..<Self.many { #expect(judge(forged(), verifier) == .failure(.badSignature)) }
        let table = try PointTable(try #require(asked.keys.first))
        verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try keySet(jwk("rsa")))
        verifier.adopt(table)
        #expect(judge(Self.token, verifier) == .failure(.unknownKey))
        verifier.replaceKeys(of: KeyPlace(issuer: 0), with: nil)
        verifier.adopt(table)
        #expect(judge(Self.token, verifier) == .failure(.keysUnavailable))
    }
}
