import Bytes
import Testing

@testable import HTTP2

/// Windows both ways, and the marks of the streams' buffers.
@Suite struct FlowControlTests {
    /// A server with one request under way and its answer's head sent.
    private func answering(
        _ settings: [UInt8] = []
    ) throws -> (Peer, HTTP2StreamHandle) {
        let server = Peer(.server)
        server.receive(preface + RawFrame(.settings, 0, 0, settings).bytes)
        server.receive(RawFrame(.settings, RawFrame.ack), headers(1, get()))
        let stream = try #require(server.handles[1])
        server.session.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
        _ = server.output()
        return (server, stream)
    }

    private func sent(_ frames: [RawFrame]) -> Int {
        frames.filter { $0.kind == .data }.reduce(0) { $0 + $1.payload.count }
    }

    @Test func noMoreIsSentThanTheStreamsWindow() throws {
        // SETTINGS_INITIAL_WINDOW_SIZE 10
        let (server, stream) = try answering([0, 4] + octets(10))
        server.session.write(stream, [UInt8](repeating: 1, count: 25).span)
        #expect(sent(server.frames()) == 10)
        #expect(!server.session.wantsOutput)
        #expect(server.session.buffered(stream) == 15)
        server.receive(RawFrame(.windowUpdate, 0, 1, octets(1)))
        #expect(sent(server.frames()) == 1)
        // A changed setting moves open windows (RFC 9113, section 6.9.2).
        server.receive(RawFrame(.settings, 0, 0, [0, 4] + octets(15)))
        #expect(sent(server.frames()) == 5)
        // To below zero.
        server.receive(RawFrame(.settings, 0, 0, [0, 4] + octets(0)))
        server.receive(RawFrame(.windowUpdate, 0, 1, octets(16)))
        #expect(sent(server.frames()) == 0 + 1)
        server.receive(RawFrame(.windowUpdate, 0, 1, octets(100)))
        server.session.end(stream)
        let last = server.frames()
        #expect(sent(last) == 8)
        #expect(last.last?.flags == RawFrame.endStream)
    }

    @Test func noMoreIsSentThanTheConnectionsWindow() throws {
        let (server, stream) = try answering([0, 4] + octets(1_000_000))
        server.session.write(stream, [UInt8](repeating: 1, count: 200_000).span)
        #expect(sent(server.frames()) == 65535)
        #expect(!server.session.wantsOutput)
        server.receive(RawFrame(.windowUpdate, 0, 0, octets(100_000)))
        #expect(server.session.wantsOutput)
        #expect(sent(server.frames()) == 100_000)
    }

    @Test func outputStopsNearItsLimitAndGoesOnWhereItStopped() throws {
        let (server, stream) = try answering([0, 4] + octets(1_000_000))
        let body = (0..<60_000).map { UInt8(truncatingIfNeeded: $0) }
        server.session.write(stream, body.span)
        var bytes: [UInt8] = []
        var rounds = 0
        while server.session.wantsOutput {
            let part = server.output(upTo: 1000)
            #expect(part.count <= 1000 + 16384 + 9)
            bytes += part
            rounds += 1
        }
        #expect(rounds == 4)
        let frames = RawFrame.all(in: bytes)
        #expect(frames.flatMap(\.payload) == body)
        #expect(frames.allSatisfy { $0.payload.count <= 16384 })
    }

