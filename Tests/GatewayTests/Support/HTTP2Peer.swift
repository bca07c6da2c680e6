import Bytes
import EventLoop
import HTTP2
import Testing

/// One end of an HTTP/2 connection in the hands of a test: a session over a peer's bytes. Nothing
/// moves but in calls, each of which waits no longer than a peer does.
final class HTTP2Peer {
    /// What came on a stream.
    struct Message: Equatable {
        var head = ""
        var body = ""
        var trailers = ""
        var isEnded = false
        /// The code that the stream ended with, once it is gone.
        var code: UInt32?
    }

    /// What the bytes go through.
    let end: any ByteEnd
    let session: HTTP2Session
    /// Gives windows back as bytes come.
    var consumes = true
    private(set) var messages: [Int32: Message] = [:]
    private(set) var goAways: [Int32] = []
    private(set) var hasSettings = false
    private(set) var pongs = 0
    private var handles: [Int32: HTTP2StreamHandle] = [:]
    /// Requests in the order of their heads, that nobody asked for yet.
    private var unread: [Int32] = []

    init(
        _ end: any ByteEnd, _ role: HTTP2Session.Role, streams: Int = 100, window: Int = 65535
    ) {
        self.end = end
        session = HTTP2Session(
            HTTP2Session.Settings(
                role: role, maxConcurrentStreams: streams, streamWindow: window,
                connectionWindow: 1 << 24, maxHeadBytes: 65536, maxFields: 100))
    }

    /// The same, in the clear.
    var peer: Peer { end as? Peer ?? Peer(Socket(adopting: -1)) }

    /// What came on a stream so far.
    subscript(_ stream: Int32) -> Message { messages[stream] ?? Message() }

    /// The session's own name for a stream that is open.
    func handle(_ stream: Int32) -> HTTP2StreamHandle? { handles[stream] }

    // MARK: Out

    /// Opens a stream.
    func request(_ head: String, isEnd: Bool = true) throws -> Int32 {
        let opened = session.request(head.utf8Span.span, isSecure: false, isEnd: isEnd)
        let handle = try #require(opened)
        handles[handle.id] = handle
        flush()
        return handle.id
    }

    func respond(_ stream: Int32, _ head: String = "HTTP/1.1 200 OK\r\n\r\n", isEnd: Bool = false) {
        act(stream) { session.respond($0, head.utf8Span.span, isEnd: isEnd) }
    }

    /// A whole response.
    func answer(_ stream: Int32, _ body: String = "ok") {
        respond(stream, "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n")
        write(stream, body)
        end(stream)
    }

    func write(_ stream: Int32, _ text: String) {
        act(stream) { session.write($0, text.utf8Span.span) }
    }

    func end(_ stream: Int32, _ trailers: String = "") {
        act(stream) { session.end($0, trailers: trailers.utf8Span.span) }
    }

    func reset(_ stream: Int32, _ code: HTTP2ErrorCode) {
        act(stream) { session.reset($0, code) }
    }

    /// Gives a part of a stream's window back.
    func consume(_ stream: Int32, _ count: Int) {
        act(stream) { session.consume($0, count) }
    }

