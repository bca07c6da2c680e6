import EventLoop
import JWT
import Logging
import OpenSSL
import Synchronization
import Testing

@testable import Gateway

@Suite struct VerificationPoolTests {
    /// Results as they come from the pool's threads.
    private final class Delivered: Sendable {
        let all = Mutex<[(worker: Int, result: VerificationResult)]>([])
        let tables = Mutex<[(worker: Int, table: PointTable)]>([])

        var count: Int { all.withLock { $0.count } }

        /// Waits until there are so many.
        func wait(for count: Int) -> Bool {
            wait { $0.count >= count } && self.count == count
        }

        func wait(until isSo: (Delivered) -> Bool) -> Bool {
            let end = Instant.now.advanced(byMilliseconds: Int64(Peer.patience))
            while !isSo(self), Instant.now < end { pause() }
            return isSo(self)
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
        ) { worker, message in
            switch message {
            case .signatures(let results):
                delivered.all.withLock { $0 += results.map { (worker, $0) } }
            case .pointTable(let table): delivered.tables.withLock { $0.append((worker, table)) }
            default: Issue.record("a pool has nothing else to tell")
            }
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

    @Test("A table is made once for all who ask, and goes when nobody holds it any more")
    func tables() throws {
        let key = try #require(try keySet("one").keys.first).publicKey
        try withPool(threads: 2) { pool, delivered in
            for worker in [3, 5, 3] { pool.makeTable(of: key, worker: worker) }
            #expect(delivered.wait { $0.tables.withLock(\.count) == 3 })
            delivered.tables.withLock { tables in
                #expect(tables.map(\.worker) == [3, 5, 3])
                #expect(tables.allSatisfy { $0.table === tables[0].table && $0.table.key == key })
                #expect(pool.shelf.count == 1)
                tables.removeAll()
            }
            #expect(pool.shelf.count == 0)
        }
    }

    @Test("A shelf holds so many tables and no more, and there is room again for those that go")
    func fullShelf() throws {
        let shelf = PointTableShelf(maxTables: 1)
        let key = try #require(try keySet("one").keys.first).publicKey
        let other = try otherKey()
        var table = shelf.table(of: key)
        #expect(table != nil && shelf.table(of: key) === table)
        #expect(shelf.table(of: other) == nil)
        table = nil
        #expect(shelf.table(of: other) != nil)
    }

    /// The base point itself: any point will do.
    private func otherKey() throws -> PublicKey {
        try PublicKey(
            curve: .p256,
            x: [
                0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4,
                0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45,
                0xd8, 0x98, 0xc2, 0x96,
            ],
            y: [
                0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f,
                0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68,
                0x37, 0xbf, 0x51, 0xf5,
            ])
    }

    @Test("A pool without work ends at once")
    func idle() throws {
        try withPool(threads: 3) { _, delivered in #expect(delivered.count == 0) }
    }
}
