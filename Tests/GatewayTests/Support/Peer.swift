import Glibc
import Testing

@testable import EventLoop

/// One end of a connection in the hands of a test: bytes out, bytes in, every wait bounded.
final class Peer {
    /// How a connection ended.
    enum Ending: Equatable {
        /// In order: the stream's end was read.
        case closed
        /// By a reset.
        case reset
        /// Not at all, for as long as the test waited.
        case open
    }

    /// Milliseconds that anything may take which has to happen.
    static let patience: Int32 = 10_000

    private var descriptor: Int32
    /// Bytes that were read and not asked for yet.
    private var input: [UInt8] = []
    private var ending = Ending.open

    init(_ socket: consuming Socket) {
        descriptor = socket.release()
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
    }

    /// A client's connection. `receiveBuffer` makes the kernel hold few bytes for a slow reader.
    convenience init(to address: SocketAddress, receiveBuffer: Int32? = nil) throws {
        guard let receiveBuffer else {
            self.init(try Socket.connecting(to: address))
            return
        }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        setBuffer(descriptor, SO_RCVBUF, receiveBuffer)
        let outcome = unsafe address.withNative { unsafe connect(descriptor, $0, $1) }
        try #require(outcome == 0)
        self.init(Socket(adopting: descriptor))
    }

    deinit { close() }

    // MARK: Out

    func send(_ text: String) { send(Array(text.utf8)) }

    /// Sends everything, or as much as the other side takes within the test's patience.
    func send(_ bytes: [UInt8]) {
        var offset = 0
        while offset < bytes.count, isReady(POLLOUT, within: Peer.patience) {
            let sent = trySend(bytes[offset...])
            if sent < 0 { return }
            offset += sent
        }
    }

    /// Sends until the other side takes no more for `milliseconds`. Returns how many bytes it took.
    func flood(_ block: [UInt8], for milliseconds: Int32, atMost limit: Int) -> Int {
        var total = 0
        while total < limit, isReady(POLLOUT, within: milliseconds) {
            let sent = trySend(block[...])
            if sent < 0 { return total }
            total += sent
        }
        return total
    }

    private func trySend(_ bytes: ArraySlice<UInt8>) -> Int {
        unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(
                descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
    }

    func shutdownWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Closes with a reset.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    // MARK: In

    /// Whether bytes, or an end, come within this time.
    func hasInput(within milliseconds: Int32) -> Bool {
        !input.isEmpty || isReady(POLLIN, within: milliseconds)
    }

    /// Reads exactly this many bytes, or what came before the end.
    func read(_ count: Int) -> String {
        while input.count < count, fill() {}
        return take(min(count, input.count))
    }

    /// Reads to behind a text, or what came before the end.
    func read(through mark: String) -> String {
        let mark = Array(mark.utf8)
        var from = 0
        while true {
            if let end = input.end(of: mark, from: from) { return take(end) }
            from = max(0, input.count - mark.count + 1)
            if !fill() { return take(input.count) }
        }
    }

    /// Reads a message's head, its empty line included.
    func readHead() -> String { read(through: "\r\n\r\n") }

    /// Reads a head and a body of the length it names.
    func readMessage() -> String {
        let head = readHead()
        let length = head.split(separator: "\r\n").first {
            $0.lowercased().hasPrefix("content-length: ")
        }
        return head + read(length.flatMap { Int($0.dropFirst(16)) } ?? 0)
    }

    /// Whatever has come, once anything has; nil at the end, or where nothing comes in time.
    func readSome(within milliseconds: Int32) -> [UInt8]? {
        if input.isEmpty, !fill(within: milliseconds) { return nil }
        defer { input = [] }
        return input
    }

    /// Reads to the end: everything, and how it ended.
    func readToEnd(within milliseconds: Int32 = Peer.patience) -> (text: String, ending: Ending) {
        while fill(within: milliseconds) {}
        return (take(input.count), ending)
    }

    /// Reads and counts until nothing comes for `milliseconds`.
    func drain(for milliseconds: Int32) -> Int {
        var total = input.count
        input = []
        while fill(within: milliseconds) {
            total += input.count
            input = []
        }
        return total
    }

    /// How the connection ended, what came before it aside.
    func waitForEnd(within milliseconds: Int32 = Peer.patience) -> Ending {
        readToEnd(within: milliseconds).ending
    }

    /// Whether what was sent met a reset, within this time.
    func isBroken(within milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: 0, revents: 0)
        return unsafe poll(&entry, 1, milliseconds) > 0 && entry.revents & Int16(POLLERR) != 0
    }

    private func take(_ count: Int) -> String {
        let text = String(decoding: input[0..<count], as: UTF8.self)
        input.removeFirst(count)
        return text
    }

    private func fill(within milliseconds: Int32 = Peer.patience) -> Bool {
        guard ending == .open, isReady(POLLIN, within: milliseconds) else { return false }
        var block = [UInt8](repeating: 0, count: 65536)
        let count = unsafe block.withUnsafeMutableBytes {
            unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
        }
        if count > 0 { input += block[0..<count] }
        if count == 0 { ending = .closed }
        if count < 0 { ending = .reset }
        return count > 0
    }

    private func isReady(_ event: Int32, within milliseconds: Int32) -> Bool {
        guard descriptor >= 0 else { return false }
        var entry = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) > 0
    }
}

private func setBuffer(_ descriptor: Int32, _ option: Int32, _ size: Int32) {
    var size = size
    _ = unsafe setsockopt(
        descriptor, SOL_SOCKET, option, &size, socklen_t(MemoryLayout<Int32>.size))
}

extension Array where Element == UInt8 {
    /// The offset behind the first `mark` at or after `start`.
    fileprivate func end(of mark: [UInt8], from start: Int) -> Int? {
        guard count >= mark.count else { return nil }
        for offset in start...(count - mark.count)
        where self[offset..<offset + mark.count].elementsEqual(mark) {
            return offset + mark.count
        }
        return nil
    }
}
