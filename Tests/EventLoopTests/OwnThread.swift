import EventLoop
import Glibc
import Synchronization
import Testing

/// Runs work in a thread of its own and waits for it: for what belongs to a thread, such as its
/// signal mask. Expectations are checked by the caller, on what the work returns.
func inOwnThread<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) throws -> Result
{
    let outcome = Box<Swift.Result<Result, any Error>?>(nil)
    let thread = try Thread.start(name: "test") {
        let result = Swift.Result { try work() }
        outcome.value = result
    }
    thread.join()
    return try #require(outcome.value).get()
}

/// A value that threads share.
final class Box<Value: Sendable>: Sendable {
    private let contents: Mutex<Value>

    init(_ initial: Value) {
        contents = Mutex(initial)
    }

    var value: Value {
        get { contents.withLock { $0 } }
        set { contents.withLock { $0 = newValue } }
    }
}

/// Every descriptor that the process may have, taken until `free`.
///
/// The calling thread gets a descriptor table of its own first, so that tests in other threads do
/// not run out of theirs. `unshare` is not shown by the Glibc module.
struct DescriptorHoard {
    private var held: [Int32] = []

    init() throws {
        let symbol = unsafe dlsym(nil, "unshare")
        let unshare = unsafe unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Int32)?.self)
        let cloneFiles: Int32 = 0x400
        try #require(unshare?(cloneFiles) == 0)
    }

    /// Takes all that are left.
    mutating func fill() {
        while true {
            let copy = dup(0)
            if copy < 0 { return }
            held.append(copy)
        }
    }

    /// Gives them back.
    mutating func free() {
        for descriptor in held { close(descriptor) }
        held = []
    }
}
