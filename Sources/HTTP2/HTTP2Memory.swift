internal import CNghttp2

/// Memory for the nghttp2 sessions of one thread.
///
/// nghttp2 asks for a dozen small blocks a stream, and a connection's streams come and go by the
/// dozen: more than the C library's own cache holds. Blocks are kept for the next stream here,
/// whichever session it is of (measured: 8 % of a session's time). And a session writes only the
/// first part of the 16 KiB in which it lays frames out, which `SessionUnits` makes use of.
@safe
package final class HTTP2Memory {
    /// Owned; each callback has it to itself.
    fileprivate let pool: UnsafeMutablePointer<MemoryPool>

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
