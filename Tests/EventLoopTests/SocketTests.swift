import Bytes
import EventLoop
import Glibc
import Testing

@Suite struct SocketTests {
    private let loop: EventLoop

    init() throws {
        loop = try EventLoop()
    }

    @Test(
        "Two runs are sent as one", arguments: Connection.Kind.allCases,
        [("head", "body"), ("head", ""), ("", "body")])
    func gather(_ kind: Connection.Kind, _ parts: (String, String)) throws {
        let connection = try Connection(kind, loop)
        let (near, far) = (try #require(connection.near), try #require(connection.far))
        let (head, body) = (Array(parts.0.utf8), Array(parts.1.utf8))
        let outcome = near.socket.send(head.span, body.span)
        #expect(outcome == .sent(head.count + body.count))
        var text = ""
        #expect(
            loop.turns {
                text += far.read(loop).text
                return text == parts.0 + parts.1
            })
    }

    @Test("Sending nothing sends nothing and does not fail")
    func nothing() throws {
        let connection = try Connection(.tcp, loop)
        let (near, far) = (try #require(connection.near), try #require(connection.far))
        #expect(near.send("") == .sent(0))
        let none: [UInt8] = []
        let outcome = near.socket.send(none.span, none.span)
        #expect(outcome == .sent(0))
        #expect(far.read(loop).outcome == .wouldBlock)
    }

    @Test(
        "What the kernel takes only in part arrives whole and in order when sent piece by piece",
        arguments: Connection.Kind.allCases)
    func partial(_ kind: Connection.Kind) throws {
        let connection = try Connection(kind, loop)
        let (near, far) = (try #require(connection.near), try #require(connection.far))
        // Long enough that no socket's buffer holds it.
        let bytes = (0..<6_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 / 251) }
        let half = bytes.count / 2
        var (sent, sends, position) = (0, 0, 0)
        var isSame = true
        let isDone = loop.turns {
            let rest = bytes.span.extracting(sent..<bytes.count)
            let outcome =
                sent < half
                ? near.socket.send(
                    bytes.span.extracting(sent..<half), bytes.span.extracting(half..<bytes.count))
                : near.socket.send(rest)
            switch outcome {
            case .sent(let count): (sent, sends) = (sent + count, sends + 1)
            case .wouldBlock: break
            case .failed: return true
            }
            var end = EventLoop.ReceiveOutcome.bytes(isDrained: false)
            while case .bytes = end {
                end = loop.receive(far.socket) { part in
                    for index in part.indices where part[index] != bytes[position + index] {
                        isSame = false
                    }
                    position += part.count
                }
            }
            return position == bytes.count
        }
        #expect(isDone && isSame && sent == bytes.count)
        #expect(sends > 1, "a part at a time")
    }

    @Test("A full buffer would block, for one run and for two", arguments: Connection.Kind.allCases)
    func full(_ kind: Connection.Kind) throws {
        let connection = try Connection(kind, loop)
        let near = try #require(connection.near)
        #expect(loop.turns { near.fill() == 0 })
        #expect(near.send("x") == .wouldBlock)
        let outcome = near.socket.send([1].span, [2].span)
        #expect(outcome == .wouldBlock)
    }

    @Test("Sending to a peer that is gone fails, without a signal")
    func gone() throws {
        let connection = try Connection(.unix, loop)
        let near = try #require(connection.near)
        connection.far = nil
        #expect(near.send("x") == .failed(SystemError(.send, code: EPIPE)))
        let outcome = near.socket.send([1].span, [2].span)
        #expect(outcome == .failed(SystemError(.send, code: EPIPE)))
    }

    @Test("After ending its direction an end sends no more and still reads")
    func shutdownWriting() throws {
        let connection = try Connection(.tcp, loop)
        let (near, far) = (try #require(connection.near), try #require(connection.far))
        near.socket.shutdownWriting()
        #expect(near.send("x") == .failed(SystemError(.send, code: EPIPE)))
        _ = far.send("still here")
        #expect(loop.turns { near.read(loop).text == "still here" })
    }

    @Test("A refused connection turns ready, and its error says so once")
    func refused() throws {
        var listening: ListeningSocket? = try .bind(loopback)
        let address = try #require(listening?.address)
        listening = nil
        let socket: End
        do throws(SystemError) {
            socket = End(try Socket.connecting(to: address))
        } catch {
            #expect(error == SystemError(.connect, code: ECONNREFUSED))
            return
        }
        let handler = ScriptedHandler()
        _ = try loop.add(socket.descriptor, .stream, handler: handler)
        #expect(loop.turns { handler.all.isSuperset(of: [.writable, .hungUp]) })
        #expect(socket.socket.takeError() == SystemError(.connect, code: ECONNREFUSED))
        #expect(socket.socket.takeError() == nil)
    }

    @Test(
        "A connection that is made turns writable without an error",
        arguments: ["127.0.0.1", "::1"])
    func connected(_ text: String) throws {
        let ip = try #require(IPAddress(text))
        let listening = try ListeningSocket.bind(.ip(ip, port: 0))
        let socket = End(try Socket.connecting(to: listening.address))
        let handler = ScriptedHandler()
        _ = try loop.add(socket.descriptor, .stream, handler: handler)
        #expect(loop.turns { handler.all.contains(.writable) })
        #expect(!handler.all.contains(.hungUp))
        #expect(socket.socket.takeError() == nil)
    }

    @Test("A unix socket that nobody listens at, or that is not there, is an error at once")
    func unixRefused() throws {
        let folder = TemporaryFolder()
        let path = folder.path("s")
        #expect(throws: SystemError(.connect, code: ENOENT)) {
            _ = try Socket.connecting(to: .unix(path))
        }
        _ = try ListeningSocket.bind(.unix(path))
        #expect(throws: SystemError(.connect, code: ECONNREFUSED)) {
            _ = try Socket.connecting(to: .unix(path))
        }
    }

    @Test("A socket closes its descriptor when it goes away, and not when it was released")
    func ownership() throws {
        let outcome = try inOwnThread { () throws -> [SystemError?] in
            // A descriptor table of its own: no other thread takes the number meanwhile.
            _ = try DescriptorHoard()
            let (near, far) = try Socket.pair()
            do { _ = Socket(adopting: near) }
            let closed = Socket(adopting: near).takeError()
            let released = Socket(adopting: far).release()
            return [closed, Socket(adopting: released).takeError()]
        }
        #expect(outcome == [SystemError(.connect, code: EBADF), nil])
    }
}
