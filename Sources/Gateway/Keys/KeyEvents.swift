internal import JWT
internal import Keys
internal import Logging

extension Logger {
    /// Tells of a set that is now used, and of each of its keys that cannot be; of what was so
    /// before nothing is said again. A `kid` comes from outside and is not written down.
    func report(_ set: JWKSet, after last: JWKSet?, _ metadata: Metadata) {
        let hasNewKeys = last.map { !$0.hasSameKeys(as: set) } ?? true
        if hasNewKeys {
            let counts: Metadata = [
                "keys": "\(set.keys.count)", "skipped": "\(set.skipped.count)",
            ]
            info("keys read", metadata: metadata.merging(counts) { $1 })
        }
        reportSkipped(of: set, after: last, metadata)
    }

    /// Tells of each key of a set that cannot be used, unless it was so in the last one.
    func reportSkipped(of set: JWKSet, after last: JWKSet?, _ metadata: Metadata) {
        if let last, last.hasSameSkipped(as: set) { return }
        for skipped in set.skipped {
            let details: Metadata = [
                "index": "\(skipped.index)", "reason": "\(skipped.reason.text)",
            ]
            warning("key skipped", metadata: metadata.merging(details) { $1 })
        }
    }
}
