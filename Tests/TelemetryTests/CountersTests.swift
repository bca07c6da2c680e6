import Telemetry
import Testing

@Suite struct ReasonTests {
    @Test("The codes of the contract are there, each once")
    func codes() {
        let codes = Reason.allCases.map { "\($0.code)" }
        #expect(Set(codes).count == codes.count)
        let contract = [
            "no_token", "bad_authorization", "bad_token", "bad_algorithm", "unknown_issuer",
            "unknown_key", "bad_signature", "expired", "not_yet_valid", "wrong_audience",
            "wrong_type", "missing_claim", "insufficient_scope", "claim_mismatch",
            "keys_unavailable", "no_route", "method_not_allowed", "bad_path", "bad_request",
            "too_large", "overloaded", "upstream_unreachable", "upstream_timeout",
            "upstream_invalid", "upstream_tls",
        ]
        #expect(Set(codes).isSuperset(of: contract))
    }

    @Test("A code is its case in snake case", arguments: Reason.allCases)
    func spelling(reason: Reason) {
        var expected = ""
        var previous: Character = "A"
        for character in "\(reason)" {
            if character.isUppercase, !previous.isUppercase { expected += "_" }
            expected += character.lowercased()
            previous = character
        }
        #expect("\(reason.code)" == expected)
    }
}

@Suite struct CountersTests {
    @Test("Requests are counted by the class of their status, odd ones as none")
    func statusClasses() {
        var counters = Counters()
        for status in [0, 100, 101, 200, 204, 299, 304, 401, 503, 504, 600, 999, -200] {
            var outcome = ExchangeOutcome()
            outcome.status = status
            counters.count(outcome)
        }
        let counts = (0..<6).map { counters.requests(ofStatusClass: $0) }
        #expect(counts == [4, 2, 3, 1, 1, 2])
    }

    @Test("Every reason has a counter of its own", arguments: Reason.allCases)
    func reasons(reason: Reason) {
        var counters = Counters()
        var outcome = ExchangeOutcome()
        outcome.reason = reason
        counters.count(outcome)
        counters.count(outcome)
        for other in Reason.allCases {
            #expect(counters.requests(endedBy: other) == (other == reason ? 2 : 0))
        }
    }

    @Test("Workers add up, and a snapshot stays what it was")
    func adding() {
        var outcome = ExchangeOutcome()
        outcome.status = 403
        outcome.decision = .wouldRefuse
        outcome.reason = .claimMismatch
        var first = Counters()
        first.count(outcome)
        first.tokenCacheHits = 1
        first.tokenCacheMisses = 2
        first.connectionsAccepted = 3
        first.upstreamConnects = 4
        first.upstreamConnectFailures = 5
        first.upstreamReuses = 6
        first.upstreamRetries = 7
        first.logLinesDropped = 8
        let snapshot = first
        first.add(snapshot)
        #expect(first.requests(ofStatusClass: 4) == 2)
        #expect(first.requests(endedBy: .claimMismatch) == 2)
        #expect(first.wouldRefuse == 2)
        #expect(first.tokenCacheHits == 2)
        #expect(first.tokenCacheMisses == 4)
        #expect(first.connectionsAccepted == 6)
        #expect(first.upstreamConnects == 8)
        #expect(first.upstreamConnectFailures == 10)
        #expect(first.upstreamReuses == 12)
        #expect(first.upstreamRetries == 14)
        #expect(first.logLinesDropped == 16)
        #expect(snapshot.wouldRefuse == 1)
        #expect(snapshot.requests(ofStatusClass: 4) == 1)
    }
}
