import Bytes
import HTTP
import Testing

@testable import HTTP2

/// Floods against a whole session: each ends the connection within its budget, and neither events
/// nor heads nor output pile up.
@Suite struct FloodTests {
    private static let eight = [UInt8](repeating: 0, count: 8)

    /// A flood: what is sent once, then what is sent again and again, by round.
    struct Flood: CustomTestStringConvertible, Sendable {
        let name: String
        let most: Int
        var first: [RawFrame] = []
        let round: @Sendable (UInt32) -> [RawFrame]
        var testDescription: String { name }
    }

    static let floods: [Flood] = [
        Flood(name: "rapid reset", most: 201) { round in
            let id = round * 2 + 1
            return [headers(id, get()), RawFrame(.reset, 0, id, octets(8))]
        },
        Flood(name: "made you reset by a window's overflow", most: 201) { round in
            let id = round * 2 + 1
            return [headers(id, get()), RawFrame(.windowUpdate, 0, id, octets(0x7fff_ffff))]
        },
        Flood(name: "made you reset by a malformed head", most: 201) { round in
            [headers(round * 2 + 1, get("/", [("A", "b")]))]
        },
        Flood(name: "made you reset by content-length", most: 201) { round in
            let id = round * 2 + 1
            return [
                headers(id, get("/", [("content-length", "1")]), isEnd: false),
                RawFrame(.data, 0, id, [1, 2]),
            ]
        },
        Flood(name: "made you reset by a short body", most: 201) { round in
            let id = round * 2 + 1
            return [
                headers(id, get("/", [("content-length", "3")]), isEnd: false),
                RawFrame(.data, RawFrame.endStream, id, [1, 2]),
            ]
        },
        Flood(name: "made you reset by trailers", most: 201) { round in
            let id = round * 2 + 1
            return [
                headers(id, get(), isEnd: false), headers(id, [(":path", "/")]),
            ]
        },
        Flood(name: "made you reset by trailers too large", most: 201) { round in
            let id = round * 2 + 1
            return [
                headers(id, get(), isEnd: false),
                headers(id, (0..<101).map { ("f\($0)", "") }),
            ]
        },
        Flood(name: "SETTINGS", most: 201) { _ in [RawFrame(.settings)] },
        Flood(name: "PING", most: 201) { _ in [RawFrame(.ping, 0, 0, eight)] },
        Flood(name: "PING ACK", most: 201) { _ in [RawFrame(.ping, RawFrame.ack, 0, eight)] },
        Flood(name: "PRIORITY", most: 201) { round in
            [RawFrame(.priority, 0, round * 2 + 1, octets(round * 2 + 3) + [9])]
        },
        Flood(name: "unknown frames", most: 201) { _ in [RawFrame(type: 0xbe, 0, 0, eight)] },
        Flood(name: "empty DATA", most: 203, first: [headers(1, get(), isEnd: false)]) { _ in
            [RawFrame(.data, 0, 1)]
        },
        Flood(name: "padding", most: 203, first: [headers(1, get(), isEnd: false)]) { _ in
            [RawFrame(.data, RawFrame.padded, 1, [1, 0])]
        },
        Flood(name: "WINDOW_UPDATE", most: 1001) { _ in
            [RawFrame(.windowUpdate, 0, 0, octets(1))]
        },
        Flood(
            name: "HEADERS of a closed stream", most: 203,
            first: [headers(1, get()), RawFrame(.reset, 0, 1, octets(8))]
        ) { _ in [headers(1, get())] },
        Flood(
            name: "CONTINUATION", most: 17, first: [RawFrame(.headers, 0, 1, HPACK.block(get()))]
        ) { round in
            [RawFrame(.continuation, 0, 1, HPACK.block([("a", "\(round)")]))]
        },
        Flood(
            name: "empty CONTINUATION", most: 5,
            first: [RawFrame(.headers, 0, 1, HPACK.block(get()))]
        ) { _ in [RawFrame(.continuation, 0, 1)] },
    ]

    @Test(arguments: floods, [false, true])
    func aFloodEndsTheConnectionWithinItsBudget(flood: Flood, isAllAtOnce: Bool) {
        let server = Peer.server()
        server.receive(flood.first.flatMap(\.bytes))
        var rounds: UInt32 = 0
        var frames: [RawFrame] = []
        if isAllAtOnce {
            // More than the budget in each input, and nothing is drained between.
            while server.isOpen, rounds < 10_000 {
                let part = (rounds..<rounds + 50).flatMap { flood.round($0).flatMap(\.bytes) }
                server.receive(part)
                #expect(server.seen.count < 400)
                server.seen = []
                rounds += 50
            }
        } else {
            while server.isOpen, rounds < 10_000 {
                server.receive(flood.round(rounds).flatMap(\.bytes))
                frames += server.frames()
                rounds += 1
            }
        }
        #expect(!server.isOpen)
        #expect(rounds <= flood.most + (isAllAtOnce ? 150 : 0), "\(rounds)")
        frames += server.frames()
        #expect(frames.last?.kind == .goAway)
        #expect(frames.last?.code == .enhanceYourCalm)
        #expect(!server.session.wantsOutput)
        #expect(server.session.openStreams <= 100)
    }

