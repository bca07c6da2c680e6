import EventLoop
import JWT
import Keys
import OpenSSL
import Synchronization
import Testing

@testable import Gateway

@Suite("A look for a set of keys")
struct KeySetFetchTests {
    private static let set = """
        {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a",\
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}
        """

    /// Looks one after the other, of which the test says when the next begins.
    private final class Rounds: Sendable {
        let outcomes = Mutex<[KeySetOutcome]>([])
    }

    /// One look after another by the same object, as many as there are flags; each flag says
    /// whether the keys that were found before are still there. The outcome is the last one's.
    /// `trusts`: how much the document read before is believed, in each look but the first.
    private func looking(
        _ location: KeyLocation, timeout: Int64 = 5000, etag: String? = nil,
        holdsKeys flags: [Bool] = [false], trusts: [DocumentTrust] = [], rounds: Rounds = Rounds()
    ) throws -> Looking<KeySetOutcome> {
        try Looking<KeySetOutcome> { means, onEnd in
            var policy = KeyFetchPolicy(location: location)
            policy.timeout = timeout
            let fetch = KeySetFetch(policy, allowsPlainHTTP: false, tls: nil, means: means)
            fetch.restore(etag: etag)
            let held = try? JWKSet(parsing: Array(Self.set.utf8).span)
            let all = zip(flags, [.remembered] + trusts + flags.map { _ in .remembered })
                .map { flag, trust in (held: flag ? held : nil, trust: trust) }
            Self.look(fetch, all[...], rounds, onEnd)
            return { fetch.cancel() }
        }
    }

    private static func look(
        _ fetch: KeySetFetch, _ all: ArraySlice<(held: JWKSet?, trust: DocumentTrust)>,
        _ rounds: Rounds, _ onEnd: @escaping (KeySetOutcome) -> Void
    ) {
        guard let next = all.first else { return }
        fetch.look(holding: next.held, next.trust) { outcome in
            rounds.outcomes.withLock { $0.append(outcome) }
            let rest = all.dropFirst()
            if rest.isEmpty { onEnd(outcome) } else { look(fetch, rest, rounds, onEnd) }
        }
    }

    /// Answers the next connection; gives the request's head.
    @discardableResult
    private func answer(
        _ server: ScriptedUpstream, _ body: String, status: String = "200 OK", fields: String = ""
    ) throws -> String {
        let peer = try server.accept()
        let head = peer.readHead()
        peer.send(
            "HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        _ = peer.waitForEnd()
        return head
    }

    private func document(_ server: ScriptedUpstream, issuer: String? = nil) -> String {
        #"{"issuer":"\#(issuer ?? server.url)","jwks_uri":"\#(server.url)/jwks"}"#
    }

    private func failed(_ outcome: KeySetOutcome) -> KeyFault? {
        switch outcome {
        case .failed(let fault): fault
        case .unusable: .noUsableKey
        case .found, .notModified: nil
        }
    }

    private func found(_ outcome: KeySetOutcome) throws -> FetchedKeySet {
        guard case .found(let set) = outcome else {
            Issue.record("\(outcome)")
            throw CancellationError()
        }
        return set
    }

    // MARK: From a URL

    @Test("A set comes with its text, its tag and its freshness")
    func fromURL() throws {
        let server = try ScriptedUpstream()
        let url = try #require(FetchURL(server.url + "/jwks"))
        let looking = try looking(.url(url))
        #expect(
            try answer(
                server, Self.set, fields: "ETag: \"1\"\r\nCache-Control: max-age=100\r\n"
            ).hasPrefix("GET /jwks "))
        let found = try found(try looking.outcome())
        #expect(found.set.keys.count == 1)
        #expect(found.text == Array(Self.set.utf8))
        #expect(found.etag == "\"1\"")
        #expect(found.freshFor == 100_000)
    }

