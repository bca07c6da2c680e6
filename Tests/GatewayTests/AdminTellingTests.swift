import Bytes
import Configuration
import EventLoop
import JSON
import Testing

@testable import Gateway
@testable import Keys

/// What the admin listener tells, and what the command line makes of it.
@Suite struct AdminTellingTests {
    /// A set with everything there is to tell.
    private static func fullSet() -> IssuerKeyStatus {
        var set = IssuerKeyStatus(issuer: "login", source: "https://login.example/jwks")
        set.state = .stale
        set.obtainedFrom = .fetch
        set.fetchedAt = 898
        set.age = 192
        set.nextFetchAt = 1100
        set.staleUntil = 87_298
        set.lastFault = .init(reason: "status", text: "the answer was 500", at: 1080)
        set.counts.fetches = 9
        set.counts.failures = 1
        set.counts.unknownKeyFetches = 2
        set.keys = [
            .init(
                keyID: "2026-01", type: "RSA", size: "2048", algorithm: "RS256", thumbprint: "t1",
                firstSeen: 0, lastUsed: 1085),
            .init(
                keyID: nil, type: "EC", size: "P-256", algorithm: nil, thumbprint: "t2",
                firstSeen: 60, lastUsed: nil),
        ]
        set.skipped = [.init(index: 3, keyID: "old", reason: "weak")]
        return set
    }

    private static func body(_ answer: String) -> String {
        guard let start = answer.firstRange(of: "\r\n\r\n") else { return "" }
        return String(answer[start.upperBound...])
    }

    @Test("Readiness names who lacks keys, and why")
    func readiness() throws {
        let admin = try RunningAdmin { script in
            script.readiness = AdminReadiness(
                isDraining: false,
                missing: [
                    .init(issuer: "login", fault: nil), .init(issuer: "a\"b", fault: "no \\ way"),
                ])
        }
        let answer = try admin.ask(adminRequest("GET", "/readyz"))
        #expect(answer.status == 503)
        #expect(
            Self.body(answer)
                == #"{"ready":false,"draining":false,"issuersWithoutKeys":[{"issuer":"login"},"#
                + #"{"issuer":"a\"b","lastFault":"no \\ way"}]}"# + "\n")
        #expect(try admin.ask(adminRequest()).status == 200)
    }

    @Test("Whoever drains is not ready, and healthy still")
    func draining() throws {
        let admin = try RunningAdmin {
            $0.readiness = AdminReadiness(isDraining: true, missing: [])
        }
        let answer = try admin.ask(adminRequest("GET", "/readyz"))
        #expect(answer.status == 503)
        #expect(answer.contains(#"{"ready":false,"draining":true,"issuersWithoutKeys":[]}"#))
        #expect(try admin.ask(adminRequest()).status == 200)
    }

