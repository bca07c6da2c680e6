internal import EventLoop

/// The workers' threads. Each worker is made inside its own, so nothing of it can be seen from
/// another.
struct WorkerThreads: ~Copyable {
    private let threads: ThreadGroup

    /// Starts a worker for each list of sockets. `onEnd` is called in the worker's thread when it
    /// ends, with what made it fail, if anything did.
    static func start(
        _ sockets: [[ListeningSocket]], _ context: WorkerContext,
        onEnd: @escaping @Sendable (SystemError?) -> Void
    ) throws(SystemError) -> WorkerThreads {
        var threads = ThreadGroup()
        for (index, own) in sockets.enumerated() {
            let thread = try Thread.start(name: "worker-\(index)") {
                do throws(SystemError) {
                    let worker = try Worker(index: index, context: context)
                    try worker.run(own)
                    onEnd(nil)
                } catch {
                    onEnd(error)
                }
            }
            threads.add(thread)
        }
        return WorkerThreads(threads: threads)
    }

    /// Waits for all of them.
    consuming func join() {
        threads.join()
    }
}
