internal import CNghttp2

/// Memory for the nghttp2 sessions of one thread.
///
/// nghttp2 asks for a dozen small blocks a stream, and a connection's streams come and go by the
/// dozen: more than the C library's own cache holds. Blocks are kept for the next stream here,
/// whichever session it is of (measured: 8 % of a session's time). A session writes only the first
/// part of the 16 KiB in which it lays frames out, which `SessionUnits` makes use of. And of the
/// sessions without a stream, the few that were busy last keep what they will need again.
@safe
package final class HTTP2Memory {
    /// Owned; each callback has it to itself.
    private let pool: UnsafeMutablePointer<MemoryPool>
    /// Sessions that have come to rest and keep their memory; each leaves in its `deinit`.
    private var resting = unsafe [Unmanaged<HTTP2Session>?](repeating: nil, count: maxResting)
    private var nextPlace = 0

    private static let maxResting = 16

    /// Memory without a block yet.
    package init() {
        unsafe pool = .allocate(capacity: 1)
        unsafe pool.initialize(to: MemoryPool())
    }

    deinit {
        unsafe pool.deinitialize(count: 1)
        unsafe pool.deallocate()
    }

    /// Calls `body` with nghttp2's description of this memory, to make one session. The session's
    /// owner keeps this object for as long.
    func withSession<Result>(_ body: (UnsafeMutablePointer<nghttp2_mem>) -> Result) -> Result {
        var description = unsafe nghttp2_mem(
            mem_user_data: pool, malloc: HTTP2Memory.malloc, free: HTTP2Memory.free,
            calloc: HTTP2Memory.calloc, realloc: HTTP2Memory.realloc)
        unsafe pool.pointee.beginSession()
        defer { unsafe pool.pointee.endSession() }
        // nghttp2 copies it.
        return unsafe body(&description)
    }

    /// Gives a place to a session that came to rest, and takes the memory of the one that had it
    /// longest. Returns the place.
    func rest(_ session: HTTP2Session) -> Int {
        let place = nextPlace
        nextPlace = (place + 1) % HTTP2Memory.maxResting
        if let other = unsafe resting[place] {
            unsafe other._withUnsafeGuaranteedRef { $0.giveMemoryBack() }
        }
        unsafe resting[place] = unsafe Unmanaged.passUnretained(session)
        return place
    }

    /// Gives back the pages that a session needs only while it has streams or output.
    func rest(_ session: OpaquePointer) {
        // nghttp2's record is the first block that it asked for.
        unsafe SessionUnits.rest(UnsafeMutableRawPointer(session))
    }

    /// Forgets the session of a place, which is about to go.
    func leave(_ place: Int) { unsafe resting[place] = nil }

    private static let malloc: nghttp2_malloc = { size, user in
        unsafe pool(user).pointee.allocate(size)
    }

    private static let free: nghttp2_free = { block, user in
        if let block = unsafe block { unsafe pool(user).pointee.release(block) }
    }

    private static let calloc: nghttp2_calloc = { count, size, user in
        let total = count.multipliedReportingOverflow(by: size)
        if total.overflow { return nil }
        let block = unsafe pool(user).pointee.allocate(total.partialValue)
        // The block holds as much at least.
        unsafe block?.initializeMemory(as: UInt8.self, repeating: 0, count: total.partialValue)
        return unsafe block
    }

    private static let realloc: nghttp2_realloc = { block, size, user in
        guard let block = unsafe block else { return unsafe pool(user).pointee.allocate(size) }
        return unsafe pool(user).pointee.resize(block, to: size)
    }

    private static func pool(_ user: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<MemoryPool> {
        guard let user = unsafe user else { preconditionFailure("given with the callbacks") }
        return unsafe user.assumingMemoryBound(to: MemoryPool.self)
    }
}
