import Bytes
import HTTP
import Testing

@testable import HTTP2

/// Two sessions that talk to each other.
@Suite struct ExchangeTests {
    private static let seeds: [UInt64?] = [nil, 1, 2, 3, 4]

    @Test(arguments: seeds)
    func aRequestAndItsAnswerArriveAsHeadsOfHTTP1(seed: UInt64?) throws {
        let pair = Pair(cutBy: seed)
        let stream = try #require(
            pair.client.session.request(
                "GET /a?b HTTP/1.1\r\nHost: x.example\r\nAccept: */*\r\n\r\n", isEnd: true))
        pair.run()
        #expect(
            pair.server.takeSeen() == [
                .settings,
                .head(
                    1, "GET /a?b HTTP/1.1\r\nhost: x.example\r\naccept: */*\r\n\r\n", isEnd: true),
            ])
        pair.server.session.respond(
            try #require(pair.server.handles[1]), "HTTP/1.1 204 No Content\r\nVia: 1.1 x\r\n\r\n",
            isEnd: true)
        pair.run()
        #expect(
            pair.client.takeSeen() == [
                .settings, .head(1, "HTTP/1.1 204 \r\nvia: 1.1 x\r\n\r\n", isEnd: true),
                .closed(1, .noError),
            ])
        #expect(pair.server.takeSeen() == [.closed(1, .noError)])
        #expect(pair.client.session.openStreams == 0)
        #expect(pair.server.session.openStreams == 0)
        #expect(stream == HTTP2StreamHandle(id: 1, slot: 0))
    }

    @Test(arguments: seeds)
    func bodiesGoBothWaysThroughWindows(seed: UInt64?) throws {
        let pair = Pair(cutBy: seed)
        let body = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &>> 3) }
        let stream = try #require(
            pair.client.session.request(
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n", isEnd: false))
        pair.client.session.write(stream, body.span)
        pair.client.session.end(stream)
        pair.server.onHead = { [unowned server = pair.server] stream, _ in
            server.session.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
            server.session.write(stream, body.span)
            server.session.end(stream)
        }
        pair.run()
        #expect(pair.server.body(1) == body)
        #expect(pair.client.body(1) == body)
        #expect(pair.client.seen.suffix(2) == [.end(1), .closed(1, .noError)])
        #expect(pair.server.session.openStreams == 0)
    }

    @Test(arguments: ["", "data"], seeds)
    func trailersEndAStream(body: String, seed: UInt64?) throws {
        let pair = Pair(cutBy: seed)
        let stream = try #require(
            pair.client.session.request("POST / HTTP/1.1\r\nHost: x\r\n\r\n", isEnd: false))
        pair.client.session.write(stream, body)
        pair.client.session.end(stream, "X-Sum: 1\r\n")
        pair.run()
        let handle = try #require(pair.server.handles[1])
        #expect(pair.server.seen.last == .trailers(1, "x-sum: 1\r\n"))
        #expect(pair.server.body(1) == Array(body.utf8))
        pair.server.session.respond(handle, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
        pair.server.session.write(handle, body)
        pair.run()
        pair.server.session.end(handle, "grpc-status: 0\r\ngrpc-message: \r\n")
        pair.run()
        #expect(
            pair.client.seen.suffix(2) == [
                .trailers(1, "grpc-status: 0\r\ngrpc-message: \r\n"), .closed(1, .noError),
            ])
    }

    @Test func interimHeadsComeBeforeTheFinalOne() throws {
        let pair = Pair()
        _ = pair.client.session.request("GET / HTTP/1.1\r\nHost: x\r\n\r\n", isEnd: true)
        pair.run()
        let handle = try #require(pair.server.handles[1])
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        pair.server.session.sendInterim(handle, early.utf8Span.span)
        pair.server.session.respond(handle, "HTTP/1.1 200 OK\r\n\r\n", isEnd: true)
        pair.run()
        #expect(
            pair.client.seen.dropFirst() == [
                .head(1, "HTTP/1.1 103 \r\nlink: </a>\r\n\r\n", isEnd: false),
                .head(1, "HTTP/1.1 200 \r\n\r\n", isEnd: true), .closed(1, .noError),
            ])
    }

    @Test func connectionFieldsAreLeftOut() throws {
        let pair = Pair()
        _ = pair.client.session.request(
            """
            GET / HTTP/1.1\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: a\r
            Transfer-Encoding: chunked\r\nUpgrade: h2c\r\nTE: trailers\r\nHost: x\r\nA:  b \r\n\r

            """, isEnd: true)
        pair.run()
        #expect(
            pair.server.seen.last
                == .head(
                    1, "GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\na: b\r\n\r\n", isEnd: true))
    }
}
