internal import Bytes
internal import EventLoop
internal import HTTP

/// One request of the command line to an admin listener, on a loop that runs for it alone.
final class AdminCall: EventHandler {
    private enum State {
        case connecting
        case reading
        case ended(Result<AdminClient.Answer, AdminClient.Failure>)
    }

    /// Bytes that an answer may have: the status of some ten thousand keys.
    static let maxAnswer = 1 << 24
    private static let maxFields = 64

    private let loop: EventLoop
    private let transport: Transport
    private var state = State.connecting
    private var input = ByteBuffer()

    /// Begins to connect.
    init(_ request: borrowing ByteBuffer, to address: SocketAddress) throws(SystemError) {
        loop = try EventLoop()
        transport = Transport(
            try Socket.connecting(to: address), loop: loop, isConnecting: true)
        try transport.register(self, isUpstream: false)
        transport.setDeadline(inMilliseconds: AdminClient.timeoutMilliseconds)
        transport.send(request)
    }

    /// Waits for the answer.
    func run() throws(AdminClient.Failure) -> AdminClient.Answer {
        loop.run()
        transport.close()
        guard case .ended(let result) = state else { throw .timeout }
        return try result.get()
    }

    func ready(_ readiness: Readiness) {
        transport.note(readiness)
        if case .connecting = state { finishConnecting(readiness) }
        guard case .reading = state else { return }
        _ = transport.flush()
        while transport.isReadable, case .reading = state { read() }
    }

    func deadlineReached() {
        end(.failure(.timeout))
    }

    private func finishConnecting(_ readiness: Readiness) {
        guard readiness.allowsWriting || readiness.showsHangUp else { return }
        if let error = transport.finishConnecting() {
            return end(.failure(.unreachable(error.message)))
        }
        state = .reading
    }

    private func read() {
        switch transport.receive({ input.append($0) }) {
        case .bytes where input.count > AdminCall.maxAnswer: end(.failure(.malformed))
        case .bytes, .wouldBlock: break
        // The connection ends with the answer, which says itself whether it is whole.
        case .endOfStream, .failed: end(input.withBytes { AdminCall.answer($0) })
        }
    }

    private func end(_ result: Result<AdminClient.Answer, AdminClient.Failure>) {
        state = .ended(result)
        loop.stop()
    }

    private static func answer(
        _ bytes: Span<UInt8>
    ) -> Result<AdminClient.Answer, AdminClient.Failure> {
        let head = ResponseHead(maxFields: maxFields)
        guard (try? head.parse(bytes)) == true else { return .failure(.malformed) }
        guard case .length(let length) = head.framing(toHead: false),
            length == bytes.count &- head.length
        else { return .failure(.malformed) }
        let body = bytes.extracting(head.length..<bytes.count)
        return .success(.init(status: Int(head.status), body: Array(copying: body)))
    }
}