    /// What waits behind a full output has been promised to nghttp2.
    @Test(arguments: [true, false])
    func aStreamMayEndWhileItsFrameWaitsForRoom(isByPeer: Bool) throws {
        let (server, stream) = try answering([0, 4] + octets(1_000_000))
        server.receive(headers(3, get()))
        let other = try #require(server.handles[3])
        server.session.respond(other, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
        _ = server.output()
        server.session.write(stream, [UInt8](repeating: 1, count: 60_000).span)
        server.session.write(other, "other")
        server.session.end(other)
        var frames = RawFrame.all(in: server.output(upTo: 1000))
        if isByPeer {
            server.receive(RawFrame(.reset, 0, 1, octets(8)))
        } else {
            server.session.reset(stream, .cancel)
        }
        frames += server.frames()
        #expect(frames.filter { $0.kind == .reset }.count == (isByPeer ? 0 : 1))
        #expect(frames.filter { $0.stream == 3 }.map(\.payload) == [Array("other".utf8)])
        #expect(server.seen.contains(.closed(1, .cancel)))
        #expect(server.session.openStreams == 0)
        #expect(server.isOpen)
    }

    @Test func aBufferAboveItsMarkIsToldOnceItIsWritable() throws {
        let (server, stream) = try answering([0, 4] + octets(0))
        server.seen = []
        let session = server.session
        session.write(stream, [UInt8](repeating: 1, count: 32768).span)
        #expect(!session.isCongested(stream))
        session.write(stream, [1].span)
        #expect(session.isCongested(stream))
        server.receive(RawFrame(.windowUpdate, 0, 1, octets(32769 - 16384 - 1)))
        _ = server.output()
        #expect(session.buffered(stream) == 16385)
        #expect(session.isCongested(stream))
        #expect(server.takeSeen() == [])
        server.receive(RawFrame(.windowUpdate, 0, 1, octets(1)))
        _ = server.output()
        #expect(!session.isCongested(stream))
        #expect(server.takeSeen() == [.writable(1)])
        server.receive(
            RawFrame(.windowUpdate, 0, 1, octets(20000)),
            RawFrame(.windowUpdate, 0, 0, octets(20000)))
        _ = server.output()
        #expect(session.buffered(stream) == 0)
        #expect(server.takeSeen() == [])
    }

    @Test func thePeerMaySendWhatWasConsumed() {
        let server = Peer.server(window: 1000)
        server.consumes = false
        server.receive(
            headers(1, get(), isEnd: false),
            RawFrame(.data, 0, 1, [UInt8](repeating: 0, count: 1000)))
        #expect(server.frames() == [])
        let stream = server.handles[1] ?? HTTP2StreamHandle(id: 0, slot: 0)
        server.session.consume(stream, 600)
        #expect(server.frames() == [RawFrame(.windowUpdate, 0, 1, octets(600))])
        server.receive(RawFrame(.data, 0, 1, [UInt8](repeating: 0, count: 600)))
        #expect(server.frames() == [])
        server.receive(RawFrame(.data, 0, 1, [0]))
        #expect(server.verdict() == .stream(.flowControlError))
    }

    @Test func theConnectionsWindowIsGivenBackOnItsOwn() {
        let server = Peer(.server, window: 1 << 20, connectionWindow: 1 << 17)
        server.consumes = false
        server.receive(
            preface + RawFrame(.settings).bytes + RawFrame(.settings, RawFrame.ack).bytes)
        // 131072 for the connection: an update of what 65535 lacks.
        #expect(server.frames().contains(RawFrame(.windowUpdate, 0, 0, octets(65537))))
        server.receive(headers(1, get(), isEnd: false))
        for _ in 0..<8 {
            server.receive(RawFrame(.data, 0, 1, [UInt8](repeating: 0, count: 16384)))
        }
        #expect(server.frames() == [])
        server.session.consumeConnection(131072)
        #expect(server.frames() == [RawFrame(.windowUpdate, 0, 0, octets(131072))])
    }

    @Test func dataThatNobodyTakesGivesTheConnectionsWindowBack() throws {
        let server = Peer.server(window: 1 << 20)
        server.consumes = false
        server.receive(headers(1, get(), isEnd: false))
        server.session.reset(try #require(server.handles[1]), .cancel)
        // Before and after the reset is sent.
        for _ in 0..<40 {
            server.receive(RawFrame(.data, 0, 1, [UInt8](repeating: 0, count: 16384)))
        }
        let early = server.frames()
        for _ in 0..<40 {
            server.receive(RawFrame(.data, 0, 1, [UInt8](repeating: 0, count: 16384)))
        }
        let frames = early + server.frames()
        let given = frames.filter { $0.kind == .windowUpdate && $0.stream == 0 }
            .reduce(0) { $0 + number($1.payload) }
        #expect(given > 80 * 16384 - (1 << 20) / 2)
        #expect(!frames.contains { $0.kind == .goAway })
        #expect(server.isOpen)
    }

    @Test func streamsTakeTurns() throws {
        let server = Peer(.server)
        server.receive(preface + RawFrame(.settings, 0, 0, [0, 4] + octets(1 << 20)).bytes)
        server.receive(RawFrame(.windowUpdate, 0, 0, octets(1 << 24)))
        server.receive(headers(1, get()), headers(3, get()))
        for id in [1, 3] as [Int32] {
            let stream = try #require(server.handles[id])
            server.session.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
            server.session.write(stream, [UInt8](repeating: 1, count: 100_000).span)
        }
        let order = server.frames().filter { $0.kind == .data }.map(\.stream)
        #expect(order.prefix(4).contains(1) && order.prefix(4).contains(3))
    }
}