    @Test(
        "What is no set of usable keys is a fault",
        arguments: [
            ("<html></html>", .notJSON), ("", .notJSON), ("{}", .notAKeySet),
            (#"{"keys":[]}"#, .noUsableKey), (#"{"keys":{}}"#, .notAKeySet),
            ("[]", .notAKeySet), (#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, .noUsableKey),
            (#"{"keys":[],"keys":[]}"#, .notJSON), ("{\"keys\":[]}x", .notJSON),
            ("\u{feff}{\"keys\":[]}", .notJSON),
            (
                #"{"keys":["# + Array(repeating: "1", count: 257).joined(separator: ",") + "]}",
                .tooManyKeys
            ),
            (String(repeating: "[", count: 20_000), .notJSON),
        ] as [(String, KeyFault)])
    func badSet(_ body: String, _ fault: KeyFault) throws {
        let server = try ScriptedUpstream()
        let url = try #require(FetchURL(server.url))
        let looking = try looking(.url(url))
        try answer(server, body)
        #expect(failed(try looking.outcome()) == fault)
    }

    @Test("The tag of the set that was found is sent while its keys are held, and only then")
    func tag() throws {
        let server = try ScriptedUpstream()
        let url = try #require(FetchURL(server.url))
        let rounds = Rounds()
        let looking = try looking(
            .url(url), holdsKeys: [false, true, false], rounds: rounds)
        let first = try answer(server, Self.set, fields: "ETag: \"1\"\r\n")
        #expect(!first.contains("If-None-Match"))
        let second = try answer(server, "", status: "304 Not Modified")
        #expect(second.contains("\r\nIf-None-Match: \"1\"\r\n"))
        let third = try answer(server, Self.set)
        #expect(!third.contains("If-None-Match"))
        _ = try found(try looking.outcome())
        #expect(rounds.outcomes.withLock { $0.dropFirst().first } == .notModified(freshFor: nil))
    }

    @Test("What the issuer asked for holds while it says that nothing is new, and no more")
    func freshnessOfNoNews() throws {
        let server = try ScriptedUpstream()
        let url = try #require(FetchURL(server.url))
        let rounds = Rounds()
        let looking = try looking(
            .url(url), holdsKeys: [false, true, true, true], rounds: rounds)
        try answer(server, Self.set, fields: "ETag: \"1\"\r\nCache-Control: max-age=100\r\n")
        try answer(server, "", status: "304 Not Modified")
        try answer(server, "", status: "304 Not Modified", fields: "Cache-Control: max-age=90\r\n")
        try answer(server, "", status: "304 Not Modified")
        #expect(try looking.outcome() == .notModified(freshFor: 90_000))
        #expect(
            rounds.outcomes.withLock { $0[1...2] }
                == [.notModified(freshFor: 100_000), .notModified(freshFor: 90_000)])
    }

    @Test("A snapshot's tag is sent for a URL, not for what a document may move")
    func restoredTag() throws {
        let server = try ScriptedUpstream()
        let url = try #require(FetchURL(server.url))
        let fromURL = try looking(.url(url), etag: "\"7\"", holdsKeys: [true])
        #expect(
            try answer(server, "", status: "304 Not Modified")
                .contains("\r\nIf-None-Match: \"7\"\r\n"))
        #expect(try fromURL.outcome() == .notModified(freshFor: nil))
        let discovered = try looking(
            .discovery(issuer: server.url), etag: "\"7\"", holdsKeys: [true])
        #expect(!(try answer(server, document(server)).contains("If-None-Match")))
        #expect(!(try answer(server, Self.set).contains("If-None-Match")))
        _ = try found(try discovered.outcome())
    }

    @Test("A bad set does not make the last good one's tag forgotten")
    func tagAfterFault() throws {
        let server = try ScriptedUpstream()
        let url = try #require(FetchURL(server.url))
        let looking = try looking(.url(url), holdsKeys: [false, true, true])
        try answer(server, Self.set, fields: "ETag: \"1\"\r\n")
        try answer(server, "<html>", fields: "ETag: \"2\"\r\n")
        #expect(
            try answer(server, "", status: "304 Not Modified")
                .contains("\r\nIf-None-Match: \"1\"\r\n"))
        #expect(try looking.outcome() == .notModified(freshFor: nil))
    }

    // MARK: From a document

    @Test("The document leads to the set, and is remembered")
    func discovered() throws {
        let server = try ScriptedUpstream()
        let looking = try looking(
            .discovery(issuer: server.url), holdsKeys: [false, false])
        #expect(
            try answer(server, document(server))
                .hasPrefix("GET /.well-known/openid-configuration "))
        for _ in 0..<2 { #expect(try answer(server, Self.set).hasPrefix("GET /jwks ")) }
        _ = try found(try looking.outcome())
    }

