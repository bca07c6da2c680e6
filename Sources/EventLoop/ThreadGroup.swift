/// Threads that end together, each joined once.
package struct ThreadGroup: ~Copyable {
    /// A thread in an array.
    private final class Member {
        private var thread: Thread?

        init(_ thread: consuming Thread) {
            self.thread = consume thread
        }

        func join() {
            thread.take()?.join()
        }
    }

    private var members: [Member] = []

    /// No threads.
    package init() {}

    /// Takes a thread in.
    package mutating func add(_ thread: consuming Thread) {
        members.append(Member(thread))
    }

    /// Waits until all of them are done.
    package consuming func join() {
        for member in members { member.join() }
    }
}
