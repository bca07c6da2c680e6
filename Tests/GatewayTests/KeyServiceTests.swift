import EventLoop
import JWT
import Keys
import Testing

@testable import Gateway

@Suite("The service that fetches and keeps keys")
struct KeyServiceTests {
    private let place = KeyPlace(issuer: 0)

    @Test("First keys go to the workers, and who asked meanwhile is told of the look's end")
    func firstKeys() throws {
        let bench = try KeyBench()
        bench.service.start()
        let request = try bench.request()
        bench.service.wanted(place, by: 1)
        #expect(bench.service.missing.map(\.issuer) == ["login"])
        let head = try bench.answer(to: request, ["a", "b"])
        #expect(head.hasPrefix("GET /keys HTTP/1.1\r\n"))
        #expect(bench.published == [.init(place: place, kids: ["a", "b"])])
        #expect(bench.endings.map(\.worker) == [1])
        #expect(bench.service.missing.isEmpty)
        #expect(try bench.status.state == .fresh)
    }

    @Test("Two workers that lack a key cause one look, and a third asker none within the cool-down")
    func unknownKeys() throws {
        let bench = try KeyBench(keys: #""url": "URL/keys", "unknownKeyCooldown": "1h""#)
        bench.service.start()
        try bench.answer(["a"])
        bench.service.wanted(place, by: 0)
        bench.service.wanted(place, by: 1)
        try bench.answer(["a", "b"])
        #expect(bench.published.last?.kids == ["a", "b"])
        #expect(Set(bench.endings.map(\.worker)) == [0, 1])
        #expect(bench.endings.first?.didSucceed == true)
        bench.service.wanted(place, by: 2)
        let refused = try #require(bench.endings.last)
        #expect(refused.worker == 2 && !refused.didSucceed)
        #expect(refused.nextAt > bench.now + 3_500_000)
        #expect(try bench.asksAgain(within: 60) == false)
        #expect(try bench.status.counts.unknownKeyFetches == 1)
    }

    @Test("A look that had begun before a key was missed is followed by one of its own")
    func joined() throws {
        let bench = try KeyBench()
        bench.service.start()
        try bench.answer(["a"])
        #expect(bench.service.refresh(nil)?.map(\.outcome) == [.started])
        let underWay = try bench.request()
        bench.service.wanted(place, by: 0)
        try bench.answer(to: underWay, ["a"])
        #expect(bench.endings.isEmpty)
        try bench.answer(["a", "b"])
        #expect(bench.published.last?.kids == ["a", "b"])
        #expect(bench.endings.map(\.didSucceed) == [true])
    }

    @Test("Keys in another order are the same keys")
    func sameKeys() throws {
        let bench = try KeyBench()
        bench.service.start()
        try bench.answer(["a", "b"])
        _ = bench.service.refresh("login")
        try bench.answer(["b", "a"])
        #expect(bench.published.count == 1)
    }

    @Test(
        "Whatever goes wrong, the last good keys stay, and the log says so once",
        arguments: ["500 Internal Server Error", "404 Not Found", "302 Found", "204 No Content"])
    func failures(status: String) throws {
        let bench = try KeyBench(keys: #""url": "URL/keys", "refresh": "100ms""#)
        bench.service.start()
        try bench.answer(["a"])
        try bench.answer([], status: status)
        try bench.answer([], status: status)
        #expect(bench.published.count == 1)
        #expect(try bench.status.counts.failures == 2)
        #expect(try bench.status.keys.count == 1)
        let faults = bench.log.messages.filter { $0.contains("cannot be fetched") }
        #expect((1...2).contains(faults.count), "once, and once as the keys go stale")
        try bench.answer(["b"])
        #expect(bench.published.last?.kids == ["b"])
    }

    @Test("An issuer without keys is missing, and why is told")
    func missing() throws {
        let bench = try KeyBench()
        bench.service.start()
        try bench.answer([], status: "503 Service Unavailable")
        #expect(
            bench.service.missing == [.init(issuer: "login", fault: "the answer was 503")])
        #expect(bench.log.messages.contains { $0.contains("answered 503 until they can") })
    }

    @Test("Keys that cannot be looked at for too long are withdrawn, and come back")
    func withdrawal() throws {
        let bench = try KeyBench(
            keys: #""url": "URL/keys", "refresh": "100ms", "maxStale": "1s""#)
        bench.service.start()
        try bench.answer(["a"])
        while bench.published.count < 2 {
            let peer = try bench.request()
            guard bench.published.count < 2 else { break }
            _ = peer.readHead()
            peer.close()
            try bench.turn(until: { try bench.status.nextFetchAt != nil })
        }
        #expect(bench.published.last == .init(place: place, kids: nil))
        #expect(bench.service.missing.map(\.issuer) == ["login"])
        #expect(bench.log.messages.contains { $0.contains("too old to be trusted") })
        _ = bench.service.refresh(nil)
        try bench.turn(until: {
            if let peer = try bench.server.acceptIfAny(within: 0) {
                try bench.turn(until: { peer.hasInput(within: 0) })
                try bench.answer(to: peer, ["a"])
            }
            return bench.published.last?.kids == ["a"]
        })
    }

    @Test("A snapshot serves before the issuer answers, and an entity tag spares the body")
    func snapshot() throws {
        let folder = TemporaryFolder()
        let bench = try KeyBench(folder: folder)
        bench.service.start()
        try bench.answer(["a"], fields: "ETag: \"one\"\r\n")
        let snapshots = { Files.fingerprint(folder.path("state")) }
        try bench.turn(until: { snapshots() != nil })
        bench.turn(forMilliseconds: 200)
        let next = try KeyBench(folder: folder, server: bench.server)
        next.service.start()
        #expect(next.published == [.init(place: place, kids: ["a"])])
        #expect(try next.status.obtainedFrom == .snapshot)
        let head = try next.answer([], status: "304 Not Modified")
        #expect(head.contains("If-None-Match: \"one\"\r\n"))
        #expect(try next.status.obtainedFrom == .fetch)
        #expect(next.published.count == 1)
    }

    @Test("A key file without usable keys is told of, and why, until there are keys")
    func badFile() throws {
        let folder = TemporaryFolder()
        try folder.write(#"{"keys":[{"kty":"oct","kid":"s","k":"AAAA"}]}"#, to: "keys.json")
        let bench = try KeyBench(keys: #""file": "\#(folder.path("keys.json"))""#)
        bench.service.start()
        let fault = "no key of the set can be used"
        #expect(bench.service.missing == [.init(issuer: "login", fault: fault)])
        #expect(try bench.status.skipped.map(\.reason) == ["symmetric"])
        #expect(bench.log.messages.contains { $0.contains("key skipped") })
        try folder.write(keySetText(["a"]), to: "keys.json")
        try bench.turn(until: { bench.published == [.init(place: place, kids: ["a"])] })
        #expect(bench.service.missing == [])
        #expect(try bench.status.skipped == [])
    }

    @Test("A set without a usable key says of each what is wrong, once")
    func unusableSet() throws {
        let bench = try KeyBench(keys: #""url": "URL/keys", "refresh": "100ms""#)
        bench.service.start()
        let text = #"{"keys":[{"kty":"oct","kid":"s","k":"AAAA"},7]}"#
        for _ in 0..<2 {
            let peer = try bench.request()
            let failures = try bench.status.counts.failures
            _ = peer.readHead()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
            peer.close()
            try bench.turn(until: { try bench.status.counts.failures > failures })
        }
        #expect(try bench.status.skipped.map(\.reason) == ["symmetric", "not an object"])
        #expect(bench.service.missing.map(\.fault) == ["no key of the set can be used"])
        #expect(bench.log.messages.count { $0.contains("key skipped") } == 2)
        #expect(bench.published == [])
    }

    @Test("Keys in place and secrets are told of, and are never looked for")
    func localKeys() throws {
        let bench = try KeyBench(keys: "\"jwks\": \(keySetText(["a"]))")
        bench.service.start()
        #expect(try bench.status.obtainedFrom == .inline)
        bench.service.wanted(place, by: 0)
        #expect(bench.endings == [.init(worker: 0, place: place, didSucceed: false, nextAt: .max)])
        #expect(bench.service.refresh("login")?.map(\.outcome) == [.local])
        #expect(bench.service.refresh("nobody") == nil)
        let key = try #require(try keySet("a").keys.first)
        bench.service.used([KeyUse(place: place, thumbprint: key.thumbprint, unixSeconds: 7)])
        #expect(try bench.status.keys.map(\.lastUsed) == [7])
    }
}

@Suite("The keys of an issuer's tenants")
struct TenantKeysTests {
    private func bench(_ tenants: String) throws -> KeyBench {
        let bench = try KeyBench(
            issuer: KeyServiceTests.tenantIssuer(tenants), keys: #""url": "URL/{tenant}/keys""#)
        bench.service.start()
        return bench
    }

    private func place(_ tenant: String) -> KeyPlace { KeyPlace(issuer: 0, tenant: tenant) }

    @Test("A tenant is looked for when a token names it, at its own place")
    func lazily() throws {
        let bench = try bench(#"{ "allow": ["acme", "globex"] }"#)
        #expect(try bench.asksAgain(within: 60) == false)
        #expect(bench.service.missing.isEmpty)
        bench.service.wanted(place("acme"), by: 0)
        let head = try bench.answer(["a"])
        #expect(head.hasPrefix("GET /acme/keys "))
        #expect(bench.published == [.init(place: place("acme"), kids: ["a"])])
        #expect(bench.service.statuses.map(\.tenant) == ["acme"])
    }

    @Test("Beyond the bound a tenant without keys gives way, one with keys does not")
    func bound() throws {
        let bench = try bench(#"{ "claim": "tid", "max": 2 }"#)
        bench.service.wanted(place("good"), by: 0)
        try bench.answer(["a"])
        bench.service.wanted(place("bogus"), by: 0)
        try bench.turn(until: { try bench.server.acceptIfAny(within: 0) != nil })
        bench.service.wanted(place("other"), by: 0)
        #expect(bench.service.statuses.map(\.tenant) == ["good", "other"])
        #expect(bench.published.last == .init(place: place("bogus"), kids: nil))
        #expect(bench.endings.last?.place == place("bogus"))
    }

    @Test("Where any name may be a tenant's, names that nobody knows are looked for slowly")
    func credit() throws {
        let bench = try bench(#"{ "claim": "tid", "max": 1000 }"#)
        for number in 0..<100 { bench.service.wanted(place("t\(number)"), by: 0) }
        #expect((20...22).contains(bench.service.statuses.count))
        #expect(bench.endings.count + bench.service.statuses.count == 100)
    }

    @Test("A tenant without keys is looked for when tokens ask, not by itself, and wakes nobody")
    func onDemand() throws {
        let bench = try bench(#"{ "claim": "tid" }"#)
        bench.service.wanted(place("bogus"), by: 0)
        try bench.answer([], status: "404 Not Found")
        let refused = try #require(bench.endings.last)
        #expect(!refused.didSucceed && refused.nextAt <= bench.now + 1_000)
        #expect(try bench.asksAgain(within: 1_200) == false)
        #expect(bench.service.statuses.map(\.state) == [.none])
        #expect(bench.log.messages == [])
        bench.service.wanted(place("bogus"), by: 0)
        try bench.answer(["a"])
        #expect(bench.published == [.init(place: place("bogus"), kids: ["a"])])
    }

    @Test("A tenant whose keys were kept needs no look, however many names were made up before it")
    func kept() throws {
        let folder = TemporaryFolder()
        let tenants = KeyServiceTests.tenantIssuer(#"{ "claim": "tid", "max": 1000 }"#)
        let url = #""url": "URL/{tenant}/keys""#
        let bench = try KeyBench(issuer: tenants, keys: url, folder: folder)
        bench.service.start()
        bench.service.wanted(place("good"), by: 0)
        try bench.answer(["a"])
        bench.turn(forMilliseconds: 200)
        let next = try KeyBench(issuer: tenants, keys: url, folder: folder, server: bench.server)
        next.service.start()
        for number in 0..<100 { next.service.wanted(place("t\(number)"), by: 0) }
        next.service.wanted(place("good"), by: 0)
        #expect(next.published == [.init(place: place("good"), kids: ["a"])])
    }

    @Test("A list of tenants is no reason for slowness")
    func listed() throws {
        let names = (0..<60).map { "t\($0)" }
        let bench = try bench(
            #"{ "allow": [\#(names.map { "\"\($0)\"" }.joined(separator: ","))] }"#)
        for name in names { bench.service.wanted(place(name), by: 0) }
        #expect(bench.service.statuses.count == 60)
    }
}

extension KeyServiceTests {
    /// An issuer's members, with tenants.
    static func tenantIssuer(_ tenants: String) -> String {
        #""issuer": "https://login.example.com/{tenant}/v2.0", "tenants": \#(tenants)"#
    }
}
