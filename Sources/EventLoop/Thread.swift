internal import CLinux
internal import Glibc

/// A thread of the process, to be joined or let go once.
package struct Thread: ~Copyable {
    private let handle: pthread_t

    /// What a new thread is given through C: its work, once.
    private final class Start {
        let name: String
        let niceness: Int32
        let body: @Sendable () -> Void

        init(name: String, niceness: Int32, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.niceness = niceness
            self.body = body
        }
    }

    /// Starts a thread. Everything that its work uses and is not Sendable is made inside of it.
    /// `niceness`: how much less it counts than others that want the same processor, 0 to 19.
    package static func start(
        name: String, niceness: Int32 = 0, _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) -> Thread {
        var handle = pthread_t()
        // The new thread takes over the reference that is retained here.
        let start = unsafe Unmanaged.passRetained(
            Start(name: name, niceness: niceness, body: body))
        let code = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                unsafe start.name.withCString { name in _ = unsafe clinux_name_thread(name) }
                if start.niceness > 0 { clinux_set_niceness(start.niceness) }
                start.body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            unsafe start.release()
            throw SystemError(.pthread, code: code)
        }
        return Thread(handle: handle)
    }

    /// Lets others go first that wait for the processor of the calling thread: the kernel would let
    /// them wait until its time slice is over, some milliseconds. Costs a system call.
    package static func giveWay() {
        sched_yield()
    }

    /// Waits until the thread's work is done.
    package consuming func join() {
        // The handle was made by pthread_create and is joined once: this value is consumed.
        _ = pthread_join(handle, nil)
    }

    /// Lets the thread end when its work is done, with nobody waiting for it.
    package consuming func detach() {
        // As above: the handle is used for the last time.
        _ = pthread_detach(handle)
    }
}
