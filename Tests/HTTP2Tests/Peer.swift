import Bytes
import HTTP

@testable import HTTP2

/// An event with what it refers to.
enum Seen: Equatable {
    case head(Int32, String, isEnd: Bool)
    case badHead(Int32, MessageError, isEnd: Bool)
    case data(Int32, [UInt8])
    case trailers(Int32, String)
    case end(Int32)
    case closed(Int32, HTTP2ErrorCode?)
    case writable(Int32)
    case goAway(Int32, HTTP2ErrorCode?)
    case settings
    case pong
}

/// A session with everything it said, for tests.
final class Peer {
    let session: HTTP2Session
    var seen: [Seen] = []
    var handles: [Int32: HTTP2StreamHandle] = [:]
    var now: Int64 = 1_000_000
    var isOpen = true
    /// Gives windows back at once, as long as set.
    var consumes = true
    /// Called with each head, while the arena may be read.
    var onHead: ((HTTP2StreamHandle, String) -> Void)?

    init(
        _ role: HTTP2Session.Role, streams: Int = 100, window: Int = 65535,
        connectionWindow: Int = 1 << 20, headBytes: Int = 16384, fields: Int = 100,
        memory: HTTP2Memory = HTTP2Memory()
    ) {
        session = HTTP2Session(
            HTTP2Session.Settings(
                role: role, maxConcurrentStreams: streams, streamWindow: window,
                connectionWindow: connectionWindow, maxHeadBytes: headBytes, maxFields: fields),
            memory: memory)
    }

    /// Gives input and notes the events it makes.
    @discardableResult
    func receive(_ bytes: [UInt8]) -> Bool {
        isOpen = session.receive(bytes.span, nowMilliseconds: now) && isOpen
        note(bytes)
        return isOpen
    }

    @discardableResult
    func receive(_ frames: RawFrame...) -> Bool { receive(frames.flatMap(\.bytes)) }

    /// Everything that is to be sent now.
    func output(upTo limit: Int = 1 << 20) -> [UInt8] {
        var buffer = ByteBuffer()
        session.appendOutput(to: &buffer, upTo: limit)
        note([])
        return buffer.withBytes { Array(copying: $0) }
    }

    func frames() -> [RawFrame] { RawFrame.all(in: output()) }

    func takeSeen() -> [Seen] {
        defer { seen = [] }
        return seen
    }

    private func note(_ input: [UInt8]) {
        while let event = session.nextEvent() {
            switch event {
            case .head(let stream, let range, _, let isEnd):
                handles[stream.id] = stream
                let head = text(range)
                seen.append(.head(stream.id, head, isEnd: isEnd))
                onHead?(stream, head)
            case .badHead(let stream, let fault, let isEnd):
                handles[stream.id] = stream
                seen.append(.badHead(stream.id, fault, isEnd: isEnd))
            case .data(let stream, let range):
                seen.append(.data(stream.id, Array(input[range])))
                guard consumes else { continue }
                session.consume(stream, range.count)
                session.consumeConnection(range.count)
            case .trailers(let stream, let range):
                seen.append(.trailers(stream.id, text(range)))
            case .end(let stream): seen.append(.end(stream.id))
            case .closed(let stream, let code):
                seen.append(.closed(stream.id, HTTP2ErrorCode(rawValue: code)))
            case .writable(let stream): seen.append(.writable(stream.id))
            case .goAway(let last, let code):
                seen.append(.goAway(last, HTTP2ErrorCode(rawValue: code)))
            case .settings: seen.append(.settings)
            case .pong: seen.append(.pong)
            }
        }
    }

    private func text(_ range: Range<Int>) -> String {
        var text = ""
        session.withArena { arena, _ in
            text = String(decoding: Array(copying: arena.extracting(range)), as: UTF8.self)
        }
        return text
    }

    /// Body bytes seen on a stream.
    func body(_ stream: Int32) -> [UInt8] {
        seen.flatMap { seen -> [UInt8] in
            if case .data(stream, let bytes) = seen { return bytes }
            return []
        }
    }
}

extension HTTP2Session {
    func respond(_ stream: HTTP2StreamHandle, _ head: String, isEnd: Bool) {
        respond(stream, head.utf8Span.span, isEnd: isEnd)
    }

    func request(_ head: String, isEnd: Bool) -> HTTP2StreamHandle? {
        request(head.utf8Span.span, isSecure: false, isEnd: isEnd)
    }

    func write(_ stream: HTTP2StreamHandle, _ text: String) {
        write(stream, text.utf8Span.span)
    }

    func end(_ stream: HTTP2StreamHandle, _ trailers: String = "") {
        end(stream, trailers: trailers.utf8Span.span)
    }
}

/// A client and a server joined by two pipes that cut their bytes anywhere.
final class Pair {
    let client: Peer
    let server: Peer
    private var random: SplitMix?

    init(client: Peer = Peer(.client), server: Peer = Peer(.server), cutBy seed: UInt64? = nil) {
        self.client = client
        self.server = server
        random = seed.map(SplitMix.init(seed:))
    }

    /// Moves bytes until both are silent.
    func run() {
        while true {
            let sent = move(client, server)
            let answered = move(server, client)
            if !sent, !answered { return }
        }
    }

    private func move(_ from: Peer, _ to: Peer) -> Bool {
        let bytes = from.output(upTo: 16384)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = random.map { _ in
                Int.random(in: 1...min(rest.count, 3000), using: &random!)
            }
            to.receive(Array(rest.prefix(count ?? rest.count)))
            rest = rest.dropFirst(count ?? rest.count)
        }
        return !bytes.isEmpty
    }
}

extension Peer {
    /// A server whose client has sent its preface and settings, and nothing else.
    static func server(
        streams: Int = 100, window: Int = 65535, headBytes: Int = 16384, fields: Int = 100
    ) -> Peer {
        let peer = Peer(
            .server, streams: streams, window: window, headBytes: headBytes, fields: fields)
        peer.receive(preface + RawFrame(.settings).bytes + RawFrame(.settings, RawFrame.ack).bytes)
        _ = peer.output()
        peer.seen = []
        return peer
    }

    /// A client whose server has sent its settings, with one GET under way on stream 1.
    static func client(headBytes: Int = 16384, fields: Int = 100, method: String = "GET") -> Peer {
        let peer = Peer(.client, headBytes: headBytes, fields: fields)
        peer.receive(RawFrame(.settings), RawFrame(.settings, RawFrame.ack))
        _ = peer.session.request("\(method) / HTTP/1.1\r\nHost: x\r\n\r\n", isEnd: true)
        _ = peer.output()
        peer.seen = []
        return peer
    }

    /// The code of the first RST_STREAM or GOAWAY that waits to be sent.
    func verdict() -> Verdict? {
        for frame in frames() {
            if frame.kind == .reset, let code = frame.code { return .stream(code) }
            if frame.kind == .goAway, let code = frame.code { return .connection(code) }
        }
        return nil
    }
}

/// How a fault of the peer is answered (RFC 9113, section 5.4).
enum Verdict: Equatable {
    case stream(HTTP2ErrorCode)
    case connection(HTTP2ErrorCode)
}
