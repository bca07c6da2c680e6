internal import Glibc

/// Small blocks by size, kept when they are free; what is larger comes from the C library, but for
/// a session's own record and its frame, which `SessionUnits` lays side by side.
@safe
struct MemoryPool: ~Copyable {
    /// What stands in the 16 bytes before each block.
    struct Header: BitwiseCopyable {
        enum Kind: UInt32, BitwiseCopyable {
            // Zero: its header may go with the page it is in, which then reads as zeros, or may
            // never be written.
            case edge
            case record
            case ring
            case table
            case small
            case large
        }

        /// Bytes of the block; not kept for those at the edges of a unit.
        var capacity: Int
        var kind: Kind
        /// In a record's header: which parts of its unit were given out.
        var parts: UInt32 = 0

        /// Keeps blocks aligned to what `malloc` gives.
        static let size = 16

        /// The header of a block that was given out.
        @unsafe
        static func of(
            _ block: UnsafeMutableRawPointer
        ) -> UnsafeMutablePointer<Header> {
            unsafe (block - size).assumingMemoryBound(to: Header.self)
        }

        /// Writes the header at `start`. Returns the block behind it.
        @unsafe
        @discardableResult
        static func write(
            _ kind: Kind, capacity: Int, at start: UnsafeMutableRawPointer
        ) -> UnsafeMutableRawPointer {
            unsafe start.initializeMemory(
                as: Header.self, to: Header(capacity: capacity, kind: kind))
            return unsafe start + size
        }
    }

    private static let step = 16
    private static let largestSmall = 1024
    /// Free small blocks that are kept: those of some thousand streams.
    private static let maxKept = 1 << 20

    /// Owned: the first free block of each size; a free block begins with the address of the next.
    private let free: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private var kept = 0
    private var units = SessionUnits()

    init() {
        let sizes = MemoryPool.largestSmall / MemoryPool.step
        unsafe free = .allocate(capacity: sizes)
        unsafe free.initialize(repeating: nil, count: sizes)
    }

    deinit {
        for index in 0..<MemoryPool.largestSmall / MemoryPool.step {
            while let block = unsafe free[index] {
                unsafe free[index] = block.load(as: UnsafeMutableRawPointer?.self)
                unsafe Glibc.free(block - Header.size)
            }
        }
        unsafe free.deallocate()
    }

    /// What is allocated until `endSession` belongs to one new session.
    mutating func beginSession() { units.begin() }

    mutating func endSession() { units.end() }

    /// A block of `size` bytes at least; nil where there is no memory.
    @unsafe
    mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        guard size >= 0, size <= Int(Int32.max) else { return nil }
        if size >= MemoryPool.largestSmall, let block = unsafe units.take(size) {
            return unsafe block
        }
        if size > MemoryPool.largestSmall {
            guard let start = unsafe malloc(Header.size &+ size) else { return nil }
            return unsafe Header.write(.large, capacity: size, at: start)
        }
        let index = max(size &- 1, 0) / MemoryPool.step
        let capacity = (index &+ 1) &* MemoryPool.step
        if let block = unsafe free[index] {
            unsafe free[index] = block.load(as: UnsafeMutableRawPointer?.self)
            kept &-= capacity
            return unsafe block
        }
        guard let start = unsafe malloc(Header.size &+ capacity) else { return nil }
        return unsafe Header.write(.small, capacity: capacity, at: start)
    }

    /// Takes back a block that `allocate` or `resize` gave.
    @unsafe
    mutating func release(_ block: UnsafeMutableRawPointer) {
        let header = unsafe Header.of(block)
        let capacity = unsafe header.pointee.capacity
        switch unsafe header.pointee.kind {
        case .small where kept < MemoryPool.maxKept:
            let index = capacity / MemoryPool.step &- 1
            // The block has room for an address, and its size is one of those kept.
            unsafe block.storeBytes(of: free[index], as: UnsafeMutableRawPointer?.self)
            unsafe free[index] = unsafe block
            kept &+= capacity
        case .small, .large: unsafe Glibc.free(header)
        case .edge, .record, .ring, .table: unsafe units.giveBack(block)
        }
    }

    /// A block of `size` bytes at least that begins with the contents of the other.
    @unsafe
    mutating func resize(
        _ block: UnsafeMutableRawPointer, to size: Int
    ) -> UnsafeMutableRawPointer? {
        let header = unsafe Header.of(block).pointee
        let capacity =
            header.kind == .edge ? unsafe SessionUnits.capacity(ofEdge: block) : header.capacity
        if size <= capacity { return unsafe block }
        guard let larger = unsafe allocate(size) else { return nil }
        unsafe larger.copyMemory(from: block, byteCount: capacity)
        unsafe release(block)
        return unsafe larger
    }
}
