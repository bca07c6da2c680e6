import Bytes
import Testing

@testable import HTTP2

/// Bytes that nobody meant: nothing traps, what is told stays within bounds.
@Suite struct MutationTests {
    private static func conversation(isServer: Bool) -> [UInt8] {
        if isServer {
            return preface + RawFrame(.settings).bytes + RawFrame(.settings, RawFrame.ack).bytes
                + headers(1, get("/a", [("cookie", "x"), ("cookie", "y")]), isEnd: false).bytes
                + RawFrame(.data, RawFrame.padded, 1, [2, 1, 2, 3, 0, 0]).bytes
                + headers(1, [("a", "b")]).bytes
                + RawFrame(.windowUpdate, 0, 0, octets(100)).bytes + headers(3, get()).bytes
                + RawFrame(.reset, 0, 3, octets(8)).bytes
                + RawFrame(.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]).bytes
                + RawFrame(.headers, RawFrame.endStream, 5, HPACK.block(get())).bytes
                + RawFrame(.continuation, RawFrame.endHeaders, 5, HPACK.block([("a", "b")])).bytes
                + RawFrame(.goAway, 0, 0, octets(0) + octets(0)).bytes
        }
        return RawFrame(.settings, 0, 0, [0, 3] + octets(10)).bytes
            + RawFrame(.settings, RawFrame.ack).bytes
            + headers(1, [(":status", "103")], isEnd: false).bytes
            + headers(1, [(":status", "200"), ("a", "b")], isEnd: false).bytes
            + RawFrame(.data, 0, 1, [1, 2, 3]).bytes + headers(1, [("c", "d")]).bytes
            + headers(3, [(":status", "204")]).bytes + RawFrame(.reset, 0, 5, octets(7)).bytes
            + RawFrame(.goAway, 0, 0, octets(5) + octets(0)).bytes
    }

    @Test(arguments: [true, false], 0..<8)
    func changedBytesNeverTrap(isServer: Bool, seed: UInt64) {
        var random = SplitMix(seed: seed)
        let original = Self.conversation(isServer: isServer)
        for _ in 0..<400 {
            var bytes = original
            // The preface stays, or nothing behind it would be looked at.
            let first = isServer ? preface.count : 0
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let index = Int.random(in: first..<bytes.count, using: &random)
                switch UInt8.random(in: 0..<4, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                default: bytes.remove(at: index)
                }
            }
            drive(bytes, isServer: isServer, &random)
        }
    }

    @Test(arguments: [true, false], 0..<4)
    func randomFramesNeverTrap(isServer: Bool, seed: UInt64) {
        var random = SplitMix(seed: seed &+ 100)
        for _ in 0..<200 {
            var bytes = isServer ? preface : []
            bytes += RawFrame(.settings).bytes
            for _ in 0..<20 {
                let count = Int.random(in: 0...30, using: &random)
                bytes +=
                    RawFrame(
                        type: UInt8.random(in: 0...10, using: &random),
                        UInt8.random(in: 0...255, using: &random),
                        UInt32.random(in: 0...7, using: &random),
                        (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                    ).bytes
            }
            drive(bytes, isServer: isServer, &random)
        }
    }

    /// Gives the bytes in pieces and answers whatever is told.
    private func drive(_ bytes: [UInt8], isServer: Bool, _ random: inout SplitMix) {
        let peer = Peer(isServer ? .server : .client)
        if !isServer {
            for _ in 0..<3 {
                let stream = peer.session.request(
                    "POST / HTTP/1.1\r\nHost: x\r\n\r\n", isEnd: false)
                if let stream { peer.session.write(stream, "body") }
            }
            _ = peer.output()
        }
        peer.onHead = { [unowned peer] stream, head in
            #expect(head.hasSuffix("\r\n\r\n"))
            #expect(head.utf8.allSatisfy { $0 != 0 })
            if !isServer { return }
            peer.session.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false)
            peer.session.write(stream, "body")
            peer.session.end(stream, "a: b\r\n")
        }
        var rest = bytes[...]
        while !rest.isEmpty, peer.isOpen {
            let count = Int.random(in: 1...min(rest.count, 200), using: &random)
            peer.receive(Array(rest.prefix(count)))
            _ = peer.output()
            rest = rest.dropFirst(count)
        }
        #expect(peer.seen.count <= bytes.count)
        #expect(peer.session.openStreams <= 100)
    }
}
