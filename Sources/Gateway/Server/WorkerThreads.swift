internal import EventLoop

/// The workers' threads. Each worker is made inside its own, so nothing of it can be seen from
/// another.
struct WorkerThreads: ~Copyable {
    private var threads: [Handle]

    /// A thread in an array, joined once.
    private final class Handle {
        private var thread: Thread?

        init(_ thread: consuming Thread) {
            self.thread = consume thread
        }

        func join() {
            thread.take()?.join()
        }
    }

    /// Starts a worker for each list of sockets. `onEnd` is called in the worker's thread when it
    /// ends, with what made it fail, if anything did.
    static func start(
        _ sockets: [[ListeningSocket]], _ context: WorkerContext,
        onEnd: @escaping @Sendable (SystemError?) -> Void
    ) throws(SystemError) -> WorkerThreads {
        var threads: [Handle] = []
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
            threads.append(Handle(thread))
        }
        return WorkerThreads(threads: threads)
    }

    /// Waits for all of them.
    consuming func join() {
        for thread in threads { thread.join() }
    }
}
