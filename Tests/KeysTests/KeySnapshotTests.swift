import Bytes
import Keys
import Testing

@Suite struct KeySnapshotTests {
    private static let identity = KeySetIdentity(
        issuer: "https://login.example.com/", tenant: nil,
        source: "https://login.example.com/jwks.json")
    private static let now: Int64 = 1_800_000_000
    private static let text = #"{"keys":[{"kty":"RSA","kid":"\u00e9\"/"}]}"# + "\n\t\u{7f}é"
    private static let maxStale: Int64 = 86_400_000

    private static func snapshot(
        of identity: KeySetIdentity = identity, fetchedAt: Int64 = now - 60, tag: String? = nil
    ) -> KeySnapshot {
        KeySnapshot(identity: identity, fetchedAt: fetchedAt, entityTag: tag, text: text)
    }

    private static func bytes(_ snapshot: KeySnapshot) -> [UInt8] {
        var output = ByteBuffer()
        snapshot.encode(to: &output)
        return output.withBytes { Array(copying: $0) }
    }

    private static func fault(
        _ bytes: [UInt8], of identity: KeySetIdentity = identity, maxStale: Int64 = maxStale,
        now: Int64 = now
    ) -> KeyFault? {
        do throws(KeyFault) {
            _ = try KeySnapshot(
                decoding: bytes.span, of: identity, maxStale: maxStale, unixSeconds: now)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "What was written is read again",
        arguments: [nil, "\"abc\"", "W/\"x\\y\"", ""] as [String?],
        [nil, "contoso", ""] as [String?])
    func roundTrip(tag: String?, tenant: String?) throws {
        let identity = KeySetIdentity(issuer: "a\"\n", tenant: tenant, source: "discovery a")
        let snapshot = Self.snapshot(of: identity, tag: tag)
        let bytes = Self.bytes(snapshot)
        let read = try KeySnapshot(
            decoding: bytes.span, of: identity, maxStale: Self.maxStale, unixSeconds: Self.now)
        #expect(read == snapshot)
        #expect(read.age(unixSeconds: Self.now) == 60_000)
    }
}