    @Test("The places of a document are asked in order, while they have none")
    func places() throws {
        let server = try ScriptedUpstream()
        let issuer = server.url + "/realms/one/"
        let looking = try looking(.discovery(issuer: issuer))
        let first = try answer(server, "", status: "404 Not Found")
        #expect(first.hasPrefix("GET /realms/one/.well-known/openid-configuration "))
        let second = try answer(server, "<html>")
        #expect(second.hasPrefix("GET /.well-known/oauth-authorization-server/realms/one "))
        let third = try answer(server, document(server, issuer: issuer))
        #expect(third.hasPrefix("GET /.well-known/openid-configuration/realms/one "))
        #expect(try answer(server, Self.set).hasPrefix("GET /jwks "))
        _ = try found(try looking.outcome())
    }

    @Test("Where no place has a document, the first one's answer is the fault")
    func nowhere() throws {
        let server = try ScriptedUpstream()
        let looking = try looking(.discovery(issuer: server.url + "/a"))
        for status in ["410 Gone", "404 Not Found", "404 Not Found"] {
            try answer(server, "", status: status)
        }
        #expect(failed(try looking.outcome()) == .status(410))
    }

    @Test(
        "A place that has trouble, or another issuer's document, does not lead to the next",
        arguments: [
            ("500 Oops", "", .status(500)), ("429 Later", "", .status(429)),
            (
                "200 OK", #"{"issuer":"http://evil.example","jwks_uri":"http://evil.example/"}"#,
                .issuerMismatch
            ),
            ("200 OK", #"{"issuer":"ISSUER/","jwks_uri":"ISSUER/jwks"}"#, .issuerMismatch),
            ("200 OK", #"{"issuer":"ISSUER"}"#, .noKeysURL),
            ("200 OK", #"{"issuer":"ISSUER","jwks_uri":"/jwks"}"#, .noKeysURL),
            ("200 OK", #"{"issuer":"ISSUER","jwks_uri":"http://a@b/"}"#, .noKeysURL),
            ("200 OK", #"{"issuer":"ISSUER","jwks_uri":"http://keys.example/"}"#, .plainHTTP),
            ("302 Found", "", .redirectElsewhere),
        ] as [(String, String, KeyFault)])
    func trouble(_ status: String, _ body: String, _ fault: KeyFault) throws {
        let server = try ScriptedUpstream()
        let looking = try looking(.discovery(issuer: server.url))
        try answer(
            server,
            body.split(separator: "ISSUER", omittingEmptySubsequences: false)
                .joined(separator: server.url), status: status)
        #expect(failed(try looking.outcome()) == fault)
        #expect(try server.acceptIfAny(within: 0) == nil)
    }

    @Test("A set that cannot be had makes the document forgotten")
    func forgotten() throws {
        let server = try ScriptedUpstream()
        let rounds = Rounds()
        let looking = try looking(
            .discovery(issuer: server.url), holdsKeys: [false, false], rounds: rounds)
        try answer(server, document(server))
        try answer(server, "", status: "404 Not Found")
        #expect(
            try answer(server, document(server))
                .hasPrefix("GET /.well-known/openid-configuration "))
        try answer(server, Self.set)
        _ = try found(try looking.outcome())
        #expect(rounds.outcomes.withLock { $0.first } == .failed(.status(404)))
    }

    @Test("A tag is not sent to another place than it is from")
    func movedSet() throws {
        let server = try ScriptedUpstream()
        let looking = try looking(
            .discovery(issuer: server.url), holdsKeys: [false, true, true])
        try answer(server, document(server))
        try answer(server, Self.set, fields: "ETag: \"1\"\r\n")
        #expect(try answer(server, "", status: "500 Oops").contains("If-None-Match"))
        try answer(
            server, #"{"issuer":"\#(server.url)","jwks_uri":"\#(server.url)/moved"}"#)
        let last = try answer(server, Self.set)
        #expect(last.hasPrefix("GET /moved "))
        #expect(!last.contains("If-None-Match"))
        _ = try found(try looking.outcome())
    }

    private func moved(_ server: ScriptedUpstream) -> String {
        #"{"issuer":"\#(server.url)","jwks_uri":"\#(server.url)/moved"}"#
    }

    @Test("A look by hand reads the document first")
    func byHand() throws {
        let server = try ScriptedUpstream()
        let looking = try looking(
            .discovery(issuer: server.url), holdsKeys: [false, true], trusts: [.forgotten])
        try answer(server, document(server))
        try answer(server, Self.set)
        #expect(try answer(server, moved(server)).hasPrefix("GET /.well-known/"))
        #expect(try answer(server, Self.set).hasPrefix("GET /moved "))
        _ = try found(try looking.outcome())
    }

    @Test("A document that cannot be read by hand fails the look, and is not forgotten")
    func byHandFailing() throws {
        let server = try ScriptedUpstream()
        let rounds = Rounds()
        let looking = try looking(
            .discovery(issuer: server.url), holdsKeys: [false, true, true],
            trusts: [.forgotten, .remembered], rounds: rounds)
        try answer(server, document(server))
        try answer(server, Self.set)
        try answer(server, "", status: "500 Oops")
        #expect(try answer(server, Self.set).hasPrefix("GET /jwks "))
        _ = try found(try looking.outcome())
        #expect(rounds.outcomes.withLock { $0[1] } == .failed(.status(500)))
    }

    /// What the set's old place gives while a key is missed, and the status.
    private static let noNews = [("200 OK", set), ("304 Not Modified", "")]

    @Test(
        "Where a key is missed and its set has no news, the document says where it is",
        arguments: noNews)
    func missed(status: String, body: String) throws {
        let server = try ScriptedUpstream()
        let looking = try looking(
            .discovery(issuer: server.url), holdsKeys: [false, true], trusts: [.doubted])
        try answer(server, document(server))
        try answer(server, Self.set, fields: "ETag: \"1\"\r\n")
        #expect(try answer(server, body, status: status).hasPrefix("GET /jwks "))
        #expect(try answer(server, moved(server)).hasPrefix("GET /.well-known/"))
        let last = try answer(server, Self.set, fields: "ETag: \"2\"\r\n")
        #expect(last.hasPrefix("GET /moved ") && !last.contains("If-None-Match"))
        #expect(try found(try looking.outcome()).etag == "\"2\"")
    }

    @Test(
        "Where the document names the same place, or cannot be had, the set's answer stands",
        arguments: ["200 OK", "500 Oops", "404 Not Found"])
    func sameAsEver(status: String) throws {
        let server = try ScriptedUpstream()
        let looking = try looking(
            .discovery(issuer: server.url), holdsKeys: [false, true], trusts: [.doubted])
        try answer(server, document(server))
        try answer(server, Self.set, fields: "ETag: \"1\"\r\n")
        try answer(server, "", status: "304 Not Modified")
        // Of an issuer without a path there are two places.
        for _ in 0..<(status.hasPrefix("404") ? 2 : 1) {
            try answer(server, document(server), status: status)
        }
        #expect(try looking.outcome() == .notModified(freshFor: nil))
        #expect(try server.acceptIfAny(within: 0) == nil)
    }

    @Test("A set with news needs no document, nor does a set that has a URL of its own")
    func news() throws {
        let server = try ScriptedUpstream()
        let discovered = try looking(
            .discovery(issuer: server.url), holdsKeys: [false, true], trusts: [.doubted])
        try answer(server, document(server))
        try answer(server, Self.set)
        try answer(server, Self.set.replacing("\"a\"", with: "\"b\""))
        _ = try found(try discovered.outcome())
        let url = try #require(FetchURL(server.url))
        let direct = try looking(.url(url), holdsKeys: [false, true], trusts: [.doubted])
        for _ in 0..<2 { try answer(server, Self.set) }
        _ = try found(try direct.outcome())
        #expect(try server.acceptIfAny(within: 0) == nil)
    }

    @Test("Document and set have one time together")
    func time() throws {
        let server = try ScriptedUpstream()
        let looking = try looking(.discovery(issuer: server.url), timeout: 300)
        try answer(server, document(server))
        let peer = try server.accept()
        let ending = try looking.end()
        #expect(ending.outcomes == [.failed(.timeout)])
        #expect((300..<3000).contains(ending.milliseconds))
        #expect(ending.leaked == 0)
        #expect(peer.waitForEnd() != .open)
    }

    @Test("An issuer that can have no document, and a pattern, are faults at once")
    func noPlace() throws {
        for location in [
            KeyLocation.discovery(issuer: "urn:example"), .discovery(issuer: "https://a/?b"),
            .tenantURL(pattern: "https://a/{tenant}"),
        ] {
            #expect(failed(try looking(location).outcome()) == .noKeysURL)
        }
    }

    @Test("Cancelled between document and set, it is silent and leaves nothing")
    func cancel() throws {
        let server = try ScriptedUpstream()
        let looking = try looking(.discovery(issuer: server.url))
        try answer(server, document(server))
        let peer = try server.accept()
        _ = peer.readHead()
        looking.cancel()
        let ending = try looking.end()
        #expect(ending.outcomes == [])
        #expect(ending.leaked == 0)
        #expect(peer.waitForEnd() != .open)
    }
}
