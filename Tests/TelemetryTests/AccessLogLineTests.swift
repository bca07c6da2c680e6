import Bytes
import Foundation
import Telemetry
import Testing

@Suite struct AccessLogLineTests {
    /// What a line is made from; empty texts are facts that are not known.
    struct Facts {
        var requestID: [UInt8] = []
        var client: [UInt8] = []
        var method: [UInt8] = []
        var host: [UInt8] = []
        var path: [UInt8] = []
        var route: [UInt8] = []
        var subject: [UInt8] = []
        var issuer: [UInt8] = []
        var tokenID: [UInt8] = []
        var upstream: [UInt8] = []
        var outcome = ExchangeOutcome()
    }

    private func written(_ facts: Facts) -> [UInt8] {
        var output = ByteBuffer()
        var clock = Timestamp()
        var line = AccessLogLine()
        line.begin(
            atUnixMilliseconds: 1_767_225_600_123, clock: &clock, requestID: facts.requestID.span,
            client: facts.client.span, method: facts.method.span, host: facts.host.span,
            path: facts.path.span, route: facts.route.span)
        line.identify(
            subject: facts.subject.span, issuer: facts.issuer.span, tokenID: facts.tokenID.span)
        line.finish(facts.outcome, upstream: facts.upstream.span, to: &output)
        return output.withBytes { Array(copying: $0) }
    }

