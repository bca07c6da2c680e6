internal import Glibc

/// Where sessions have what lives as long as they do, in pages of their own:
///
///     │ page                       │ page              │ page … page               │
///     │ record │ decoder's table ▪ │ table of streams  │ ▪ frame ────────────────▶ │
///
/// ▪ is a block's header. The frame's buffer is 16 KiB long, of which a session writes as much as a
/// header block takes; DATA goes around it. Here the pages that nothing was written to cost
/// nothing, where the C library would give memory that something else has written to. And a session
/// at rest keeps the first page only: its table of streams is all zeros, as memory given back to
/// the system is when it is read again, and nothing reads what is left of a frame.
@safe
struct SessionUnits: ~Copyable {
    private static let page = 4096
    private static let unitSize = 7 * page
    private static let unitsAtOnce = 16
    /// Where the parts' blocks begin in a unit; the record's header is its first bytes.
    private static let ringStart = page - 2 * MemoryPool.Header.size - 1024 + headerSize
    private static let tableStart = page
    private static let frameStart = 2 * page + headerSize
    /// Sizes in nghttp2 1.52: 2928, 1024, 4096 and 16394. Where another version's differ, sessions
    /// get what they ask for from the C library.
    private static let recordSizes = 2048...(ringStart - 2 * headerSize)
    private static let ringSize = 1024
    private static let tableSize = page
    private static let frameSizes = 16384...(unitSize - frameStart)
    private static let headerSize = MemoryPool.Header.size
    /// Free units that keep what was written to.
    private static let maxWarm = 64

    private typealias Header = MemoryPool.Header

    /// Owned: mapped regions of `unitsAtOnce` units.
    private var regions: [UnsafeMutableRawPointer] = unsafe []
    private var free: [UnsafeMutableRawPointer] = unsafe []
    private var isMaking = false
    /// The unit of the session that is being made.
    private var current: UnsafeMutableRawPointer?

    init() { unsafe current = nil }

    deinit {
        for index in unsafe regions.indices {
            unsafe munmap(regions[index], SessionUnits.unitSize * SessionUnits.unitsAtOnce)
        }
    }

    /// A session is about to be made.
    mutating func begin() { isMaking = true }

    /// The session was made.
    mutating func end() {
        isMaking = false
        unsafe current = nil
    }

    /// A part of the current session's unit, if the size is one of those.
    @unsafe
    mutating func take(_ size: Int) -> UnsafeMutableRawPointer? {
        guard isMaking else { return nil }
        if unsafe current == nil, SessionUnits.recordSizes.contains(size) {
            guard let unit = unsafe takeUnit() else { return nil }
            unsafe current = unsafe unit
            return unsafe SessionUnits.give(
                .record, capacity: SessionUnits.recordSizes.upperBound, of: unit, isFirst: true)
        }
        guard let unit = unsafe current else { return nil }
        switch size {
        case SessionUnits.ringSize:
            return unsafe SessionUnits.give(.ring, capacity: size, of: unit)
        case SessionUnits.tableSize:
            return unsafe SessionUnits.give(.table, capacity: size, of: unit)
        case SessionUnits.frameSizes:
            let capacity = SessionUnits.frameSizes.upperBound
            return unsafe SessionUnits.give(.frame, capacity: capacity, of: unit)
        default: return nil
        }
    }

    /// Takes back a part; the unit is free when it has all of them.
    @unsafe
    mutating func giveBack(_ block: UnsafeMutableRawPointer) {
        let kind = unsafe Header.of(block).pointee.kind
        let unit = unsafe block - SessionUnits.start(of: kind)
        let record = unsafe unit.assumingMemoryBound(to: Header.self)
        unsafe record.pointee.parts &= ~kind.bit
        if unsafe record.pointee.parts != 0 { return }
        if unsafe free.count >= SessionUnits.maxWarm {
            unsafe madvise(unit, SessionUnits.unitSize, MADV_DONTNEED)
        }
        unsafe free.append(unit)
    }

    /// Gives back the pages that a session without streams and output does not need, if its record
    /// is of a unit. The block of the record is alive, so its unit is.
    @unsafe
    static func rest(_ record: UnsafeMutableRawPointer) {
        guard unsafe Header.of(record).pointee.kind == .record else { return }
        let parts = unsafe Header.of(record).pointee.parts
        let unit = unsafe record - start(of: .record)
        let hasTable = parts & Header.Kind.table.bit != 0
        let isTableKept = unsafe hasTable && !isZero(unit + tableStart)
        let kept = isTableKept ? frameStart - headerSize : tableStart
        unsafe madvise(unit + kept, unitSize - kept, MADV_DONTNEED)
    }

    /// Whether the table of streams, a page, says that there is none. nghttp2 keeps some in it that
    /// were only spoken of.
    @unsafe
    private static func isZero(_ table: UnsafeMutableRawPointer) -> Bool {
        let words = unsafe UnsafeRawBufferPointer(start: table, count: tableSize)
        var all: UInt64 = 0
        for offset in stride(from: 0, to: tableSize, by: 8) {
            all |= unsafe words.load(fromByteOffset: offset, as: UInt64.self)
        }
        return all == 0
    }

    private static func start(of kind: Header.Kind) -> Int {
        switch kind {
        case .ring: ringStart
        case .table: tableStart
        case .frame: frameStart
        case .record, .small, .large: headerSize
        }
    }

    /// A part of a unit, nil where it was given out. `isFirst`: nothing of it was.
    @unsafe
    private static func give(
        _ kind: Header.Kind, capacity: Int, of unit: UnsafeMutableRawPointer, isFirst: Bool = false
    ) -> UnsafeMutableRawPointer? {
        let record = unsafe unit.assumingMemoryBound(to: Header.self)
        if !isFirst {
            guard unsafe record.pointee.parts & kind.bit == 0 else { return nil }
            unsafe record.pointee.parts |= kind.bit
        }
        let block = unsafe Header.write(
            kind, capacity: capacity, at: unit + start(of: kind) - headerSize)
        if isFirst { unsafe record.pointee.parts = kind.bit }
        return unsafe block
    }

    @unsafe
    private mutating func takeUnit() -> UnsafeMutableRawPointer? {
        if let unit = unsafe free.popLast() { return unsafe unit }
        let size = SessionUnits.unitSize * SessionUnits.unitsAtOnce
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        // Refused, it is all ones, which is no page's address.
        guard let region = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0),
            Int(bitPattern: region) != -1
        else { return nil }
        unsafe regions.append(region)
        for index in (1..<SessionUnits.unitsAtOnce).reversed() {
            unsafe free.append(region + index * SessionUnits.unitSize)
        }
        return unsafe region
    }
}
