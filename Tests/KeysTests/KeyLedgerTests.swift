import Bytes
import JSON
import JWT
import Keys
import Testing

@Suite struct KeyLedgerTests {
    private static let firstKey =
        #"{"kty":"EC","crv":"P-256","kid":"a","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#
    private static let secondKey =
        #"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#

    private static func set(_ keys: String...) throws -> JWKSet {
        let text = Array("{\"keys\":[\(keys.joined(separator: ","))]}".utf8)
        return try JWKSet(fetched: text.span)
    }

    private static func schedule(now: Int64) throws -> KeySchedule {
        let url = try #require(FetchURL("https://h/keys"))
        return KeySchedule(policy: KeyFetchPolicy(location: .url(url)), now: now, seed: 1)
    }

    private static func read(_ status: IssuerKeyStatus) throws -> IssuerKeyStatus? {
        var output = ByteBuffer()
        status.write(to: &output)
        let value = try output.withBytes { bytes throws(JSONError) in
            try JSONValue(parsing: bytes)
        }
        return IssuerKeyStatus(value)
    }

    @Test("Before anything happened there is nothing to tell")
    func empty() throws {
        let ledger = KeyLedger(issuer: "login", source: "https://h/keys")
        let status = ledger.status(try Self.schedule(now: 0), milliseconds: 0, now: 1_000)
        #expect(status.state == .none)
        #expect(status.obtainedFrom == nil)
        #expect(status.nextFetchAt == 1_000)
        #expect(status.keys.isEmpty)
        #expect(try Self.read(status) == status)
    }

