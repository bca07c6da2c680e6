internal import HTTP

/// The heads that a worker parses requests into: one for the request at hand, and some that stay
/// with requests whose verdict waits, so that these are not parsed again. A head describes bytes;
/// whoever keeps one keeps these too, unchanged.
final class RequestHeads {
    /// Most heads that stay with requests. Each has room for `limits.requestFields` lines, 2.4 KiB
    /// for 100; requests beyond that are parsed again.
    private static let maxKept = 128
    /// Heads that came back and are held for the next ones.
    private static let maxSpare = 64

    /// What the request at hand is parsed into.
    private(set) var current: RequestHead
    private let maxFields: Int
    private var spare: [RequestHead] = []
    private var kept = 0

    init(maxFields: Int) {
        self.maxFields = maxFields
        current = RequestHead(maxFields: maxFields)
    }

    /// Leaves a head with its request, to be given back. Nil where enough are with theirs.
    func keep(_ head: RequestHead) -> RequestHead? {
        // One that was kept before is not the one at hand.
        if head !== current { return head }
        guard kept < RequestHeads.maxKept else { return nil }
        kept += 1
        current = spare.popLast() ?? RequestHead(maxFields: maxFields)
        return head
    }

    /// A head's request has its verdict, or needs none any more.
    func giveBack(_ head: RequestHead) {
        guard head !== current else { return }
        kept -= 1
        if spare.count < RequestHeads.maxSpare { spare.append(head) }
    }
}
