import Foundation
import OpenSSL
import Testing

/// Two connected, non-blocking sockets, closed when this goes away.
final class SocketPair {
    let left: Int32
    let right: Int32
    private var isOpen = [true, true]

    /// `bufferBytes`: what the kernel keeps in each direction, about.
    init(bufferBytes: Int32? = nil) {
        var descriptors: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
        let made = unsafe socketpair(AF_UNIX, type, 0, &descriptors)
        precondition(made == 0)
        (left, right) = (descriptors[0], descriptors[1])
        guard var bytes = bufferBytes else { return }
        for descriptor in descriptors {
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, 4)
        }
    }

    deinit {
        closeLeft()
        closeRight()
    }

    /// Sends past any session of the left side.
    func sendLeft(_ octets: [UInt8]) {
        let sent = unsafe send(left, octets, octets.count, 0)
        precondition(sent == octets.count)
    }

    /// Takes what has come to the right side, past any session.
    func receiveRight() -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: 65536)
        let count = unsafe recv(right, &octets, octets.count, 0)
        return Array(octets.prefix(max(count, 0)))
    }

    func closeLeft() { close(0, left) }
    func closeRight() { close(1, right) }

    private func close(_ side: Int, _ descriptor: Int32) {
        if isOpen[side] { Glibc.close(descriptor) }
        isOpen[side] = false
    }
}

/// A fixture's identity.
func identity(_ certificate: String, _ key: String = "ec", staple: String? = nil) -> TLSIdentity {
    TLSIdentity(
        certificateChain: Array((certificates[certificate] ?? "").utf8),
        privateKey: Array((keys[key] ?? "").utf8),
        staple: staple.map { bytes(staples[$0] ?? "") })
}

/// A fixture's certificates as authorities.
func authorities(_ names: String...) -> [UInt8] {
    Array(names.compactMap { certificates[$0] }.joined().utf8)
}

/// What an exchange of messages between a client and a server came to.
struct HandshakeResult: Equatable {
    var client: TLSSession.HandshakeOutcome
    var server: TLSSession.HandshakeOutcome

    static let complete = HandshakeResult(client: .complete, server: .complete)
}

/// A client and a server on a socket pair.
struct TLSPair {
    let sockets: SocketPair
    let client: TLSSession
    let server: TLSSession

    init(
        _ clientContext: TLSClientContext, _ serverContext: TLSServerContext,
        name: String = "a.example.com", resuming: TLSResumption? = nil, bufferBytes: Int32? = nil
    ) throws {
        sockets = SocketPair(bufferBytes: bufferBytes)
        client = try clientContext.makeSession(
            descriptor: sockets.left, to: TLSServerName(name), resuming: resuming)
        server = try serverContext.makeSession(descriptor: sockets.right)
    }

    /// Lets both sides go on in turn until each is complete or has failed.
    func shakeHands() -> HandshakeResult {
        var result = HandshakeResult(client: .wantsRead, server: .wantsRead)
        for _ in 0..<10_000 {
            if !result.client.isOver { result.client = client.handshake() }
            if !result.server.isOver { result.server = server.handshake() }
            // A side that is complete still has to learn of the other's refusal.
            if result.client.isOver, result.server.isOver { break }
        }
        return result
    }
}

extension TLSSession.HandshakeOutcome {
    var isOver: Bool {
        switch self {
        case .complete, .failed: true
        case .wantsRead, .wantsWrite, .budgetSpent: false
        }
    }
}

extension TLSSession {
    /// One call of `read`, and what it brought.
    func read(upTo count: Int = 16384) -> (ReadOutcome, [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: count)
        var span = buffer.mutableSpan
        let outcome = read(into: &span)
        if case .bytes(let count, _) = outcome { return (outcome, Array(buffer.prefix(count))) }
        return (outcome, [])
    }

    func write(_ text: String) -> WriteOutcome {
        let octets = Array(text.utf8)
        return write(octets.span)
    }

    /// Reads until there is nothing more for now; a client takes up tickets so.
    func readAll() -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let (outcome, octets) = read()
            all += octets
            guard case .bytes(_, isDrained: false) = outcome else { return all }
        }
    }
}

/// Server settings of the fixtures.
func serverContext(
    _ identities: TLSIdentity..., clients: TLSServerContext.ClientCertificates = .none,
    minimum: TLSVersion = .tls12, protocols: [ApplicationProtocol] = [],
    tickets: TLSTicketKeys = TLSTicketKeys(), clientCA: String = "client-root"
) throws -> TLSServerContext {
    try TLSServerContext(
        .init(
            identities: identities.isEmpty ? [identity("a")] : identities,
            clientCA: clients == .none ? nil : authorities(clientCA), clientCertificates: clients,
            minimumVersion: minimum, protocols: protocols), tickets: tickets)
}

/// Client settings of the fixtures.
func clientContext(
    trust: [UInt8] = authorities("root"), identity: TLSIdentity? = nil, verifies: Bool = true,
    protocols: [ApplicationProtocol] = []
) throws -> TLSClientContext {
    try TLSClientContext(
        .init(trust: trust, identity: identity, verifiesPeer: verifies, protocols: protocols))
}

/// Ticket keys with one new key.
func freshTickets() -> TLSTicketKeys {
    let tickets = TLSTicketKeys()
    tickets.replace(with: [.random()])
    return tickets
}
