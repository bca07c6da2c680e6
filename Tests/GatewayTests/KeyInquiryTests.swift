import EventLoop
import Keys
import Testing

@testable import Gateway

/// `bearward keys`: whom it asks, and what it says.
@Suite struct KeyInquiryTests {
    private static func inquiry(at address: SocketAddress?) throws -> KeyInquiry {
        let admin = address.map { #""admin":{"address":"\#($0)"}"# } ?? ""
        return KeyInquiry(
            try decode(
                proxyJSON(
                    upstreams: #"{"up":{"endpoints":["http://127.0.0.1:9"]}}"#,
                    routes: #"[{"path":"/**","upstream":"up"}]"#, more: admin)))
    }

    private static func fetched(_ issuer: String, nextFetchAt: Int64?) -> IssuerKeyStatus {
        var set = IssuerKeyStatus(issuer: issuer, source: "https://a.example/keys")
        set.state = .fresh
        set.obtainedFrom = .fetch
        set.nextFetchAt = nextFetchAt
        return set
    }

    @Test("A running server is asked, and nothing is added to what it tells")
    func server() throws {
        let sets = [Self.fetched("a", nextFetchAt: 2000), Self.fetched("b", nextFetchAt: nil)]
        let admin = try RunningAdmin { $0.issuers = sets }
        let outcome = try Self.inquiry(at: admin.address).run(refreshing: false)
        #expect(outcome.report == KeyReport(isOfServer: true, now: 1090, sets: sets))
        #expect(outcome.notes == [])
        #expect(admin.refreshed == [])
    }

    @Test("A refresh is waited for: its end is the next look being known")
    func refresh() throws {
        let admin = try RunningAdmin { $0.issuers = [Self.fetched("all", nextFetchAt: nil)] }
        admin.tellAfterwards([Self.fetched("all", nextFetchAt: 3000)])
        let outcome = try Self.inquiry(at: admin.address).run(refreshing: true)
        #expect(admin.refreshed == ["*"])
        #expect(outcome.report.sets == [Self.fetched("all", nextFetchAt: 3000)])
        #expect(outcome.notes == [])
    }

    @Test("Where no server answers it says so, and tells what the sources hold")
    func noServer() throws {
        let outcome = try Self.inquiry(at: deadAddress()).run(refreshing: true)
        #expect(!outcome.report.isOfServer)
        #expect(outcome.report.sets.map(\.issuer) == ["login"])
        #expect(outcome.report.sets.map(\.obtainedFrom) == [.secret])
        #expect(outcome.notes.count == 1)
        #expect(outcome.notes[0].hasPrefix("no server answers at 127.0.0.1:"))
    }

    @Test("Without an admin address it says so, too")
    func noAddress() throws {
        let outcome = try Self.inquiry(at: nil).run(refreshing: false)
        #expect(!outcome.report.isOfServer && !outcome.report.lacksKeys)
        #expect(
            outcome.notes
                == [#"the configuration has no "admin"; looking at the sources without a server"#])
    }
}