    @Test func ordinaryUseMeetsNoBudget() throws {
        let server = Peer.server()
        for round in 0..<3000 {
            let id = UInt32(round * 2 + 1)
            // A small gRPC exchange: message, empty DATA, trailers; a PING and updates with each.
            server.receive(
                headers(id, get(), isEnd: false), RawFrame(.data, 0, id, [1, 2, 3]),
                RawFrame(.data, 0, id), headers(id, [("a", "b")]))
            let stream = try #require(server.handles[Int32(id)])
            server.session.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
            server.session.write(stream, "answer")
            server.session.end(stream, "grpc-status: 0\r\n")
            _ = server.output()
            server.receive(
                RawFrame(.windowUpdate, 0, 0, octets(6)), RawFrame(.ping, 0, 0, Self.eight))
            _ = server.output()
            server.seen = []
        }
        #expect(server.isOpen)
    }

    /// A head whose fields are references to the dynamic table.
    private func bomb(_ stream: UInt32, references: Int, fieldBytes: Int) -> [UInt8] {
        let value = [UInt8](repeating: 0x76, count: fieldBytes)
        let stored = [0x40] + [1, 0x61] + HPACK.integer(value.count, prefix: 7) + value
        let payload =
            HPACK.block(get()) + stored + [UInt8](repeating: 0xbe, count: references)
        return RawFrame(.headers, RawFrame.endHeaders | RawFrame.endStream, stream, payload).bytes
    }

    @Test func aHeadGrownByCompressionIsTooLarge() {
        let server = Peer.server()
        server.receive(bomb(1, references: 6, fieldBytes: 3000))
        #expect(server.takeSeen() == [.badHead(1, .headTooLarge, isEnd: true)])
        #expect(server.isOpen)
    }

    @Test func aHeadBlownUpByCompressionEndsTheConnection() {
        let server = Peer.server()
        server.receive(bomb(1, references: 5000, fieldBytes: 3000))
        #expect(server.takeSeen() == [])
        #expect(server.verdict() == .connection(.enhanceYourCalm))
        #expect(!server.isOpen)
    }

    @Test func manyLargeHeadsInOneInputStayWithinABound() {
        let server = Peer.server(streams: 1000, headBytes: 65536)
        var input = bomb(1, references: 15, fieldBytes: 3900)
        for id in 1..<400 {
            let payload = HPACK.block(get()) + [UInt8](repeating: 0xbe, count: 15)
            input += RawFrame(.headers, 5, UInt32(id * 2 + 1), payload).bytes
        }
        server.receive(input)
        #expect(!server.isOpen)
        let heads = server.seen.compactMap { seen -> Int? in
            if case .head(_, let text, _) = seen { return text.utf8.count }
            return nil
        }
        #expect(heads.reduce(0, +) < 3 << 20)
        #expect(server.verdict() == .connection(.enhanceYourCalm))
    }

    @Test func cookiesInCrumbsAreBoundedAsWell() {
        let server = Peer.server()
        server.receive(block(1, get("/", (0..<480).map { _ in ("cookie", "a") })))
        #expect(server.takeSeen() == [.badHead(1, .headTooLarge, isEnd: true)])
        server.receive(block(3, get("/", (0..<2000).map { _ in ("cookie", "") })))
        #expect(server.verdict() == .connection(.enhanceYourCalm))
    }

    @Test func answersThatNobodyReadsDoNotPileUp() {
        let server = Peer.server()
        // Within the budgets, for an hour, and nothing is ever drained.
        for _ in 0..<3600 where server.isOpen {
            server.now += 1000
            for _ in 0..<20 { server.receive(RawFrame(.ping, 0, 0, Self.eight)) }
            server.seen = []
        }
        #expect(!server.isOpen)
        #expect(server.output(upTo: 1 << 30).count < 100_000)
    }

    @Test func aThousandUnfinishedRequestsAreNotTaken() {
        let server = Peer.server(streams: 100)
        for id in 0..<1000 where server.isOpen {
            server.receive(headers(UInt32(id * 2 + 1), get(), isEnd: false))
        }
        #expect(!server.isOpen)
        #expect(server.session.openStreams <= 100)
    }
}
