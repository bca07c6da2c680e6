import COpenSSL
import OpenSSL
import Testing

/// What goes through a session once it stands.
@Suite struct TLSStreamTests {
    func pair(bufferBytes: Int32? = nil, newest: TLSVersion = .tls13) throws -> TLSPair {
        let pair = try TLSPair(
            clientContext(), serverContext(tickets: freshTickets()), bufferBytes: bufferBytes)
        #expect(pair.shakeHands() == .complete)
        #expect(pair.client.read().0 == .wouldBlock)
        return pair
    }

    static let pattern = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }

    @Test(
        "A mebibyte goes through a full socket in parts, whole and in order",
        arguments: [1, 65536, nil] as [Int32?])
    func partialWrites(_ bufferBytes: Int32?) throws {
        let pair = try pair(bufferBytes: bufferBytes)
        var rest = Self.pattern[...]
        var received: [UInt8] = []
        var blockedWrites = 0
        while received.count < Self.pattern.count {
            if !rest.isEmpty {
                let offered = Array(rest)
                guard case .wrote(let count) = pair.server.write(offered.span) else {
                    Issue.record("write failed")
                    return
                }
                if count < rest.count { blockedWrites += 1 }
                rest = rest.dropFirst(count)
            }
            received += pair.client.readAll()
        }
        #expect(received == Self.pattern)
        #expect(rest.isEmpty)
        #expect(blockedWrites > 0)
        #expect(ERR_peek_error() == 0)
    }

    @Test("A read says whether the socket is drained")
    func drained() throws {
        let pair = try pair()
        #expect(pair.server.read().0 == .wouldBlock)
        #expect(pair.client.write("one") == .wrote(3))
        #expect(pair.client.write("two") == .wrote(3))
        #expect(pair.server.read().0 == .bytes(6, isDrained: true))
        #expect(pair.server.read().0 == .wouldBlock)
        #expect(pair.client.write("three") == .wrote(5))
        #expect(pair.server.read(upTo: 3).0 == .bytes(3, isDrained: false))
        #expect(pair.server.read(upTo: 3).0 == .bytes(2, isDrained: true))
        #expect(pair.server.read(upTo: 0).0 == .bytes(0, isDrained: false))
    }

    @Test("After the end was seen coming, a read goes on to it")
    func seenEnd() throws {
        let pair = try pair()
        #expect(pair.client.write("last") == .wrote(4))
        pair.client.endWriting()
        pair.sockets.closeLeft()
        pair.server.noteEndComing()
        #expect(pair.server.read().0 == .bytes(4, isDrained: false))
        #expect(pair.server.read().0 == .endOfStream)
        #expect(pair.server.read().0 == .endOfStream)
    }

    @Test("A record that came in part is no data yet")
    func partOfRecord() throws {
        let pair = try pair()
        #expect(pair.client.write("whole") == .wrote(5))
        let record = pair.sockets.receiveRight()
        let other = SocketPair()
        _ = other
        for octet in record.dropLast() {
            pair.sockets.sendLeft([octet])
            #expect(pair.server.read().0 == .wouldBlock)
        }
        pair.sockets.sendLeft([record[record.count - 1]])
        #expect(pair.server.read().0 == .bytes(5, isDrained: true))
    }

    @Test("close_notify ends the stream; without it the stream is cut short")
    func endings() throws {
        let polite = try pair()
        #expect(polite.client.write("bye") == .wrote(3))
        polite.client.endWriting()
        #expect(polite.server.read().0 == .bytes(3, isDrained: false))
        #expect(polite.server.read().0 == .endOfStream)
        // The other direction is still open.
        #expect(polite.server.write("late answer") == .wrote(11))
        #expect(polite.client.read().1 == Array("late answer".utf8))

        let rude = try pair()
        #expect(rude.client.write("bye") == .wrote(3))
        rude.sockets.closeLeft()
        #expect(rude.server.read().1 == Array("bye".utf8))
        #expect(rude.server.read().0 == .truncated)
        #expect(rude.server.read().0 == .truncated)
    }

    @Test("A changed record ends the session, after what came before it")
    func tampering() throws {
        let pair = try pair()
        #expect(pair.client.write("good") == .wrote(4))
        var octets = pair.sockets.receiveRight()
        #expect(pair.client.write("evil") == .wrote(4))
        var second = pair.sockets.receiveRight()
        second[second.count - 1] ^= 1
        octets += second
        pair.sockets.sendLeft(octets)
        #expect(pair.server.read().0 == .bytes(4, isDrained: false))
        let failure = TLSSession.ReadOutcome.failed(
            .protocol("decryption failed or bad record mac"))
        #expect(pair.server.read().0 == failure)
        #expect(pair.server.read().0 == failure)
        #expect(pair.server.write("x") == .failed(.closed))
        #expect(ERR_peek_error() == 0)
        #expect(pair.client.read().0 == .failed(.alert("bad record mac")))
    }

    @Test("A write to a peer that went away fails with the system's error")
    func writeToNobody() throws {
        let pair = try pair()
        pair.sockets.closeLeft()
        let outcome = pair.server.write("x")
        #expect(outcome == .failed(.system(32)))
        #expect(pair.server.write("x") == .failed(.closed))
        pair.server.endWriting()
        #expect(ERR_peek_error() == 0)
    }

    @Test("One call takes in no more than its budget", arguments: [1000, 16384, 65536])
    func budget(_ count: Int) throws {
        let pair = try pair()
        var sent = 0
        while sent < Self.pattern.count {
            let offered = Array(Self.pattern[sent..<min(sent + 16384, Self.pattern.count)])
            guard case .wrote(let count) = pair.client.write(offered.span), count > 0 else { break }
            sent += count
        }
        var taken = 0
        while true {
            let (outcome, octets) = pair.server.read(upTo: count)
            #expect(octets.count <= count)
            taken += octets.count
            guard case .bytes(_, isDrained: false) = outcome else { break }
        }
        #expect(taken == sent)
    }

    @Test("A peer that only changes keys is refused before long")
    func keyUpdateFlood() throws {
        let sockets = SocketPair()
        let server = try serverContext().makeSession(descriptor: sockets.right)
        let client = RawClient(sockets.left)
        #expect(client.shakeHands(with: server).isComplete)
        var outcome = TLSSession.ReadOutcome.wouldBlock
        var updates = 0
        while outcome == .wouldBlock, updates < 1000 {
            unsafe SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED)
            _ = client.handshake()
            updates += 1
            outcome = server.read().0
        }
        #expect(outcome == .failed(.protocol("too many records without data")))
        #expect(updates < 70)
    }

    @Test("Key changes between data are answered and welcome")
    func keyUpdates() throws {
        let sockets = SocketPair()
        let server = try serverContext().makeSession(descriptor: sockets.right)
        let client = RawClient(sockets.left)
        #expect(client.shakeHands(with: server).isComplete)
        for round in 0..<200 {
            unsafe SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED)
            #expect(client.write([UInt8(round)]) == 1)
            #expect(server.read().1 == [UInt8(round)])
            #expect(server.write("ok") == .wrote(2))
            #expect(client.read() == Array("ok".utf8))
        }
    }

    @Test("A read that waits to write says so, and goes on once the socket takes bytes")
    func readThatWrites() throws {
        let sockets = SocketPair(bufferBytes: 1)
        let server = try serverContext().makeSession(descriptor: sockets.right)
        let client = RawClient(sockets.left)
        #expect(client.shakeHands(with: server).isComplete)
        // The server's direction is full, at the end of a record.
        var sent = 0
        while case .wrote(1) = server.write("x") { sent += 1 }
        unsafe SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED)
        #expect(client.write([1, 2, 3]) == 3)
        var received: [UInt8] = []
        var octets: [UInt8] = []
        for _ in 0..<1000 where octets.isEmpty {
            octets = server.read().1
            received += client.read()
        }
        #expect(octets == [1, 2, 3])
        while case .wrote(0) = server.write("x") { received += client.read() }
        while case let more = client.read(), !more.isEmpty { received += more }
        #expect(received.count == sent + 1)
        #expect(!server.readWantsWrite)
    }

    @Test("Renegotiation is refused")
    func renegotiation() throws {
        let sockets = SocketPair()
        let server = try serverContext().makeSession(descriptor: sockets.right)
        let client = RawClient(sockets.left, .init(maximum: .tls12))
        #expect(client.shakeHands(with: server).isComplete)
        #expect(unsafe SSL_renegotiate(client.ssl) == 1)
        _ = client.handshake()
        let outcome = server.read().0
        #expect(outcome == .wouldBlock, "\(outcome)")
        #expect(client.handshake() != true)
    }

    @Test("Any bytes after the handshake end in a failure, never in a trap", arguments: 0..<200)
    func mutations(_ seed: Int) throws {
        let pair = try pair()
        var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 &+ 1
        func random(below bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        #expect(pair.client.write(String(repeating: "a", count: 100)) == .wrote(100))
        pair.client.endWriting()
        var octets = pair.sockets.receiveRight()
        octets[random(below: octets.count)] ^= UInt8(1 << random(below: 8))
        pair.sockets.sendLeft(Array(octets.prefix(octets.count - random(below: 5))))
        pair.sockets.closeLeft()
        var outcomes: [TLSSession.ReadOutcome] = []
        repeat { outcomes.append(pair.server.read().0) } while outcomes.count < 5
        // The changed octet may stand in close_notify, after the data.
        #expect(outcomes.filter { $0 == .endOfStream } == [])
        #expect(ERR_peek_error() == 0)
    }
}
