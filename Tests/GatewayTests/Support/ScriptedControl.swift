import EventLoop
import JWT
import Testing

@testable import Gateway

/// What the workers of a gateway tell the control thread, in the hands of a test.
final class ScriptedControl {
    private let loop: EventLoop
    private let gateway: RunningGateway
    private var reader: MailboxReader<ControlMessage>?
    /// Looks that were asked for and not yet handed out.
    private var wanted: [(place: KeyPlace, worker: Int)] = []
    private(set) var used: [KeyUse] = []

    init(_ gateway: RunningGateway) throws {
        loop = try EventLoop()
        self.gateway = gateway
        reader = try MailboxReader(loop: loop, mailbox: gateway.context.control) {
            [unowned self] message in take(message)
        }
    }

    private func take(_ message: ControlMessage) {
        switch message {
        case .keysWanted(let place, let worker): wanted.append((place, worker))
        case .keysUsed(let uses): used += uses
        default: Issue.record("\(message)")
        }
    }

    /// The next look that a worker asks for.
    func nextLook(within milliseconds: Int32 = Peer.patience) throws -> KeyPlace {
        try #require(lookIfAny(within: milliseconds))
    }

    /// The next look that a worker asks for; nil where none asks.
    func lookIfAny(within milliseconds: Int32) -> KeyPlace? {
        wait(within: milliseconds) { !wanted.isEmpty }
        return wanted.isEmpty ? nil : wanted.removeFirst().place
    }

    /// Waits for what the workers tell until something is so.
    func wait(within milliseconds: Int32 = Peer.patience, until isDone: () -> Bool) {
        let end = Instant.now.advanced(byMilliseconds: Int64(milliseconds))
        while !isDone(), Instant.now < end {
            loop.turn(maxWait: Int32(max(0, end.milliseconds(since: .now)) + 1))
        }
    }

    /// A set for every worker; nil withdraws the keys.
    func publish(_ set: JWKSet?, at place: KeyPlace = KeyPlace(issuer: 0)) {
        gateway.tellAll(.keys(place, set))
    }

    /// The end of the look that was asked for.
    func endLook(
        at place: KeyPlace = KeyPlace(issuer: 0), didSucceed: Bool = true,
        nextIn milliseconds: Int64 = 30_000
    ) {
        let next = Instant.now.nanoseconds / 1_000_000 + milliseconds
        gateway.tellAll(.lookEnded(place, didSucceed: didSucceed, nextAt: next))
    }
}