    /// GOAWAY with a number of the test's own choice, around the session.
    func sendGoAway(last: Int32) {
        let number = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: last >> $0) }
        end.send([0, 0, 8, 7, 0, 0, 0, 0, 0] + number + [0, 0, 0, 0])
    }

    func flush() {
        var output = ByteBuffer()
        session.appendOutput(to: &output, upTo: 1 << 24)
        note([])
        let bytes = output.withBytes { span in span.indices.map { span[$0] } }
        if !bytes.isEmpty { end.send(bytes) }
    }

    private func act(_ stream: Int32, _ body: (HTTP2StreamHandle) -> Void) {
        if let handle = handles[stream] { body(handle) }
        flush()
    }

    // MARK: In

    /// Moves bytes until something is so. Returns whether it came to that.
    @discardableResult
    func wait(within milliseconds: Int32 = Peer.patience, until isDone: () -> Bool) -> Bool {
        flush()
        while !isDone() {
            guard let bytes = end.readSome(within: milliseconds) else { return isDone() }
            _ = session.receive(bytes.span, nowMilliseconds: 0)
            note(bytes)
            flush()
        }
        return true
    }

    /// The next request's stream.
    func nextRequest(within milliseconds: Int32 = Peer.patience) throws -> Int32 {
        wait(within: milliseconds) { !unread.isEmpty }
        try #require(!unread.isEmpty)
        return unread.removeFirst()
    }

    /// A stream's whole message, or what came before it was reset.
    func readMessage(_ stream: Int32) -> Message {
        wait { self[stream].isEnded || self[stream].code != nil }
        return self[stream]
    }

    /// The code that a stream ended with.
    func readEnd(_ stream: Int32) -> HTTP2ErrorCode? {
        wait { self[stream].code != nil }
        return self[stream].code.flatMap(HTTP2ErrorCode.init(rawValue:))
    }

    private func note(_ input: [UInt8]) {
        while let event = session.nextEvent() {
            switch event {
            case .head(let handle, let range, _, let isEnd):
                // An interim response's head is followed by the one that counts.
                messages[handle.id, default: Message()].head += text(range)
                messages[handle.id]?.isEnded = isEnd
                if handles[handle.id] == nil { unread.append(handle.id) }
                handles[handle.id] = handle
            case .badHead(let handle, let error, _): Issue.record("\(handle): \(error)")
            case .data(let handle, let range):
                messages[handle.id]?.body += String(decoding: input[range], as: UTF8.self)
                session.consumeConnection(range.count)
                if consumes { session.consume(handle, range.count) }
            case .trailers(let handle, let range):
                messages[handle.id]?.trailers = text(range)
                messages[handle.id]?.isEnded = true
            case .end(let handle): messages[handle.id]?.isEnded = true
            case .closed(let handle, let code):
                messages[handle.id, default: Message()].code = code
                handles[handle.id] = nil
            case .goAway(let last, _): goAways.append(last)
            case .settings: hasSettings = true
            case .pong: pongs += 1
            case .writable: break
            }
        }
    }

    private func text(_ range: Range<Int>) -> String {
        var text = ""
        session.withArena { arena, _ in
            text = String(decoding: range.map { arena[$0] }, as: UTF8.self)
        }
        return text
    }
}

extension RunningGateway {
    /// A client's HTTP/2 connection by prior knowledge.
    func connectHTTP2(listener: Int = 0, window: Int = 65535) throws -> HTTP2Peer {
        HTTP2Peer(try connect(listener: listener), .client, window: window)
    }
}

extension ScriptedUpstream {
    /// As `endpoints` names it, where it speaks HTTP/2.
    var h2cURL: String { "h2c://\(address)" }

    /// The next connection, which speaks HTTP/2.
    func acceptHTTP2(streams: Int = 100, window: Int = 65535) throws -> HTTP2Peer {
        HTTP2Peer(try accept(), .server, streams: streams, window: window)
    }
}

/// A gateway with one upstream that speaks HTTP/2, and one public route to it for every path.
func h2cGateway(
    to upstream: ScriptedUpstream..., upstreamSettings: String = "", route: String = "",
    more: String = "", isLogging: Bool = false
) throws -> RunningGateway {
    let endpoints = upstream.map { "\"\($0.h2cURL)\"" }.joined(separator: ",")
    let settings = upstreamSettings.isEmpty ? "" : "," + upstreamSettings
    let json = proxyJSON(
        upstreams: #"{"up":{"endpoints":[\#(endpoints)]\#(settings)}}"#,
        routes:
            #"[{"path":"/**","access":"public","upstream":"up"\#(route.isEmpty ? "" : "," + route)}]"#,
        more: more)
    return try RunningGateway(json, isLogging: isLogging)
}