    @Test("Each key is described, and what was skipped with its reason")
    func description() throws {
        var ledger = KeyLedger(issuer: "login", tenant: "contoso", source: "https://h/keys")
        let set = try Self.set(
            Self.firstKey, #"{"kty":"oct","kid":"s","k":"AAAA"}"#, Self.secondKey)
        var schedule = try Self.schedule(now: 5_000)
        _ = schedule.tick(now: 5_000)
        schedule.succeeded(freshFor: nil, now: 5_000)
        ledger.took(set, from: .fetch, fetchedAt: 1_000, now: 1_000)
        let status = ledger.status(schedule, milliseconds: 65_000, now: 1_060)
        #expect(status.state == .fresh)
        #expect(status.age == 60)
        #expect(status.staleUntil == 87_400)
        #expect(status.counts.fetches == 1)
        #expect(status.keys.map(\.keyID) == ["a", nil])
        #expect(status.keys.map(\.type) == ["EC", "OKP"])
        #expect(status.keys.map(\.size) == ["P-256", "Ed25519"])
        #expect(status.keys.map(\.algorithm) == [nil, "EdDSA"])
        // RFC 8037, appendix A.3.
        #expect(status.keys[1].thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        #expect(status.skipped.map(\.reason) == ["symmetric"])
        #expect(status.skipped.map(\.index) == [1])
        #expect(status.skipped.map(\.keyID) == ["s"])
        #expect(try Self.read(status) == status)
    }

    @Test("First seen and last used survive a new set that still has the key")
    func rotation() throws {
        var ledger = KeyLedger(issuer: "login", source: "s")
        ledger.took(try Self.set(Self.firstKey), from: .snapshot, fetchedAt: 10, now: 20)
        let thumbprint = try #require(try Self.set(Self.firstKey).keys.first).thumbprint
        ledger.used(thumbprint, at: 30)
        ledger.used(thumbprint, at: 25)
        ledger.used([1, 2, 3], at: 99)
        ledger.took(
            try Self.set(Self.secondKey, Self.firstKey), from: .fetch, fetchedAt: 40, now: 40)
        var status = ledger.status(nil, milliseconds: 0, now: 50)
        #expect(status.keys.map(\.firstSeen) == [40, 20])
        #expect(status.keys.map(\.lastUsed) == [nil, 30])
        #expect(status.obtainedFrom == .fetch)
        // The same numbers under another kid are another key.
        let renamed = Self.firstKey.replacing("\"a\"", with: "\"b\"")
        ledger.took(try Self.set(renamed), from: .fetch, fetchedAt: 60, now: 60)
        status = ledger.status(nil, milliseconds: 0, now: 60)
        #expect(status.keys.map(\.firstSeen) == [60])
        #expect(status.keys.map(\.lastUsed) == [nil])
    }

    @Test("Faults, confirmations and withdrawals are told")
    func events() throws {
        var ledger = KeyLedger(issuer: "login", source: "s")
        ledger.took(try Self.set(Self.firstKey), from: .fetch, fetchedAt: 10, now: 10)
        ledger.failed(.status(503), at: 20)
        ledger.confirmed(at: 30)
        var status = ledger.status(nil, milliseconds: 0, now: 35)
        #expect(status.fetchedAt == 30)
        #expect(status.lastFault?.reason == "status")
        #expect(status.lastFault?.text == "the answer was 503")
        #expect(status.lastFault?.at == 20)
        #expect(try Self.read(status) == status)
        ledger.withdrew()
        status = ledger.status(nil, milliseconds: 0, now: 40)
        #expect(status.state == .none)
        #expect(status.keys.isEmpty)
        #expect(status.age == nil)
        #expect(status.lastFault?.at == 20)
    }

    @Test("What was wrong with every key of a set is told where there are no others")
    func rejected() throws {
        var ledger = KeyLedger(issuer: "login", source: "s")
        let text = Array(#"{"keys":[{"kty":"oct","kid":"s","k":"AAAA"}]}"#.utf8)
        let unusable = try JWKSet(parsing: text.span)
        ledger.failed(.noUsableKey, at: 5)
        ledger.rejected(unusable)
        let skipped = { ledger.status(nil, milliseconds: 0, now: 10).skipped.map(\.reason) }
        #expect(skipped() == ["symmetric"])
        ledger.failed(.timeout, at: 6)
        #expect(skipped() == ["symmetric"])
        ledger.took(try Self.set(Self.firstKey), from: .fetch, fetchedAt: 7, now: 7)
        #expect(skipped() == [])
        ledger.rejected(unusable)
        #expect(skipped() == [], "those of the set in force are told")
        ledger.withdrew()
        ledger.rejected(unusable)
        #expect(skipped() == ["symmetric"])
    }

    @Test("Keys that are not fetched are fresh for ever")
    func local() throws {
        var ledger = KeyLedger(issuer: "login", source: "secret.bin")
        ledger.tookSecret(now: 10)
        let status = ledger.status(nil, milliseconds: 0, now: 1_000_000)
        #expect(status.state == .fresh)
        #expect(status.obtainedFrom == .secret)
        #expect(status.nextFetchAt == nil)
        #expect(try Self.read(status) == status)
    }

    @Test("A kid of any length and content is shown shortened and as valid JSON")
    func keyIDs() throws {
        for kid in [String(repeating: "é", count: 10_000), "\u{1b}[31m\u{0}\"\\\r\n", ""] {
            var text = ByteBuffer()
            text.appendJSONString(kid)
            let written = text.withBytes { String(validating: $0) } ?? ""
            let key = Self.firstKey.replacing("\"a\"", with: written)
            var ledger = KeyLedger(issuer: "login", source: "s")
            ledger.took(
                try Self.set(key, #"{"kty":"x","kid":\#(written)}"#), from: .fetch, fetchedAt: 0,
                now: 0)
            let status = ledger.status(nil, milliseconds: 0, now: 0)
            let shown = try #require(status.keys.first?.keyID)
            #expect(shown.utf8.count <= 256 + 3)
            #expect(kid.hasPrefix(shown.filter { $0 != "…" }))
            #expect(status.skipped.first?.keyID == shown)
            #expect(try Self.read(status) == status)
        }
    }

    @Test("No clock traps", arguments: [Int64.min, -1, 0, .max], [Int64.min, -1, 0, .max])
    func edges(milliseconds: Int64, now: Int64) throws {
        var ledger = KeyLedger(issuer: "login", source: "s")
        ledger.took(try Self.set(Self.firstKey), from: .fetch, fetchedAt: .min, now: now)
        var schedule = try Self.schedule(now: 0)
        schedule.succeeded(freshFor: nil, now: .max)
        let status = ledger.status(schedule, milliseconds: milliseconds, now: now)
        #expect(try Self.read(status) == status)
    }

    @Test(
        "What is no status is not read as one",
        arguments: [
            "null", "[]", "{}", #"{"issuer":"a"}"#,
            #"{"issuer":"a","source":"s","state":"good","fetches":0,"failures":0,"unknownKeyFetches":0,"keys":[],"skipped":[]}"#,
            #"{"issuer":"a","source":"s","state":"none","fetches":-0.5,"failures":0,"unknownKeyFetches":0,"keys":[],"skipped":[]}"#,
            #"{"issuer":"a","source":"s","state":"none","fetches":0,"failures":0,"unknownKeyFetches":0,"keys":{},"skipped":[]}"#,
        ])
    func noStatus(text: String) throws {
        #expect(IssuerKeyStatus(try JSONValue(parsing: Array(text.utf8).span)) == nil)
    }

    @Test(
        "A set that gives no usable key is a failed look",
        arguments: [
            ("", .notJSON), ("<html>", .notJSON), ("{}", .notAKeySet),
            (#"{"keys":{}}"#, .notAKeySet),
            (#"{"keys":[]}"#, .noUsableKey), (#"{"keys":[{"kty":"oct","k":"AA"}]}"#, .noUsableKey),
            (#"{"keys":[{"kty":"AKP","alg":"ML-DSA-44"}]}"#, .noUsableKey),
            (#"{"keys":[],"keys":[]}"#, .notJSON),
        ] as [(String, KeyFault)])
    func noKeys(text: String, fault: KeyFault) {
        let bytes = Array(text.utf8)
        #expect(throws: fault) { try JWKSet(fetched: bytes.span) }
    }

    @Test("A set that is too large, or has too many keys, is a failed look")
    func tooMuch() {
        let many = Array("{\"keys\":[\(String(repeating: "1,", count: 256))1]}".utf8)
        #expect(throws: KeyFault.tooManyKeys) { try JWKSet(fetched: many.span) }
        let large = [UInt8](repeating: 0x20, count: (512 << 10) + 1)
        #expect(throws: KeyFault.tooLarge) { try JWKSet(fetched: large.span) }
    }
}
