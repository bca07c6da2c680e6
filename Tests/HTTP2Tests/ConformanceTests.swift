import Bytes
import Testing

@testable import HTTP2

/// What a server makes of frames that RFC 9113 does not allow: the cases of h2spec, by section.
@Suite struct ConformanceTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let name: String
        let bytes: [UInt8]
        let verdict: Verdict?
        var testDescription: String { name }

        init(_ name: String, _ frames: [RawFrame], _ verdict: Verdict?) {
            self.name = name
            bytes = frames.flatMap(\.bytes)
            self.verdict = verdict
        }
    }

    private static let data = RawFrame(.data, 0, 1, [1, 2, 3])
    private static let open = headers(1, get(), isEnd: false)
    private static let closed = [open, RawFrame(.reset, 0, 1, octets(8))]
    private static let ended = headers(1, get())

    private static func setting(_ id: UInt16, _ value: UInt32) -> RawFrame {
        RawFrame(.settings, 0, 0, [UInt8(id >> 8), UInt8(id & 255)] + octets(value))
    }

    private static func raw(_ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> RawFrame {
        RawFrame(.headers, flags, stream, payload)
    }

    private static let getBlock = HPACK.block(get())
    private static let both = RawFrame.endHeaders | RawFrame.endStream

    static let frames: [Row] = [
        // 4.1
        Row("4.1 unknown type", [RawFrame(type: 0x16, 0, 0, [0, 1, 2])], nil),
        Row("4.1 unknown flags", [RawFrame(.ping, 0x16, 0, [UInt8](repeating: 0, count: 8))], nil),
        Row(
            "4.1 reserved bit",
            [RawFrame(.ping, 0, 0x8000_0000, [UInt8](repeating: 0, count: 8))], nil),
        // 4.2
        Row(
            "4.2 DATA of 2^14", [open, RawFrame(.data, 0, 1, [UInt8](repeating: 0, count: 16384))],
            nil),
        Row(
            "4.2 DATA above the size",
            [open, RawFrame(.data, 0, 1, [UInt8](repeating: 0, count: 16385))],
            .connection(.frameSizeError)),
        Row(
            "4.2 HEADERS above the size",
            [raw(both, 1, getBlock + [UInt8](repeating: 0, count: 16385))],
            .connection(.frameSizeError)),
        Row(
            "4.2 CONTINUATION above the size",
            [
                raw(RawFrame.endStream, 1, getBlock),
                RawFrame(
                    .continuation, RawFrame.endHeaders, 1, [UInt8](repeating: 0, count: 16385)),
                RawFrame(.ping, 0, 0, [UInt8](repeating: 0, count: 8)),
            ], .connection(.frameSizeError)),
        // 4.3
        Row(
            "4.3 invalid block", [raw(both, 1, [0x40])], .connection(.compressionError)),
        Row(
            "4.3 PRIORITY inside a block",
            [raw(RawFrame.endStream, 1, getBlock), RawFrame(.priority, 0, 1, [0, 0, 0, 0, 255])],
            .connection(.protocolError)),
        Row(
            "4.3 another stream's HEADERS inside a block",
            [raw(RawFrame.endStream, 1, getBlock), headers(3, get())],
            .connection(.protocolError)),
        // 5.1 idle
        Row("5.1 idle DATA", [data], .connection(.protocolError)),
        Row(
            "5.1 idle RST_STREAM", [RawFrame(.reset, 0, 1, octets(8))], .connection(.protocolError)),
        Row(
            "5.1 idle WINDOW_UPDATE", [RawFrame(.windowUpdate, 0, 1, octets(1))],
            .connection(.protocolError)),
        Row(
            "5.1 idle CONTINUATION", [RawFrame(.continuation, RawFrame.endHeaders, 1, getBlock)],
            .connection(.protocolError)),
        // 5.1 half-closed (remote)
        Row("5.1 half-closed DATA", [ended, data], .connection(.streamClosed)),
        Row("5.1 half-closed HEADERS", [ended, headers(1, get())], .connection(.streamClosed)),
        Row(
            "5.1 half-closed CONTINUATION",
            [ended, RawFrame(.continuation, RawFrame.endHeaders, 1, getBlock)],
            .connection(.protocolError)),
        Row(
            "5.1 half-closed WINDOW_UPDATE", [ended, RawFrame(.windowUpdate, 0, 1, octets(1))], nil),
        // 5.1 closed: nothing is kept of them, so late frames are left out without an answer.
        Row("5.1 closed DATA", closed + [data], nil),
        Row("5.1 closed HEADERS", closed + [headers(1, get())], nil),
        Row("5.1 closed WINDOW_UPDATE", closed + [RawFrame(.windowUpdate, 0, 1, octets(1))], nil),
        Row("5.1 closed RST_STREAM", closed + [RawFrame(.reset, 0, 1, octets(8))], nil),
        Row("5.1 closed PRIORITY", closed + [RawFrame(.priority, 0, 1, [0, 0, 0, 0, 255])], nil),
        Row(
            "5.1 closed CONTINUATION",
            closed + [RawFrame(.continuation, RawFrame.endHeaders, 1, getBlock)],
            .connection(.protocolError)),
        // 5.1.1
        Row("5.1.1 even number", [headers(2, get())], .connection(.protocolError)),
        Row(
            "5.1.1 lower number", [headers(5, get()), headers(3, get())], nil),
        // 5.3
        Row(
            "5.3.1 HEADERS depend on themselves",
            [raw(both | RawFrame.withPriority, 1, octets(1) + [255] + getBlock)],
            .connection(.protocolError)),
        Row(
            "5.3.1 PRIORITY depends on itself", [RawFrame(.priority, 0, 2, octets(2) + [255])],
            .connection(.protocolError)),
        // 5.5
        Row("5.5 unknown frame", [RawFrame(type: 0x7f, 0, 1, [1])], nil),
        Row(
            "5.5 unknown frame inside a block",
            [raw(RawFrame.endStream, 1, getBlock), RawFrame(type: 0x7f, 0, 1, [1])],
            .connection(.protocolError)),
        // 6.1
        Row("6.1 DATA on 0", [RawFrame(.data, 0, 0, [1])], .connection(.protocolError)),
        Row(
            "6.1 DATA padding beyond the payload",
            [open, RawFrame(.data, RawFrame.padded, 1, [6, 1, 2, 3])], .connection(.protocolError)),
        Row(
            "6.1 DATA padding of all", [open, RawFrame(.data, RawFrame.padded, 1, [3, 0, 0, 0])],
            nil),
        Row(
            "6.1 DATA padded without length", [open, RawFrame(.data, RawFrame.padded, 1, [])],
            .connection(.protocolError)),
        // 6.2
        Row("6.2 HEADERS on 0", [headers(0, get())], .connection(.protocolError)),
        Row(
            "6.2 HEADERS padding beyond the payload",
            [raw(both | RawFrame.padded, 1, [255] + getBlock)], .connection(.protocolError)),
        Row(
            "6.2 HEADERS padded", [raw(both | RawFrame.padded, 1, [2] + getBlock + [0, 0])], nil),
        Row(
            "6.2 HEADERS with priority",
            [raw(both | RawFrame.withPriority, 1, octets(0) + [15] + getBlock)], nil),
        // 6.3
        Row(
            "6.3 PRIORITY on 0", [RawFrame(.priority, 0, 0, [0, 0, 0, 0, 15])],
            .connection(.protocolError)),
        Row(
            "6.3 PRIORITY of a wrong size", [open, RawFrame(.priority, 0, 1, [0, 0, 0, 0])],
            .connection(.frameSizeError)),
        // 6.4
        Row(
            "6.4 RST_STREAM on 0", [RawFrame(.reset, 0, 0, octets(8))], .connection(.protocolError)),
        Row(
            "6.4 RST_STREAM of a wrong size", [open, RawFrame(.reset, 0, 1, [0, 0, 0])],
            .connection(.frameSizeError)),
        // 6.5
        Row(
            "6.5 SETTINGS ACK with payload", [RawFrame(.settings, RawFrame.ack, 0, [0])],
            .connection(.frameSizeError)),
        Row("6.5 SETTINGS on 1", [RawFrame(.settings, 0, 1)], .connection(.protocolError)),
        Row(
            "6.5 SETTINGS of a wrong size", [RawFrame(.settings, 0, 0, [0, 3, 0])],
            .connection(.frameSizeError)),
        Row("6.5.2 ENABLE_PUSH 2", [setting(2, 2)], .connection(.protocolError)),
        Row(
            "6.5.2 INITIAL_WINDOW_SIZE 2^31", [setting(4, 1 << 31)],
            .connection(.flowControlError)),
        Row(
            "6.5.2 MAX_FRAME_SIZE 2^14-1", [setting(5, 1 << 14 - 1)], .connection(.protocolError)),
        Row("6.5.2 MAX_FRAME_SIZE 2^24", [setting(5, 1 << 24)], .connection(.protocolError)),
        Row("6.5.2 unknown setting", [setting(0xff, 1)], nil),
        Row(
            "6.5.3 ACK that nobody waits for", [RawFrame(.settings, RawFrame.ack)],
            .connection(.protocolError)),
        // 6.6
        Row(
            "6.6 PUSH_PROMISE from a client",
            [open, RawFrame(.pushPromise, RawFrame.endHeaders, 1, octets(2) + getBlock)],
            .connection(.protocolError)),
        // 6.7
        Row(
            "6.7 PING ACK that nobody waits for",
            [RawFrame(.ping, RawFrame.ack, 0, [UInt8](repeating: 0, count: 8))], nil),
        Row(
            "6.7 PING on 1", [RawFrame(.ping, 0, 1, [UInt8](repeating: 0, count: 8))],
            .connection(.protocolError)),
        Row(
            "6.7 PING of a wrong size", [RawFrame(.ping, 0, 0, [0, 0, 0, 0, 0, 0])],
            .connection(.frameSizeError)),
        // 6.8
        Row(
            "6.8 GOAWAY on 1", [RawFrame(.goAway, 0, 1, octets(0) + octets(0))],
            .connection(.protocolError)),
        Row(
            "6.8 GOAWAY of a wrong size", [RawFrame(.goAway, 0, 0, octets(0))],
            .connection(.frameSizeError)),
        // 6.9
        Row(
            "6.9 WINDOW_UPDATE of 0", [RawFrame(.windowUpdate, 0, 0, octets(0))],
            .connection(.protocolError)),
        Row(
            "6.9 WINDOW_UPDATE of 0 on a stream", [open, RawFrame(.windowUpdate, 0, 1, octets(0))],
            .connection(.protocolError)),
        Row(
            "6.9 WINDOW_UPDATE of a wrong size", [RawFrame(.windowUpdate, 0, 0, [0, 0, 1])],
            .connection(.frameSizeError)),
        Row(
            "6.9.1 connection window above 2^31-1",
            [
                RawFrame(.windowUpdate, 0, 0, octets(0x7fff_ffff)),
                RawFrame(.windowUpdate, 0, 0, octets(0x7fff_ffff)),
            ], .connection(.flowControlError)),
        Row(
            "6.9.1 stream window above 2^31-1",
            [
                open, RawFrame(.windowUpdate, 0, 1, octets(0x7fff_ffff)),
                RawFrame(.windowUpdate, 0, 1, octets(0x7fff_ffff)),
            ], .stream(.flowControlError)),
        Row(
            "6.9.2 settings move a window above 2^31-1",
            [open, RawFrame(.windowUpdate, 0, 1, octets(0x7fff_0000)), setting(4, 0x7fff_ffff)],
            .stream(.flowControlError)),
        // 6.10
        Row(
            "6.10 CONTINUATION after a complete block",
            [open, RawFrame(.continuation, RawFrame.endHeaders, 1, getBlock)],
            .connection(.protocolError)),
        Row(
            "6.10 CONTINUATION on another stream",
            [
                raw(RawFrame.endStream, 1, getBlock),
                RawFrame(.continuation, RawFrame.endHeaders, 3, []),
            ], .connection(.protocolError)),
        Row(
            "6.10 CONTINUATION on 0",
            [
                raw(RawFrame.endStream, 1, getBlock),
                RawFrame(.continuation, RawFrame.endHeaders, 0, []),
            ], .connection(.protocolError)),
        Row(
            "6.10 several CONTINUATIONs",
            [
                raw(RawFrame.endStream, 1, []), RawFrame(.continuation, 0, 1, getBlock),
                RawFrame(.continuation, RawFrame.endHeaders, 1, []),
            ], nil),
        // 8.1
        Row(
            "8.1 second HEADERS without END_STREAM",
            [open, headers(1, [("a", "b")], isEnd: false)], .stream(.protocolError)),
        Row(
            "8.1.1 content-length above the body",
            [
                headers(1, get("/", [("content-length", "4")]), isEnd: false),
                RawFrame(.data, RawFrame.endStream, 1, [1]),
            ], .stream(.protocolError)),
        Row(
            "8.1.1 content-length below the body",
            [
                headers(1, get("/", [("content-length", "1")]), isEnd: false),
                RawFrame(.data, 0, 1, [1]), RawFrame(.data, RawFrame.endStream, 1, [1]),
            ], .stream(.protocolError)),
        // RFC 7541
        Row(
            "HPACK 2.3.3 index beyond both tables", [raw(both, 1, [0x82, 0xff, 0x60])],
            .connection(.compressionError)),
        Row(
            "HPACK 4.2 table size update behind fields", [raw(both, 1, getBlock + [0x20])],
            .connection(.compressionError)),
        Row(
            "HPACK 5.2 Huffman padding above 7 bits",
            [raw(both, 1, getBlock + [0, 1, 0x61, 0x82, 0x1f, 0xff])],
            .connection(.compressionError)),
        Row(
            "HPACK 5.2 Huffman padding of zeros",
            [raw(both, 1, getBlock + [0, 1, 0x61, 0x81, 0x18])], .connection(.compressionError)),
        Row(
            "HPACK 5.2 Huffman with EOS",
            [raw(both, 1, getBlock + [0, 1, 0x61, 0x84, 0xff, 0xff, 0xff, 0xff])],
            .connection(.compressionError)),
        Row("HPACK 6.1 index 0", [raw(both, 1, [0x80])], .connection(.compressionError)),
        Row(
            "HPACK 6.3 table size above the setting",
            [raw(both, 1, [0x3f, 0xff, 0xff, 0x03] + getBlock)], .connection(.compressionError)),
    ]

    @Test(arguments: frames, [false, true])
    func framesAreJudgedAsTheRFCSays(row: Row, isTorn: Bool) {
        let server = Peer.server()
        if isTorn {
            for byte in row.bytes where server.isOpen { server.receive([byte]) }
        } else {
            server.receive(row.bytes)
        }
        var isOver = false
        if case .connection = row.verdict { isOver = true }
        #expect(server.isOpen != isOver)
        #expect(server.verdict() == row.verdict)
        guard server.isOpen else { return }
        // The connection goes on: a PING is answered.
        server.receive(RawFrame(.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]))
        #expect(
            server.frames().contains(
                RawFrame(.ping, RawFrame.ack, 0, [1, 2, 3, 4, 5, 6, 7, 8])))
    }

    static let beginnings: [(String, [UInt8])] = [
        ("HTTP/1.1", Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)),
        ("another preface", Array("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".utf8)),
        ("no SETTINGS", preface + headers(1, get()).bytes),
        ("PING first", preface + RawFrame(.ping, 0, 0, [UInt8](repeating: 0, count: 8)).bytes),
        ("SETTINGS ACK first", preface + RawFrame(.settings, RawFrame.ack).bytes),
    ]

    @Test(arguments: beginnings.indices)
    func anotherBeginningThanAPrefaceEndsTheConnection(row: Int) {
        let server = Peer(.server)
        #expect(!server.receive(Self.beginnings[row].1), "\(Self.beginnings[row].0)")
        #expect(server.verdict() == .connection(.protocolError))
        #expect(server.takeSeen() == [])
    }

    @Test func moreStreamsThanAnnouncedAreRefused() {
        let server = Peer.server(streams: 2)
        server.receive(headers(1, get()), headers(3, get()), headers(5, get()))
        #expect(server.seen.filter { if case .head = $0 { true } else { false } }.count == 2)
        #expect(server.verdict() == .connection(.protocolError))
    }

    @Test func streamsBeyondTheLimitOpenedBeforeItWasKnownAreRefused() {
        let server = Peer(.server, streams: 2)
        server.receive(
            preface + RawFrame(.settings).bytes
                + [1, 3, 5, 7].flatMap { headers($0, get()).bytes })
        #expect(server.isOpen)
        #expect(
            server.frames().filter { $0.kind == .reset }
                == [5, 7].map { RawFrame(.reset, 0, $0, octets(7)) })
        #expect(server.session.openStreams == 2)
        // Nobody was told of them.
        #expect(server.seen.filter { if case .closed = $0 { true } else { false } } == [])
    }
}
