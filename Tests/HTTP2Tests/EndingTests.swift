import Bytes
import Testing

@testable import HTTP2

/// How streams and connections end.
@Suite struct EndingTests {
    private let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

    @Test func aResetByThePeerClosesTheStream() {
        let server = Peer.server()
        server.receive(headers(1, get(), isEnd: false), RawFrame(.reset, 0, 1, octets(8)))
        #expect(server.takeSeen().last == .closed(1, .cancel))
        #expect(server.session.openStreams == 0)
    }

    @Test func aResetOfOursIsSentAndTellsTheEnd() throws {
        let server = Peer.server()
        server.receive(headers(1, get(), isEnd: false))
        let stream = try #require(server.handles[1])
        server.seen = []
        server.session.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
        server.session.write(stream, "never sent")
        server.session.reset(stream, .enhanceYourCalm)
        server.session.reset(stream, .cancel)
        server.session.write(stream, "nor this")
        server.session.end(stream)
        // What comes meanwhile is not told.
        server.receive(RawFrame(.data, RawFrame.endStream, 1, [1, 2, 3]))
        let frames = server.frames()
        #expect(frames.filter { $0.kind == .data } == [])
        #expect(frames.filter { $0.kind == .reset } == [RawFrame(.reset, 0, 1, octets(0xb))])
        #expect(server.takeSeen() == [.closed(1, .enhanceYourCalm)])
    }

