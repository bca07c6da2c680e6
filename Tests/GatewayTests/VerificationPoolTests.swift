import EventLoop
import JWT
import Logging
import Synchronization
import Testing

@testable import Gateway

@Suite struct VerificationPoolTests {
    /// Results as they come from the pool's threads.
    private final class Delivered: Sendable {
        let all = Mutex<[(worker: Int, result: VerificationResult)]>([])

        var count: Int { all.withLock { $0.count } }

        /// Waits until there are so many.
        func wait(for count: Int) -> Bool {
            let end = Instant.now.advanced(byMilliseconds: Int64(Peer.patience))
            while self.count < count, Instant.now < end { pause() }
            return self.count == count
        }

        private func pause() {
            (try? EventLoop())?.turn(maxWait: 1)
        }
    }

    /// A pool whose threads end with the test.
    private func withPool(
        threads count: Int, _ body: (VerificationPool, Delivered) throws -> Void
    ) throws {
        let delivered = Delivered()
        let threads = try VerificationPool.start(
            threads: count, logger: Logger(label: "test")
        ) { worker, results in
            delivered.all.withLock { $0 += results.map { (worker, $0) } }
        }
        try body(threads.pool, delivered)
        threads.stop()
    }

    private func examined(_ token: String) throws -> ExaminedToken {
        let verifier = TokenVerifier([
            IssuerRules(
                name: "login", issuer: "https://login.example.com/",
                audiences: ["https://api.example.com"])
        ])
        verifier.replaceKeys(of: KeyPlace(issuer: 0), with: try keySet("one"))
        let now = Instant.unixMilliseconds / 1000
        guard case .ready(let examined) = try verifier.examine(Array(token.utf8).span, now: now)
        else { throw TokenError.badToken }
        return examined
    }

    @Test("Each ticket gets one result, right for its token, at the worker that asked")
    func results() throws {
        let good = try examined(SignedToken.one)
        let bad = try examined(forged(kid: "one"))
        try withPool(threads: 2) { pool, delivered in
            for batch in 0..<20 {
                let jobs = (0..<10).map { place in
                    VerificationJob(
                        ticket: UInt64(batch * 10 + place), token: place % 3 == 0 ? bad : good)
                }
                pool.check(jobs, worker: batch % 4)
            }
            #expect(delivered.wait(for: 200))
            let all = delivered.all.withLock { $0 }
            #expect(Set(all.map(\.result.ticket)).count == 200)
            for (worker, result) in all {
                #expect(worker == Int(result.ticket / 10) % 4)
                switch result.verdict {
                case .success(let token):
                    #expect(result.ticket % 10 % 3 != 0)
                    #expect(token.subject == "alice")
                case .failure(let error):
                    #expect(result.ticket % 10 % 3 == 0 && error == .badSignature)
                }
            }
        }
    }

    @Test("A pool ends with jobs waiting, and the results it gave are whole")
    func stopsEarly() throws {
        let token = try examined(SignedToken.one)
        var delivered: Delivered?
        try withPool(threads: 1) { pool, results in
            for batch in 0..<50 {
                pool.check(
                    (0..<16).map { VerificationJob(ticket: UInt64(batch * 16 + $0), token: token) },
                    worker: 0)
            }
            delivered = results
        }
        let all = try #require(delivered).all.withLock { $0 }
        #expect(Set(all.map(\.result.ticket)).count == all.count)
        for (_, result) in all { #expect((try? result.verdict.get()) != nil) }
    }

    @Test("A pool without work ends at once")
    func idle() throws {
        try withPool(threads: 3) { _, delivered in #expect(delivered.count == 0) }
    }
}
