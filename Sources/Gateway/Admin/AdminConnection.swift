internal import Bytes
internal import EventLoop
internal import HTTP

/// One client of the admin listener: one request, one answer, the end.
///
///     head ──▶ body, read and dropped ──▶ answered, the client's end awaited ──▶ closed
///
/// All of it within deadlines, whatever the client does.
final class AdminConnection: EventHandler {
    private enum State {
        case head
        case body(AdminRequest)
        case answered
    }

    /// Bytes that a head may have; curl and Prometheus send some 200.
    private static let maxHead = 8192
    private static let maxFields = 64
    /// Bytes that a body may have; there is no use for one.
    private static let maxBody: Int64 = 4096
    /// Bytes that are read past behind a request, so that its answer is not lost to a reset.
    private static let maxRest = 65_536
    /// Milliseconds for a request to be whole, and for its answer to be taken.
    private static let requestMilliseconds: Int64 = 5000
    /// Milliseconds for a client to close, once it has its answer.
    private static let lingerMilliseconds: Int64 = 1000

    /// Milliseconds after which one that has not asked gives way to another.
    private static let patienceMilliseconds: Int64 = 250

    private let transport: Transport
    private unowned let server: AdminServer
    private var state = State.head
    private var input = ByteBuffer()
    private var scanner = HeadScanner()
    private var body = BodyRelay.none
    private var isHead = false
    private var restBytes = 0
    private var hasPeerEnded = false
    private let arrival: Instant

    init(_ socket: consuming Socket, server: AdminServer, loop: EventLoop) throws(SystemError) {
        transport = Transport(socket, loop: loop, isConnecting: false)
        self.server = server
        arrival = loop.now
        try transport.register(self, isUpstream: false)
        transport.setDeadline(inMilliseconds: AdminConnection.requestMilliseconds)
    }

    /// Whether the whole answer was sent.
    var isDone: Bool {
        if case .answered = state { return transport.isFlushed }
        return false
    }

    /// Whether the client had its time to ask or to read, and did not.
    func isIdle(at now: Instant) -> Bool {
        now.milliseconds(since: arrival) >= AdminConnection.patienceMilliseconds
    }

    func ready(_ readiness: Readiness) {
        transport.note(readiness)
        if readiness.allowsWriting, transport.flush() { endIfSent() }
        while transport.isOpen, transport.isReadable { read() }
        if transport.isBroken { close() }
    }

    func deadlineReached() {
        if case .head = state, !input.isEmpty { return answer(.timeout) }
        if case .body = state { return answer(.timeout) }
        close()
    }

    /// Ends at once. What the client has not taken by now it must not take for the whole.
    func close() {
        guard transport.isOpen else { return }
        transport.close(withReset: !transport.isFlushed)
        server.forget(self)
    }

    private func read() {
        // The bytes are used after the call: what they ask for may use the loop's buffer.
        let outcome = transport.receive { bytes in
            if case .answered = state {
                restBytes += bytes.count
            } else {
                input.append(bytes)
            }
        }
        switch outcome {
        case .bytes: advance()
        case .wouldBlock: break
        case .endOfStream: endOfStream()
        case .failed: close()
        }
    }

    /// A client may end its direction behind its request, but not before.
    private func endOfStream() {
        hasPeerEnded = true
        guard case .answered = state else { return close() }
        endIfSent()
    }

    private func advance() {
        if case .head = state { readHead() }
        if case .body(let request) = state { readBody(of: request) }
        if case .answered = state, restBytes > AdminConnection.maxRest {
            close()
        }
    }

    private func readHead() {
        let isWorthParsing = input.withBytes { scanner.isWorthParsing($0) }
        guard isWorthParsing || input.count > AdminConnection.maxHead else { return }
        do throws(AdminFault) {
            let head = server.requestHead
            let request = try input.withBytes { (bytes) throws(AdminFault) in
                try parse(bytes, head)
            }
            guard let request else { return }
            input.removeFirst(head.length)
            state = .body(request)
        } catch {
            answer(error)
        }
    }

    private func parse(
        _ bytes: Span<UInt8>, _ head: RequestHead
    ) throws(AdminFault) -> AdminRequest? {
        do throws(MessageError) {
            guard try head.parse(bytes), head.length <= AdminConnection.maxHead else {
                if bytes.count > AdminConnection.maxHead { throw .headTooLarge }
                return nil
            }
        } catch {
            throw .malformed(error)
        }
        isHead = head.isHead(bytes)
        let request = try AdminRequest(head, bytes, hosts: server.hosts)
        if case .length(let length) = head.framing, length > AdminConnection.maxBody {
            throw .bodyTooLarge
        }
        // Who waits to be told to go on with a body has the answer in its place.
        body = head.fields.expectsContinue ? .none : BodyRelay(head.framing)
        return request
    }

    private func readBody(of request: AdminRequest) {
        let end = input.withBytes { body.discard($0, from: 0, max: AdminConnection.maxBody) }
        guard let end else {
            let isTooLarge = body.count > AdminConnection.maxBody
            return answer(isTooLarge ? .bodyTooLarge : .malformed(.chunk))
        }
        input.removeFirst(end)
        if body.isComplete { answer(request) }
    }

    private func answer(_ request: AdminRequest) {
        do throws(AdminFault) {
            send(try server.answer(request))
        } catch {
            answer(error)
        }
    }

    private func answer(_ fault: AdminFault) {
        send(AdminResponse(fault))
    }

    private func send(_ response: consuming AdminResponse) {
        state = .answered
        restBytes = input.count
        input.removeAll()
        var output = ByteBuffer()
        response.write(to: &output, isHead: isHead, date: server.date())
        transport.send(output)
        transport.setDeadline(inMilliseconds: AdminConnection.requestMilliseconds)
        endIfSent()
    }

    /// Once all is sent the client is told so, and is given a moment to read it: closing with bytes
    /// unread resets the connection, and takes the answer back.
    private func endIfSent() {
        guard transport.isOpen else { return }
        if transport.isBroken { return close() }
        guard case .answered = state, transport.isFlushed else { return }
        if hasPeerEnded { return close() }
        transport.endWriting()
        transport.setDeadline(inMilliseconds: AdminConnection.lingerMilliseconds)
    }
}