    @Test func callsForAStreamThatIsGoneDoNothing() throws {
        let server = Peer.server()
        server.receive(headers(1, get()))
        let gone = try #require(server.handles[1])
        server.receive(RawFrame(.reset, 0, 1, octets(8)))
        server.receive(headers(3, get(), isEnd: false))
        let new = try #require(server.handles[3])
        #expect(gone.slot == new.slot)
        let session = server.session
        session.respond(gone, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
        session.sendInterim(gone, "HTTP/1.1 103 x\r\n\r\n".utf8Span.span)
        session.write(gone, "x")
        session.end(gone, "a: b\r\n")
        session.consume(gone, 5)
        session.reset(gone, .cancel)
        #expect(session.buffered(gone) == 0)
        #expect(!session.isCongested(gone))
        #expect(server.frames() == [])
        #expect(session.openStreams == 1)
    }

    @Test func aSlotIsFreeOnceItsStreamsEndWasTold() throws {
        let server = Peer.server()
        server.receive(headers(1, get()))
        server.receive(RawFrame(.reset, 0, 1, octets(8)), headers(3, get()))
        server.receive(headers(5, get()))
        let slots = [1, 3, 5].map { server.handles[$0]?.slot }
        #expect(slots == [0, 1, 0])
    }

    @Test func aResponseMayResetWhatIsLeftOfItsRequest() throws {
        for isComplete in [false, true] {
            let server = Peer.server()
            server.receive(headers(1, get(), isEnd: isComplete))
            let stream = try #require(server.handles[1])
            server.session.resetAfterEnd(stream)
            server.session.respond(stream, "HTTP/1.1 413 x\r\n\r\n", isEnd: false)
            server.session.write(stream, "too large")
            server.session.end(stream)
            let kinds = server.frames().map(\.kind)
            #expect(kinds == (isComplete ? [.headers, .data] : [.headers, .data, .reset]))
            #expect(server.seen.last == .closed(1, .noError))
        }
    }

    @Test func whatIsLeftOfARequestMayBeResetAWhileBehindItsResponse() throws {
        let server = Peer.server()
        server.receive(headers(1, get(), isEnd: false), headers(3, get(), isEnd: false))
        for id: Int32 in [1, 3] {
            let stream = try #require(server.handles[id])
            server.session.respond(stream, "HTTP/1.1 413 x\r\n\r\n", isEnd: true)
        }
        #expect(server.frames().map(\.kind) == [.headers, .headers])
        server.receive(RawFrame(.data, RawFrame.endStream, 1, [1]))
        #expect(server.seen.last == .closed(1, .noError))
        for id: Int32 in [1, 3] {
            server.session.resetAfterEnd(try #require(server.handles[id]))
        }
        #expect(server.frames() == [RawFrame(.reset, 0, 3, octets(0))])
        #expect(server.seen.last == .closed(3, .noError))
    }

    @Test func aStreamMayBeResetBeforeItsRequestIsSent() throws {
        let pair = Pair()
        let session = pair.client.session
        let stream = try #require(session.request(request, isEnd: false))
        session.write(stream, "x")
        session.reset(stream, .cancel)
        pair.run()
        #expect(pair.client.seen.contains(.closed(1, .cancel)))
        #expect(session.openStreams == 0)
        #expect(!pair.server.seen.contains { if case .head = $0 { true } else { false } })
        // The next one is fine.
        _ = session.request(request, isEnd: true)
        pair.run()
        #expect(pair.server.seen.contains { if case .head = $0 { true } else { false } })
    }

    @Test func aResponseMayEndBeforeItsRequest() throws {
        let pair = Pair()
        let stream = try #require(pair.client.session.request(request, isEnd: false))
        pair.run()
        let handle = try #require(pair.server.handles[1])
        pair.server.session.respond(handle, "HTTP/1.1 413 x\r\n\r\n", isEnd: true)
        pair.run()
        #expect(pair.server.session.openStreams == 1)
        pair.server.session.reset(handle, .noError)
        pair.run()
        #expect(
            pair.client.seen.suffix(2) == [
                .head(1, "HTTP/1.1 413 \r\n\r\n", isEnd: true), .closed(1, .noError),
            ])
        pair.client.session.write(stream, "too late")
        #expect(!pair.client.session.wantsOutput)
    }

    @Test func aShutdownIsAnnouncedAndThenDone() throws {
        let pair = Pair()
        _ = pair.client.session.request(request, isEnd: true)
        pair.run()
        pair.server.session.announceShutdown()
        pair.run()
        #expect(pair.client.seen.last == .goAway(.max, .noError))
        #expect(!pair.client.session.canOpenStream)
        #expect(pair.client.session.request(request, isEnd: true) == nil)
        pair.server.session.shutDown(.noError)
        pair.run()
        #expect(pair.client.seen.last == .goAway(1, .noError))
        // The stream under way goes on.
        pair.server.session.respond(
            try #require(pair.server.handles[1]), "HTTP/1.1 200 OK\r\n\r\n", isEnd: true)
        pair.run()
        #expect(pair.client.seen.last == .closed(1, .noError))
        // Then there is nothing left to read.
        #expect(!pair.client.receive([]))
        #expect(!pair.server.receive([]))
    }

    @Test(arguments: [(last: UInt32.max, isRefused: false), (3, false), (1, true)])
    func aRequestThatHadNotLeftIsJudgedByTheGoAwaysLastStream(
        last: UInt32, isRefused: Bool
    ) throws {
        let client = Peer.client()
        _ = client.output()
        let stream = try #require(client.session.request(request, isEnd: false))
        client.session.write(stream, "body")
        client.receive(RawFrame(.goAway, 0, 0, octets(last) + octets(0)))
        #expect(client.seen.contains(.closed(3, .refusedStream)) == isRefused)
        #expect(client.session.openStreams == (isRefused ? 1 : 2))
        let sent = client.frames().map(\.kind)
        #expect(sent.first == .headers)
        #expect(sent.contains(.data) == !isRefused)
        #expect(client.session.request(request, isEnd: true) == nil)
    }

    @Test func streamsAboveTheLastOfAGoAwayAreRefused() throws {
        let client = Peer.client()
        _ = client.session.request(request, isEnd: true)
        _ = client.session.request(request, isEnd: true)
        _ = client.output()
        client.receive(RawFrame(.goAway, 0, 0, octets(1) + octets(0)))
        #expect(
            Set(client.seen.map { "\($0)" })
                == Set(
                    [
                        Seen.goAway(1, .noError), .closed(3, .refusedStream),
                        .closed(5, .refusedStream),
                    ].map { "\($0)" }))
        #expect(client.isOpen)
        #expect(client.session.openStreams == 1)
        client.receive(headers(1, [(":status", "204")]))
        #expect(!client.isOpen)
        #expect(client.seen.last == .closed(1, .noError))
    }

    @Test(arguments: [HTTP2ErrorCode.protocolError, .enhanceYourCalm, .internalError])
    func anErrorEndsTheConnection(code: HTTP2ErrorCode) {
        let server = Peer.server()
        server.receive(headers(1, get()))
        server.session.shutDown(code)
        #expect(server.frames().last?.code == code)
        #expect(!server.session.wantsOutput)
        #expect(!server.receive(headers(3, get())))
        #expect(server.seen.count == 1)
    }

    @Test func aPingIsAnsweredBothWays() {
        let pair = Pair()
        pair.run()
        pair.client.session.ping()
        pair.server.session.ping()
        pair.run()
        #expect(pair.client.seen.last == .pong)
        #expect(pair.server.seen.last == .pong)
    }

    @Test func aClientHoldsToThePeersLimitOfStreams() throws {
        let pair = Pair(server: Peer(.server, streams: 2))
        #expect(pair.client.session.maxStreams == 100)
        pair.run()
        #expect(pair.client.session.maxStreams == 2)
        #expect(pair.client.session.request(request, isEnd: true) != nil)
        #expect(pair.client.session.request(request, isEnd: true) != nil)
        #expect(!pair.client.session.canOpenStream)
        #expect(pair.client.session.request(request, isEnd: true) == nil)
        pair.run()
        pair.server.session.respond(
            try #require(pair.server.handles[1]), "HTTP/1.1 200 OK\r\n\r\n", isEnd: true)
        pair.run()
        #expect(pair.client.session.canOpenStream)
        let next = try #require(pair.client.session.request(request, isEnd: true))
        #expect(next.id == 5)
        #expect(next.slot == 0)
    }

    @Test func aPeerWithoutALimitAllowsMany() {
        let client = Peer.client()
        #expect(client.session.maxStreams > 1_000_000)
    }

    @Test func slotsAreUsedAgainAndStaySmall() {
        let server = Peer.server()
        for round in 0..<500 {
            let first = UInt32(round * 6 + 1)
            for id in [first, first + 2, first + 4] {
                server.receive(headers(id, get()))
                let stream = server.handles[Int32(id)] ?? HTTP2StreamHandle(id: 0, slot: 9)
                #expect(stream.slot < 3)
            }
            for id in [first, first + 2, first + 4] {
                guard let stream = server.handles[Int32(id)] else { continue }
                server.session.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
                server.session.write(stream, "body")
                server.session.end(stream)
            }
            let count = server.frames().filter { $0.kind == .data }.count
            #expect(count == 3)
        }
        #expect(server.session.openStreams == 0)
        #expect(server.isOpen)
    }
}
