import Bytes
import JSON
import JWT
import Testing

@testable import Keys

/// Readers of what comes from outside against texts that were right and are not any more. What a
/// reader makes of them must be valid by its own rules, and nothing may trap.
@Suite struct MutationTests {
    private static let urls = [
        "https://login.example.com:8443/a/b/../c?x=1&y=%2F", "http://[2001:db8::1]:80/x",
        "https://127.0.0.1/.well-known/jwks.json", "https://{tenant}.example.com/keys",
        "//other/x", "../../y?z", "https://a.b.c",
    ]
    private static let fields = [
        "public, max-age=19080, must-revalidate, no-transform", "max-age=\"300\", s-maxage=5",
        "no-cache=\"a\", no-store", "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "2147483648", "0",
    ]

    private static let marks = Array(":/?#[]@%{}\\\r\n\t \"=,;.-0\u{0}".utf8)

    /// A text with up to four bytes flipped, removed, doubled or made interesting ones.
    private static func mutated(_ text: String, _ random: inout SplitMix) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0...random.below(4) where !bytes.isEmpty {
            let place = random.below(bytes.count)
            switch random.below(5) {
            case 0: bytes[place] ^= 1 << UInt8(random.below(8))
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(bytes[place], at: place)
            case 3: bytes[place] = marks[random.below(marks.count)]
            default: bytes.removeSubrange(place..<min(bytes.count, place + random.below(8)))
            }
        }
        return bytes
    }

    @Test("Whatever becomes a URL has one form, and nothing in it ends a line or hides a host")
    func urls() {
        var random = SplitMix(seed: 17)
        let base = FetchURL("https://login.example.com/a/b?c")
        for round in 0..<20_000 {
            let text = String(
                decoding: Self.mutated(Self.urls[round % Self.urls.count], &random), as: UTF8.self)
            for url in [FetchURL(text), base?.resolving(text)].compactMap({ $0 }) {
                let bytes = Array(url.text.utf8)
                #expect(bytes.allSatisfy { ASCII.isVisible($0) && $0 != UInt8(ascii: "\\") })
                #expect(FetchURL(url.text) == url)
                #expect(!url.authority.contains("@") && url.target.hasPrefix("/"))
                #expect(url.port > 0 && !url.host.isEmpty)
            }
            guard case .tenantURL(let pattern) = KeyLocation(url: text) else { continue }
            let tenant = KeyLocation(url: pattern)?.forTenant("evil.example")
            guard case .url(let url) = tenant else { continue }
            // A tenant may be a label before a domain, never a domain.
            #expect(!url.host.hasSuffix("evil.example"))
        }
    }

    @Test("Whatever an answer's fields say, the lifetime is within its bounds")
    func freshness() {
        var random = SplitMix(seed: 18)
        let names = ["cache-control", "expires", "date", "age"]
        for _ in 0..<20_000 {
            var freshness = Freshness()
            for _ in 0...random.below(4) {
                let value = Self.mutated(Self.fields[random.below(Self.fields.count)], &random)
                let name = Array(names[random.below(4)].utf8)
                freshness.read(name.span, value.span)
            }
            let lifetime = freshness.lifetime(unixSeconds: 1_800_000_000) ?? Freshness.shortest
            #expect((Freshness.shortest...Freshness.longest).contains(lifetime))
        }
    }

    @Test("Whatever becomes a document names a URL and exactly the issuer")
    func documents() {
        var random = SplitMix(seed: 19)
        let text =
            #"{"a":[1,{"b":null}],"issuer":"https://h/","jwks_uri":"https://h/k\u002f?x=%20"}"#
        for _ in 0..<10_000 {
            let bytes = Self.mutated(text, &random)
            let document = try? DiscoveryDocument(parsing: bytes.span, expecting: "https://h/")
            guard let document else { continue }
            #expect(document.keysURL.isSecure)
            let value = try? JSONValue(parsing: bytes.span)
            #expect(value?.object?["issuer"]?.string == "https://h/")
        }
    }

    @Test("Whatever becomes a status can be written and read again")
    func statuses() throws {
        var random = SplitMix(seed: 20)
        var ledger = KeyLedger(issuer: "login", tenant: "t", source: "https://h/k")
        let text =
            #"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},1]}"#
        let set = try JWKSet(fetched: Array(text.utf8).span)
        ledger.took(set, from: .fetch, fetchedAt: 1, now: 2)
        ledger.failed(.tls("certificate: expired"), at: 3)
        var written = ByteBuffer()
        ledger.status(nil, milliseconds: 0, now: 4).write(to: &written)
        let status = written.withBytes { String(validating: $0) } ?? ""
        #expect(status.contains("certificate: expired"))
        var readCount = 0
        for _ in 0..<5_000 {
            let bytes = Self.mutated(status, &random)
            guard let value = try? JSONValue(parsing: bytes.span),
                let read = IssuerKeyStatus(value)
            else { continue }
            readCount += 1
            var output = ByteBuffer()
            read.write(to: &output)
            let again = try output.withBytes { bytes throws(JSONError) in
                IssuerKeyStatus(try JSONValue(parsing: bytes))
            }
            #expect(again == read)
        }
        #expect(readCount > 100)
    }
}
