import EventLoop
import Foundation
import Glibc
import Keys
import OpenSSL
import Synchronization
import Testing

@testable import Gateway

/// Something that is looked for on a loop in a thread of its own, with a descriptor table of its
/// own, while the test plays the servers.
final class Looking<Outcome: Sendable> {
    /// Begins, and gives what cancels it.
    typealias Begin =
        @Sendable (KeyFetchMeans, @escaping (Outcome) -> Void) throws -> () -> Void

    /// What became of it.
    struct Ending: Sendable {
        /// One, unless it was cancelled.
        var outcomes: [Outcome] = []
        /// Descriptors that are open behind the end and were not before.
        var leaked = 0
        var milliseconds: Int64 = 0
        /// Threads that still ask for a name.
        var threads = 0
    }

    private final class Shared: Sendable {
        let isCancelled = Mutex(false)
        let ending = Mutex<Ending?>(nil)
        let done = DispatchSemaphore(value: 0)
    }

    private let shared = Shared()

    /// `resolve`: what names lead to; any other than the one that is asked for leads nowhere.
    init(
        resolve: @escaping NameLookup.Resolve = { _ throws(SystemError) in throw .addressNotFound },
        _ begin: @escaping Begin
    ) throws {
        let shared = self.shared
        let thread = try Thread.start(name: "looking") {
            let ending = try? Self.run(shared, resolve, begin)
            shared.ending.withLock { $0 = ending }
            shared.done.signal()
        }
        thread.detach()
    }

    /// Nobody wants it any more.
    func cancel() { shared.isCancelled.withLock { $0 = true } }

    /// How it ended.
    func end() throws -> Ending {
        try #require(shared.done.wait(timeout: .now() + 20) == .success, "it never ended")
        return try #require(shared.ending.withLock { $0 })
    }

    private static func run(
        _ shared: Shared, _ resolve: @escaping NameLookup.Resolve, _ begin: Begin
    ) throws -> Ending {
        ownDescriptors()
        let loop = try EventLoop()
        let means = KeyFetchMeans(loop: loop, names: try NameLookup(loop: loop, resolve: resolve))
        var ending = Ending()
        let before = openDescriptors()
        let start = Instant.now
        let cancel = try begin(means) { ending.outcomes.append($0) }
        while ending.outcomes.isEmpty, !shared.isCancelled.withLock({ $0 }) {
            loop.turn(maxWait: 5)
        }
        ending.milliseconds = Instant.now.milliseconds(since: start)
        // Whoever waits for the clock.
        if ending.outcomes.isEmpty { cancel() }
        for _ in 0..<3 { loop.turn(maxWait: 2) }
        ending.leaked = openDescriptors() - before
        ending.threads = means.names.threadCount
        return ending
    }

    private static func openDescriptors() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/thread-self/fd"))?.count ?? -1
    }

    /// Gives the thread a table without anyone else's descriptors. `close_range` with
    /// CLOSE_RANGE_UNSHARE is not shown by the Glibc module.
    private static func ownDescriptors() {
        let symbol = unsafe dlsym(nil, "close_range")
        let closeRange = unsafe unsafeBitCast(
            symbol, to: (@convention(c) (UInt32, UInt32, Int32) -> Int32)?.self)
        let unshare: Int32 = 2
        precondition(closeRange?(3, .max, unshare) == 0)
    }
}

extension Looking where Outcome == KeyFetchOutcome {
    /// One fetch. `trust`: the authorities that an `https` server's certificate is from.
    convenience init(
        _ url: String, etag: String? = nil, timeout: Int64 = 5000, allowsPlainHTTP: Bool = false,
        trust: [UInt8]? = nil, maxBytes: Int = 512 << 10,
        resolve: @escaping NameLookup.Resolve = { _ throws(SystemError) in throw .addressNotFound }
    ) throws {
        let url = try #require(FetchURL(url))
        try self.init(resolve: resolve) { means, onEnd in
            var request = KeyFetchRequest(
                url: url, etag: etag, timeoutMilliseconds: timeout,
                allowsPlainHTTP: allowsPlainHTTP)
            request.maxBytes = maxBytes
            let tls = url.isSecure ? try TLSClientContext(.init(trust: trust)) : nil
            let fetch = KeyFetch(request, tls: tls, means: means, onEnd: onEnd)
            return { fetch.cancel() }
        }
    }

    /// The outcome of what was not cancelled, with nothing left behind.
    func outcome() throws -> KeyFetchOutcome {
        let ending = try end()
        #expect(ending.outcomes.count == 1)
        #expect(ending.leaked == 0, "descriptors stay open")
        return try #require(ending.outcomes.first)
    }
}

extension Looking where Outcome == KeySetOutcome {
    /// The outcome of what was not cancelled, with nothing left behind.
    func outcome() throws -> KeySetOutcome {
        let ending = try end()
        #expect(ending.outcomes.count == 1)
        #expect(ending.leaked == 0, "descriptors stay open")
        return try #require(ending.outcomes.first)
    }
}
