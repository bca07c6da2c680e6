internal import EventLoop
internal import JWT

/// A key with which a token was verified, and when: what `bearward keys` tells of its use.
struct KeyUse: Sendable, Equatable {
    let place: KeyPlace
    /// RFC 7638's.
    let thumbprint: [UInt8]
    var unixSeconds: Int64
}

/// Which keys a worker's new tokens were verified with, told about once a second. Tokens that the
/// cache knows do not count: they cost nothing here.
final class KeyUses: EventHandler {
    private static let intervalMilliseconds: Int64 = 1000
    /// Most keys that are told of at a time.
    private static let maxUses = 256

    private let loop: EventLoop
    private let tell: ([KeyUse]) -> Void
    private var uses: [KeyUse] = []
    private var timer = Registration.none

    init(loop: EventLoop, tell: @escaping ([KeyUse]) -> Void) {
        self.loop = loop
        self.tell = tell
    }

    /// Notes that a token was verified.
    func note(_ token: VerifiedToken, unixSeconds: Int64) {
        guard let key = token.key else { return }
        for index in uses.indices
        where uses[index].thumbprint == key.thumbprint && uses[index].place == token.place {
            uses[index].unixSeconds = unixSeconds
            return
        }
        guard uses.count < KeyUses.maxUses else { return }
        if timer == .none { timer = loop.addTimer(handler: self) }
        if uses.isEmpty { loop.setDeadline(timer, inMilliseconds: KeyUses.intervalMilliseconds) }
        uses.append(
            KeyUse(place: token.place, thumbprint: key.thumbprint, unixSeconds: unixSeconds))
    }

    func ready(_ readiness: Readiness) {}

    func deadlineReached() {
        tell(uses)
        uses.removeAll(keepingCapacity: true)
    }
}