    @Test("The status is JSON that is read back whole, and its HEAD announces its length")
    func status() throws {
        let admin = try RunningAdmin { $0.issuers = [Self.fullSet()] }
        let body = Self.body(try admin.ask(adminRequest("GET", "/status")))
        #expect(
            body.hasPrefix(
                #"{"name":"bearward","version":"1.2.3","startedAt":1000,"now":1090,"ready":true,"#
                    + #""draining":false,"workers":2,"connections":3,"issuers":[{"#))
        let report = try #require(KeyReport(status: Array(body.utf8)))
        #expect(report.sets == [Self.fullSet()])
        #expect(report.now == 1090)
        #expect(!report.lacksKeys)
        let head = try admin.ask(adminRequest("HEAD", "/status"))
        #expect(head.contains("\r\nContent-Length: \(body.utf8.count)\r\n"))
    }

    /// Sets whose status has some 84 KB each.
    private static func largeSets(_ count: Int) -> [IssuerKeyStatus] {
        var set = fullSet()
        set.keys = (0..<256).map { number in
            .init(
                keyID: "key \(number) \(filler(192))", type: "EC", size: "P-256",
                algorithm: "ES256", thumbprint: filler(48), firstSeen: 1, lastUsed: nil)
        }
        return [IssuerKeyStatus](repeating: set, count: count)
    }

    @Test("A status of more than a megabyte comes whole to whoever reads it")
    func largeStatus() throws {
        let admin = try RunningAdmin { $0.issuers = Self.largeSets(16) }
        let port = try #require(admin.address.port)
        let answer = try AdminClient(.tcp(host: "127.0.0.1", port: port)).ask("GET", "/status")
        #expect(answer.body.count > 1 << 20)
        #expect(KeyReport(status: answer.body)?.sets == Self.largeSets(16))
    }

    @Test("Who does not read an answer is reset in time, and holds nobody up")
    func slowReader() throws {
        let admin = try RunningAdmin { $0.issuers = Self.largeSets(60) }
        let slow = try admin.connect(receiveBuffer: 2048)
        slow.send(adminRequest("GET", "/status"))
        #expect(slow.hasInput(within: Peer.patience))
        #expect(try admin.ask(adminRequest()).status == 200)
        #expect(slow.isBroken(within: Peer.patience))
    }

    @Test(
        "What is no status of ours is not taken for one",
        arguments: [
            "", "{}", "[]", "<html>", #"{"name":"other","now":1,"issuers":[]}"#,
            #"{"name":"bearward","now":"1","issuers":[]}"#, #"{"name":"bearward","now":1}"#,
            #"{"name":"bearward","now":1,"issuers":[1]}"#,
            #"{"name":"bearward","now":1,"issuers":[{"issuer":"a"}]}"#,
            #"{"name":"bearward","now":1e400,"issuers":[]}"#,
        ])
    func noStatus(_ text: String) {
        #expect(KeyReport(status: Array(text.utf8)) == nil)
    }

    @Test("Metrics are in families, with one sample a key set, and labels are escaped")
    func metrics() throws {
        var tenant = IssuerKeyStatus(issuer: "a\"b\\c\nd", tenant: "t1", source: "s")
        (tenant.counts.fetches, tenant.counts.failures, tenant.nextFetchAt) = (4, 3, 5)
        // A name that a stranger made up, and one that is looked for the first time.
        var unknown = IssuerKeyStatus(issuer: "many", tenant: "stranger", source: "s")
        (unknown.counts.fetches, unknown.counts.failures, unknown.nextFetchAt) = (2, 2, 5)
        var looking = IssuerKeyStatus(issuer: "many", tenant: "newcomer", source: "s")
        looking.counts.fetches = 1
        let sets = [Self.fullSet(), tenant, unknown, looking]
        let admin = try RunningAdmin { $0.issuers = sets }
        let answer = try admin.ask(adminRequest("GET", "/metrics"))
        #expect(answer.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        let lines = Self.body(answer).split(separator: "\n")
        let other = #"{issuer="a\"b\\c\nd",tenant="t1"}"#
        for line in [
            "# TYPE bearward_keys_usable gauge", #"bearward_keys_usable{issuer="login"} 2"#,
            "bearward_keys_usable\(other) 0", #"bearward_keys_skipped{issuer="login"} 1"#,
            #"bearward_keys_stale{issuer="login"} 1"#, "bearward_keys_stale\(other) 1",
            #"bearward_keys_age_seconds{issuer="login"} 192"#,
            #"bearward_keys_stale_until_timestamp_seconds{issuer="login"} 87298"#,
            "# TYPE bearward_key_fetches_total counter",
            #"bearward_key_fetches_total{issuer="login"} 9"#,
            "bearward_key_fetch_failures_total\(other) 3",
            #"bearward_key_unknown_fetches_total{issuer="login"} 2"#,
        ] {
            #expect(lines.contains(line[...]), "\(line)")
        }
        #expect(!lines.contains { $0.contains("stranger") || $0.contains("newcomer") })
        // What is not known has no sample.
        #expect(!lines.contains { $0.hasPrefix("bearward_keys_age_seconds\(other)") })
        for line in lines where !line.hasPrefix("#") {
            let name = line.prefix { $0 != "{" }
            #expect(lines.contains { $0.hasPrefix("# HELP \(name) ") })
            #expect(lines.filter { $0.hasPrefix("# TYPE \(name) ") }.count == 1)
        }
    }

    @Test("People see a set as a block of lines")
    func table() {
        #expect(
            KeyReport(isOfServer: true, now: 1090, sets: [Self.fullSet()]).text == """
                login  https://login.example/jwks
                  stale, fetched 3m12s ago, next look in 10s, given up in 23h56m; 9 looks, \
                1 failed, 2 for unknown keys
                  KID      TYPE      ALG    FIRST SEEN            LAST USED
                  2026-01  RSA 2048  RS256  1970-01-01T00:00:00Z  5s ago
                  -        EC P-256  -      1970-01-01T00:01:00Z  never
                  skipped key 3 (old): weak
                  last failure 10s ago: the answer was 500
                """)
    }

