internal import Glibc

/// A point on the monotonic clock. Never goes back, whatever happens to the wall clock.
package struct Instant: Comparable, Hashable, Sendable, BitwiseCopyable {
    /// Nanoseconds since an arbitrary start.
    package let nanoseconds: Int64

    /// An instant at a number of nanoseconds since the clock's start.
    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// The clock's reading.
    package static var now: Instant { Instant(nanoseconds: read(CLOCK_MONOTONIC)) }

    /// Milliseconds of the wall clock since 1970, for log lines and token times.
    package static var unixMilliseconds: Int64 { read(CLOCK_REALTIME) / 1_000_000 }

    /// This instant moved by a number of milliseconds; far futures stay at the end of time.
    package func advanced(byMilliseconds milliseconds: Int64) -> Instant {
        let (step, isTooFar) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, isPastTheEnd) = nanoseconds.addingReportingOverflow(step)
        return Instant(nanoseconds: isTooFar || isPastTheEnd ? .max : sum)
    }

    /// Whole milliseconds from an earlier instant to this one.
    package func milliseconds(since earlier: Instant) -> Int64 {
        (nanoseconds &- earlier.nanoseconds) / 1_000_000
    }

    /// Whether this instant is before the other.
    package static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        // `time` is a local that outlives the call; the two clocks always exist.
        _ = unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