    private func object(_ bytes: [UInt8]) throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(bytes))
        return try #require(value as? [String: Any])
    }

    @Test("All facts stand in the line, in a fixed order")
    func everything() {
        var facts = Facts()
        facts.requestID = Array("r-1".utf8)
        facts.client = Array("192.0.2.1".utf8)
        facts.method = Array("GET".utf8)
        facts.host = Array("api.example.com".utf8)
        facts.path = Array("/orders/1".utf8)
        facts.route = Array("orders".utf8)
        facts.subject = Array("ann".utf8)
        facts.issuer = Array("https://login.example.com/".utf8)
        facts.tokenID = Array("j".utf8)
        facts.upstream = Array("127.0.0.1:9000".utf8)
        facts.outcome.status = 502
        facts.outcome.decision = .wouldRefuse
        facts.outcome.reason = .insufficientScope
        facts.outcome.bytesIn = 12
        facts.outcome.bytesOut = 3_000_000_000
        facts.outcome.nanoseconds = 12_345_678
        facts.outcome.upstreamStatus = 200
        facts.outcome.tries = 2
        let expected =
            #"{"time":"2026-01-01T00:00:00.123Z","request_id":"r-1","client":"192.0.2.1","#
            + #""method":"GET","host":"api.example.com","path":"/orders/1","route":"orders","#
            + #""subject":"ann","issuer":"https://login.example.com/","token_id":"j","#
            + #""status":502,"decision":"would_refuse","reason":"insufficient_scope","#
            + #""bytes_in":12,"bytes_out":3000000000,"duration_ms":12.345,"#
            + #""upstream":"127.0.0.1:9000","upstream_status":200,"tries":2}"# + "\n"
        #expect(String(decoding: written(facts), as: UTF8.self) == expected)
    }

    @Test("A detail stands behind the reason, escaped and cut like any other text")
    func detail() {
        var facts = Facts()
        facts.outcome.reason = .upstreamTLS
        facts.outcome.detail = "certificate \"has\" expired\n" + String(repeating: "x", count: 300)
        let text = String(decoding: written(facts), as: UTF8.self)
        #expect(
            text.contains(
                #""reason":"upstream_tls","detail":"certificate \"has\" expired\nxx"#))
        #expect(text.contains("x…\","))
    }

    @Test("What is not known is left out")
    func nothing() {
        let expected =
            #"{"time":"2026-01-01T00:00:00.123Z","status":0,"decision":"allowed","#
            + #""bytes_in":0,"bytes_out":0,"duration_ms":0.000}"# + "\n"
        #expect(String(decoding: written(Facts()), as: UTF8.self) == expected)
    }

    @Test(
        "Durations are milliseconds with three decimals",
        arguments: [
            (0, "0.000"), (999, "0.000"), (1_000, "0.001"), (999_999, "0.999"),
            (1_000_000, "1.000"),
            (60_010_020_000, "60010.020"), (-5, "0.000"), (Int64.min, "0.000"),
            (Int64.max, "9223372036854.775"),
        ])
    func durations(nanoseconds: Int64, expected: String) {
        var facts = Facts()
        facts.outcome.nanoseconds = nanoseconds
        let text = String(decoding: written(facts), as: UTF8.self)
        #expect(text.contains("\"duration_ms\":\(expected)}"))
    }

    @Test("Any bytes give one line of valid JSON")
    func hostileBytes() throws {
        for byte in UInt8.min...UInt8.max {
            var facts = Facts()
            facts.path = [0x2f, byte, 0x22, 0x0a, byte]
            facts.subject = [byte]
            facts.host = [byte, byte, byte, byte]
            let bytes = written(facts)
            #expect(bytes.filter { $0 == 0x0a }.count == 1)
            #expect(bytes.last == 0x0a)
            let members = try object(bytes)
            if byte < 0x80 {
                let text = String(decoding: [byte], as: UTF8.self)
                #expect(members["path"] as? String == "/" + text + "\"\n" + text)
            }
        }
    }

    @Test("Long facts are cut between characters and marked")
    func cutting() throws {
        for filler in ["a", "é", "€", "😀"] {
            for shift in 0..<4 {
                let long = Array(
                    (String(repeating: "x", count: shift)
                        + String(repeating: filler, count: 5_000)).utf8)
                let facts = Facts(
                    requestID: long, client: long, method: long, host: long, path: long,
                    route: long,
                    subject: long, issuer: long, tokenID: long, upstream: long)
                let bytes = written(facts)
                #expect(bytes.count < 5_000)
                let members = try object(bytes)
                let limits = [
                    "request_id": 128, "client": 64, "method": 32, "host": 255, "path": 2048,
                    "route": 128, "subject": 256, "issuer": 256, "token_id": 128, "upstream": 128,
                ]
                for (name, limit) in limits {
                    let text = try #require(members[name] as? String)
                    #expect(text.hasSuffix("…"))
                    #expect(!text.contains("\u{fffd}"))
                    let kept = text.utf8.count - 3
                    #expect(kept <= limit && kept > limit - 4, "\(name)")
                }
            }
        }
    }

    @Test("A fact as long as its limit is whole")
    func atTheLimit() throws {
        let facts = Facts(method: [UInt8](repeating: 0x41, count: 32))
        #expect(
            try object(written(facts))["method"] as? String == String(repeating: "A", count: 32))
    }

    @Test("Long runs of broken UTF-8 are cut too")
    func cuttingBrokenText() throws {
        for byte: UInt8 in [0x80, 0xbf, 0xf0, 0xff] {
            let facts = Facts(path: [UInt8](repeating: byte, count: 10_000))
            let text = try #require(try object(written(facts))["path"] as? String)
            #expect(text.hasSuffix("…"))
            #expect(text.unicodeScalars.count <= 2049)
        }
    }

    @Test("Lines follow each other in one buffer and each starts anew")
    func following() throws {
        var output = ByteBuffer()
        var clock = Timestamp()
        var line = AccessLogLine()
        #expect(line.hasBegun == false)
        for name in ["a", "b", "c"] {
            let bytes = Array(name.utf8)
            let none: [UInt8] = []
            // The first begin is of a request that never ended.
            for _ in 0..<2 {
                line.begin(
                    atUnixMilliseconds: 0, clock: &clock, requestID: bytes.span, client: none.span,
                    method: none.span, host: none.span, path: none.span, route: none.span)
            }
            #expect(line.hasBegun == true)
            line.finish(ExchangeOutcome(), upstream: none.span, to: &output, keepingCapacity: true)
            #expect(line.hasBegun == false)
        }
        let text = output.withBytes { String(decoding: Array(copying: $0), as: UTF8.self) }
        let lines = text.split(separator: "\n")
        let names = try lines.map { try object(Array($0.utf8))["request_id"] as? String }
        #expect(names == ["a", "b", "c"])
    }

    @Test("The members are those that the documentation lists")
    func documented() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let page = try String(
            contentsOf: root.appending(path: "docs/access-log.md"), encoding: .utf8)
        let one = [UInt8](repeating: 0x31, count: 1)
        var facts = Facts(
            requestID: one, client: one, method: one, host: one, path: one, route: one,
            subject: one,
            issuer: one, tokenID: one, upstream: one)
        facts.outcome.reason = .expired
        facts.outcome.detail = "1"
        facts.outcome.upstreamStatus = 200
        facts.outcome.tries = 1
        let members = try Set(object(written(facts)).keys)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
        let listed = rows.compactMap { $0.split(separator: "`").dropFirst().first.map(String.init) }
        #expect(Set(listed).isSuperset(of: members))
        let codes = Set(Reason.allCases.map { "\($0.code)" })
        #expect(Set(listed) == members.union(codes))
    }
}
