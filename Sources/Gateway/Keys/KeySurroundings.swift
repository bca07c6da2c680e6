internal import EventLoop
internal import JWT
internal import Logging

/// What every set of keys needs of the control thread.
struct KeySurroundings {
    /// Gives a set to every worker; nil withdraws it.
    let publish: (KeyPlace, JWKSet?) -> Void
    /// Tells a worker that the look it asked for came to its end, or was refused.
    let lookEnded: (_ worker: Int, KeyPlace, _ didSucceed: Bool, _ nextAt: Int64) -> Void
    /// What fetching needs.
    let means: KeyFetchMeans
    /// What survives a restart; nil where nothing does.
    let snapshots: SnapshotFiles?
    let logger: Logger

    var loop: EventLoop { means.loop }

    /// Milliseconds of the monotonic clock: the schedules' and the workers'.
    var milliseconds: Int64 { Instant.now.nanoseconds / 1_000_000 }

    /// Seconds since 1970.
    var unixSeconds: Int64 { Instant.unixMilliseconds / 1000 }
}
