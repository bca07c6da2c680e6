import Bytes
import Keys
import OpenSSL
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

    @Test("Any changed, lost or added byte makes a snapshot damaged, never another set")
    func damaged() {
        let bytes = Self.bytes(Self.snapshot(tag: "\"v1\""))
        #expect(Self.fault(bytes) == nil)
        for i in bytes.indices {
            var changed = bytes
            changed[i] ^= 1 << UInt8(i % 8)
            #expect(Self.fault(changed) == .snapshotDamaged)
            #expect(Self.fault(Array(bytes[..<i])) == .snapshotDamaged)
        }
        #expect(Self.fault(bytes + [0x0a]) == .snapshotDamaged)
        #expect(Self.fault(bytes + bytes) == .snapshotDamaged)
        #expect(Self.fault([]) == .snapshotDamaged)
        #expect(Self.fault([UInt8](repeating: 0, count: 5 << 20)) == .snapshotDamaged)
        #expect(Self.fault([UInt8](repeating: 0x7b, count: 4 << 20)) == .snapshotDamaged)
    }

    @Test(
        "A snapshot serves only the issuer, tenant and source it was taken from",
        arguments: [
            ("https://login.example.com", nil, "https://login.example.com/jwks.json"),
            ("https://login.example.com/", "", "https://login.example.com/jwks.json"),
            ("https://login.example.com/", "a", "https://login.example.com/jwks.json"),
            ("https://login.example.com/", nil, "https://login.example.com/jwks"),
            ("https://login.example.com/", nil, "discovery https://login.example.com/"),
            ("https://login.example.com/jwks.json", nil, "https://login.example.com/"),
        ] as [(String, String?, String)])
    func others(issuer: String, tenant: String?, source: String) {
        let other = KeySetIdentity(issuer: issuer, tenant: tenant, source: source)
        #expect(Self.fault(Self.bytes(Self.snapshot()), of: other) == .snapshotOfAnother)
        #expect(other.fileName != Self.identity.fileName)
    }

    @Test(
        "Age and clock decide whether a snapshot is still believed",
        arguments: [
            (0, nil), (86_399, nil), (86_400, .snapshotTooOld), (1 << 40, .snapshotTooOld),
            (.max, .snapshotTooOld), (-1, nil), (-300, nil), (-301, .snapshotFromFuture),
            (-1_000_000_000, .snapshotFromFuture),
        ] as [(Int64, KeyFault?)])
    func times(age: Int64, fault: KeyFault?) {
        let bytes = Self.bytes(Self.snapshot(fetchedAt: Self.now &- age))
        #expect(Self.fault(bytes) == fault)
    }

    @Test(
        "No clock and no time in a file traps",
        arguments: [Int64.min, -1, 0, .max], [Int64.min, -1, 0, .max])
    func edges(fetchedAt: Int64, now: Int64) {
        let snapshot = Self.snapshot(fetchedAt: fetchedAt)
        _ = Self.fault(Self.bytes(snapshot), maxStale: .max, now: now)
        _ = Self.fault(Self.bytes(snapshot), maxStale: .min, now: now)
        #expect(snapshot.age(unixSeconds: now) >= 0)
    }

    @Test(
        "A whole file of another form is damaged too",
        arguments: [
            "{}", "[]", #"{"format":1}"#,
            #"{"format":2,"issuer":"i","source":"s","keySet":"","fetchedAt":0}"#,
            #"{"format":"1","issuer":"i","source":"s","keySet":"","fetchedAt":0}"#,
            #"{"format":1,"issuer":1,"source":"s","keySet":"","fetchedAt":0}"#,
            #"{"format":1,"issuer":"i","source":"s","keySet":{},"fetchedAt":0}"#,
            #"{"format":1,"issuer":"i","source":"s","keySet":"","fetchedAt":1e400}"#,
            #"{"format":1,"issuer":"i","source":"s","keySet":"","fetchedAt":0.5}"#,
            #"{"format":1,"issuer":"i","issuer":"i","source":"s","keySet":"","fetchedAt":0}"#,
        ])
    func forms(body: String) {
        // What the digest covers ends before the object does.
        let start = Array(body.utf8.dropLast())
        let digest = SHA256.digest(of: start.span)
        let hexadecimal = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let bytes = start + Array(",\"sha256\":\"\(hexadecimal)\"}\n".utf8)
        let identity = KeySetIdentity(issuer: "i", tenant: nil, source: "s")
        #expect(Self.fault(bytes, of: identity) == .snapshotDamaged)
    }

    @Test("An entity tag that is too long is forgotten, the keys are not")
    func longTag() {
        let tag = String(repeating: "a", count: 1025)
        #expect(Self.snapshot(tag: tag).entityTag == nil)
        #expect(Self.fault(Self.bytes(Self.snapshot(tag: tag))) == nil)
        #expect(Self.snapshot(tag: String(tag.dropLast())).entityTag != nil)
    }

    @Test("The largest set there may be is read again, however it is escaped")
    func largest() {
        let text = String(repeating: "\u{7f}", count: 512 << 10)
        let snapshot = KeySnapshot(
            identity: Self.identity, fetchedAt: Self.now, entityTag: nil, text: text)
        #expect(Self.fault(Self.bytes(snapshot)) == nil)
    }

    @Test("File names are digests that no part can be moved between")
    func fileNames() {
        let parts: [(String, String?, String)] = [
            ("a", "b", "c"), ("ab", "", "c"), ("a", "", "bc"), ("a", nil, "bc"), ("", "ab", "c"),
            ("a", "bc", ""), ("1:a", "b", "c"), ("../../etc/passwd", nil, "/"),
        ]
        let names = parts.map { KeySetIdentity(issuer: $0, tenant: $1, source: $2).fileName }
        #expect(Set(names).count == parts.count)
        #expect(names.allSatisfy { $0.wholeMatch(of: /[0-9a-f]{64}/) != nil })
    }
}
