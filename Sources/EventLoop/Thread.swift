internal import CLinux
internal import Glibc

/// A thread of the process, to be joined or let go once.
package struct Thread: ~Copyable {
    private let handle: pthread_t

    /// What a new thread is given through C: its work, once.
    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread. Everything that its work uses and is not Sendable is made inside of it.
    package static func start(
        name: String, _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) -> Thread {
        var handle = pthread_t()
        // The new thread takes over the reference that is retained here.
        let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
        let code = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                unsafe start.name.withCString { name in _ = unsafe clinux_name_thread(name) }
                start.body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            unsafe start.release()
            throw SystemError(.pthread, code: code)
        }
        return Thread(handle: handle)
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
