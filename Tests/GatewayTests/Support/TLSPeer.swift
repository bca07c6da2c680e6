import EventLoop
import Foundation
import OpenSSL
import Testing

/// One end of a TLS connection in the hands of a test, over a non-blocking socket.
final class TLSPeer: ByteEnd {
    let session: TLSSession
    private let socket: HeldSocket
    /// What the context must outlive.
    private let context: AnyObject
    private(set) var isOpen = true

    /// Owns a descriptor for as long as the session lives.
    private final class HeldSocket {
        let descriptor: Int32

        init(_ socket: consuming Socket) { descriptor = socket.release() }
        deinit { close(descriptor) }
    }

    /// A client's connection, before its handshake.
    init(
        to address: SocketAddress, protocols: [ApplicationProtocol],
        resuming: TLSResumption? = nil, identity: TLSIdentity? = nil
    ) throws {
        let context = try TLSClientContext(
            .init(
                trust: try TLSMaterial.read("ca.pem"), identity: identity, protocols: protocols))
        socket = HeldSocket(try Socket.connecting(to: address))
        session = try context.makeSession(
            descriptor: socket.descriptor, to: TLSServerName("api.example.com"),
            resuming: resuming)
        self.context = context
        try #require(isReady(POLLOUT))
    }

    /// A server's end of an accepted connection, before its handshake.
    init(_ accepted: consuming Socket, _ context: TLSServerContext) throws {
        socket = HeldSocket(accepted)
        session = try context.makeSession(descriptor: socket.descriptor)
        self.context = context
    }

    /// Goes through the handshake, to its end.
    func shakeHands() -> TLSSession.HandshakeOutcome {
        while true {
            let outcome = session.handshake()
            switch outcome {
            case .wantsRead: if !isReady(POLLIN) { return outcome }
            case .wantsWrite: if !isReady(POLLOUT) { return outcome }
            case .budgetSpent: continue
            case .complete, .failed: return outcome
            }
        }
    }

    /// Sends a ClientHello, or as much of it as comes in the first step.
    func beginHandshake() { _ = session.handshake() }

    func shutdownWriting() { shutdown(socket.descriptor, Int32(SHUT_WR)) }

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard case .wrote(let count) = session.write(rest.span) else { return }
            rest = rest.dropFirst(count)
            if !rest.isEmpty, !isReady(POLLOUT) { return }
        }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func readSome(within milliseconds: Int32) -> [UInt8]? {
        while isOpen {
            var buffer = [UInt8](repeating: 0, count: 65536)
            var span = buffer.mutableSpan
            switch session.read(into: &span) {
            case .bytes(let count, _): return Array(buffer.prefix(count))
            case .wouldBlock: if !isReady(POLLIN, milliseconds) { return nil }
            case .budgetSpent: continue
            case .endOfStream, .truncated, .failed: isOpen = false
            }
        }
        return nil
    }

    /// Reads to behind a text, or what came before the end.
    func read(through mark: String) -> String {
        var text = ""
        while !text.contains(mark), let more = readSome(within: Peer.patience) {
            text += String(decoding: more, as: UTF8.self)
        }
        return text
    }

    /// Whether the other side ends the TCP connection in time.
    func isEnded(within milliseconds: Int32) -> Bool {
        while isReady(POLLIN, milliseconds) {
            var block = [UInt8](repeating: 0, count: 65536)
            if unsafe recv(socket.descriptor, &block, block.count, 0) <= 0 { return true }
        }
        return false
    }

    private func isReady(_ event: Int32, _ milliseconds: Int32 = Peer.patience) -> Bool {
        var entry = pollfd(fd: socket.descriptor, events: Int16(event), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) > 0
    }
}

/// The configuration's fixtures: `api` for servers, `client` for clients, `ca` above both.
enum TLSMaterial {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "fixtures/configuration/tls")

    static func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: folder.appending(path: name)))
    }

    static func identity(_ name: String) throws -> TLSIdentity {
        TLSIdentity(
            certificateChain: try read("\(name).pem"), privateKey: try read("\(name).key"))
    }
}

/// Bytes out and in, whatever they go through.
protocol ByteEnd: AnyObject {
    func send(_ bytes: [UInt8])
    func readSome(within milliseconds: Int32) -> [UInt8]?
}

extension Peer: ByteEnd {}
