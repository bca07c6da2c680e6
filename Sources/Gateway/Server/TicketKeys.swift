internal import EventLoop
internal import OpenSSL

/// Makes the keys that session tickets are encrypted with, and hands them to the workers.
///
/// A key encrypts for an hour and decrypts for two more: a ticket of its last minute lives out its
/// two hours. Nothing is written down, so that a stolen disk opens no recorded session.
final class TicketKeys: EventHandler {
    private static let intervalMilliseconds: Int64 = 3_600_000
    private static let keptKeys = 3

    private let loop: EventLoop
    private let onKeys: ([TLSTicketKey]) -> Void
    /// The newest first.
    private var keys: [TLSTicketKey] = []
    private var timer = Registration.none

    init(loop: EventLoop, onKeys: @escaping ([TLSTicketKey]) -> Void) {
        self.loop = loop
        self.onKeys = onKeys
    }

    /// Makes the first key now, then another each hour.
    func start() {
        timer = loop.addTimer(handler: self)
        deadlineReached()
    }

    func ready(_ readiness: Readiness) {}

    func deadlineReached() {
        keys = Array(([.random()] + keys).prefix(TicketKeys.keptKeys))
        onKeys(keys)
        loop.setDeadline(
            timer, loop.now.advanced(byMilliseconds: TicketKeys.intervalMilliseconds))
    }
}