    @Test("A set without keys is told so, a tenant's is named, and only an issuer's counts")
    func emptySets() {
        let issuer = IssuerKeyStatus(issuer: "login", source: "file.json")
        let tenant = IssuerKeyStatus(issuer: "many", tenant: "t", source: "https://a/t")
        let report = KeyReport(isOfServer: false, now: 0, sets: [tenant, issuer])
        #expect(
            report.text == "many tenant t  https://a/t\n  no keys\n\nlogin  file.json\n  no keys")
        #expect(report.lacksKeys)
        // A server's tenant may be a stranger's invention; others were named in the configuration.
        #expect(!KeyReport(isOfServer: true, now: 0, sets: [tenant]).lacksKeys)
        #expect(KeyReport(isOfServer: false, now: 0, sets: [tenant]).lacksKeys)
        #expect(KeyReport(isOfServer: false, now: 0, sets: []).text == "no key sets")
    }

    @Test(
        "What comes from outside reaches a terminal as visible ASCII, and cut",
        arguments: [
            ("plain-1_.+/=", "plain-1_.+/="), ("a b", "a b"), ("\u{1b}[31m", #"\u{1b}[31m"#),
            ("a\r\nb", #"a\u{d}\u{a}b"#), ("é", #"\u{e9}"#), ("\u{202e}x", #"\u{202e}x"#),
            (#"\"#, #"\u{5c}"#), ("\u{9b}", #"\u{9b}"#), ("\u{7f}", #"\u{7f}"#), ("", ""),
            (String(repeating: "k", count: 9), "kkkkkkkk..."),
        ])
    func printable(_ text: String, _ expected: String) {
        let length = text.hasPrefix("k") ? 8 : 48
        #expect(KeyTable.printable(text, length) == expected)
    }

    @Test(
        "Spans have two units at most",
        arguments: [
            (-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (192, "3m12s"), (3600, "1h"),
            (7500, "2h5m"), (86_400, "1d"), (273_600, "3d4h"), (.max, "106751991167300d15h"),
        ] as [(Int64, String)])
    func spans(_ seconds: Int64, _ text: String) {
        #expect(KeyTable.span(seconds) == text)
    }

    @Test("The report for programs holds what the server told")
    func json() throws {
        let report = KeyReport(isOfServer: false, now: 7, sets: [Self.fullSet()])
        let text = report.json
        #expect(text.hasPrefix(#"{"server":false,"now":7,"issuers":[{"issuer":"login","#))
        let value = try JSONValue(parsing: text.utf8Span.span)
        let sets = value.object?["issuers"]?.array?.compactMap { IssuerKeyStatus($0) }
        #expect(sets == [Self.fullSet()])
    }
}
