import Foundation
import JWT
import Keys
import OpenSSL
import Testing

/// Sets in the shapes of large providers: `Tests/fixtures/keys`, written by
/// `scripts/vectors/keysets.py`, which computes what is to be taken of each by itself.
@Suite struct RealKeySetTests {
    struct Expected: Decodable {
        struct Usable: Decodable, Equatable {
            let kid: String?
            let alg: String?
            let thumbprint: String
        }

        struct Skipped: Decodable, Equatable {
            let index: Int
            let reason: String
        }

        let usable: [Usable]
        let skipped: [Skipped]
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "fixtures/keys")

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appending(path: "\(name).json")))
    }

    @Test(
        "Of each provider's set all keys for signatures are taken, and no other",
        arguments: [
            "entra", "google", "auth0", "okta", "keycloak", "cognito", "kubernetes",
            "github-actions", "old-libraries", "mixed",
        ])
    func sets(name: String) throws {
        let all = try JSONDecoder().decode(
            [String: Expected].self, from: Data(try Self.bytes("expected")))
        let expected = try #require(all[name])
        let text = try Self.bytes(name)
        let set = try JWKSet(fetched: text.span)
        let usable = set.keys.map { key in
            Expected.Usable(
                kid: key.keyID, alg: key.algorithm?.name,
                thumbprint: String(decoding: Base64URL.encode(key.thumbprint), as: UTF8.self))
        }
        #expect(usable == expected.usable)
        let skipped = set.skipped.map { Expected.Skipped(index: $0.index, reason: $0.reason.text) }
        #expect(skipped == expected.skipped)
    }

    @Test("No flipped, lost or added byte traps, or makes a secret a key")
    func mutations() throws {
        var random = SplitMix(seed: 3)
        for name in ["keycloak", "old-libraries", "mixed"] {
            let bytes = try Self.bytes(name)
            for _ in 0..<50 {
                var changed = bytes
                let place = random.below(bytes.count)
                switch random.below(4) {
                case 0: changed[place] ^= 1 << UInt8(random.below(8))
                case 1: changed.remove(at: place)
                case 2: changed.insert(UInt8(random.below(256)), at: place)
                default: changed.removeSubrange(place..<min(bytes.count, place + 40))
                }
                let set = try? JWKSet(parsing: changed.span)
                let names = set?.keys.compactMap(\.keyID) ?? []
                #expect(!names.contains("hs") && !names.contains("secret"))
                _ = try? DiscoveryDocument(parsing: changed.span, expecting: "a")
            }
        }
    }
}
