internal import Glibc

/// Where sessions have what lives as long as they do, in pages of their own:
///
///     │ page           │ page                       │ page              │ page … page       │
///     │     ring ──────┼──▶ │ ▪ record │ ▪ ring │ ▪ │ table of streams  │ ▪ frame ────────▶ │
///
/// ▪ is a block's header. The rings are the tables of header compression, which fill from their
/// ends: of the first, a session writes to the last places, and to the page before only where many
/// fields were kept. The frame's buffer is 16 KiB long, of which as much is written as a header
/// block takes; DATA goes around it. Here the pages that nothing was written to cost nothing, where
/// the C library would give memory that something else has written to. And a session at rest keeps
/// one page: its table of streams is all zeros, as memory given back to the system is when it is
/// read again, and nothing reads what is left of a frame.
@safe
struct SessionUnits: ~Copyable {
    /// What a unit holds.
    private enum Part: UInt32 {
        case record
        case ring
        /// The ring across the edge of two pages.
        case edgeRing
        case table
        case frame

        var bit: UInt32 { 1 &<< rawValue }
    }

    private static let page = 4096
    private static let unitSize = 8 * page
    private static let unitsAtOnce = 16
    /// Where the parts' blocks begin in a unit.
    private static let edgeRingStart = page + edgeTail - ringSize
    private static let recordStart = page + edgeTail + headerSize
    private static let ringStart = tableStart - headerSize - ringSize
    private static let tableStart = 2 * page
    private static let frameStart = 3 * page + headerSize
    /// Of the ring across the edge, the part that shares the record's page: twelve fields.
    private static let edgeTail = 96
    /// Sizes in nghttp2 1.52: 2928, 1024 (twice), 4096 and 16394. Where another version's differ,
    /// sessions get what they ask for from the C library.
    private static let recordSizes = 2048...(ringStart - headerSize - recordStart)
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
        if unsafe current == nil {
            guard SessionUnits.recordSizes.contains(size), let unit = unsafe takeUnit()
            else { return nil }
            unsafe current = unsafe unit
            return unsafe SessionUnits.giveRecord(of: unit)
        }
        guard let unit = unsafe current else { return nil }
        switch size {
        case SessionUnits.ringSize:
            return unsafe SessionUnits.give(.ring, of: unit)
                ?? SessionUnits.give(.edgeRing, of: unit)
        case SessionUnits.tableSize: return unsafe SessionUnits.give(.table, of: unit)
        case SessionUnits.frameSizes: return unsafe SessionUnits.give(.frame, of: unit)
        default: return nil
        }
    }

    /// Takes back a part; the unit is free when it has all of them.
    @unsafe
    mutating func giveBack(_ block: UnsafeMutableRawPointer) {
        let part = unsafe SessionUnits.part(of: block)
        let unit = unsafe block - SessionUnits.start(of: part)
        let record = unsafe Header.of(unit + SessionUnits.recordStart)
        unsafe record.pointee.parts &= ~part.bit
        if unsafe record.pointee.parts != 0 { return }
        if unsafe free.count >= SessionUnits.maxWarm {
            unsafe madvise(unit, SessionUnits.unitSize, MADV_DONTNEED)
        }
        unsafe free.append(unit)
    }

    /// Bytes of a block whose header does not say it.
    @unsafe
    static func capacity(ofEdge block: UnsafeMutableRawPointer) -> Int {
        unsafe part(of: block) == .frame ? frameSizes.upperBound : ringSize
    }

    /// Gives back the pages that a session without streams and output does not need, if its record
    /// is of a unit. The block of the record is alive, so its unit is.
    @unsafe
    static func rest(_ record: UnsafeMutableRawPointer) {
        let header = unsafe Header.of(record).pointee
        guard header.kind == .record else { return }
        let unit = unsafe record - recordStart
        let hasTable = header.parts & Part.table.bit != 0
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

    private static func start(of part: Part) -> Int {
        switch part {
        case .record: recordStart
        case .ring: ringStart
        case .edgeRing: edgeRingStart
        case .table: tableStart
        case .frame: frameStart
        }
    }

    /// Which part a block is. The headers of two are never written, or lost: where they stand in
    /// their page tells them apart.
    @unsafe
    private static func part(of block: UnsafeMutableRawPointer) -> Part {
        switch unsafe Header.of(block).pointee.kind {
        case .record: .record
        case .ring: .ring
        case .table: .table
        case .edge, .small, .large:
            Int(bitPattern: block) % page == frameStart % page ? .frame : .edgeRing
        }
    }

    @unsafe
    private static func giveRecord(of unit: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        let block = unsafe Header.write(
            .record, capacity: recordSizes.upperBound, at: unit + recordStart - headerSize)
        unsafe Header.of(block).pointee.parts = Part.record.bit
        return unsafe block
    }

    /// Another part of a unit, nil where it was given out.
    @unsafe
    private static func give(
        _ part: Part, of unit: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer? {
        let record = unsafe Header.of(unit + recordStart)
        guard unsafe record.pointee.parts & part.bit == 0 else { return nil }
        unsafe record.pointee.parts |= part.bit
        let block = unsafe unit + start(of: part)
        switch part {
        case .ring: unsafe Header.write(.ring, capacity: ringSize, at: block - headerSize)
        case .table: unsafe Header.write(.table, capacity: tableSize, at: block - headerSize)
        // The mapping's zeros say `edge`, and nothing else is ever written there.
        case .record, .edgeRing, .frame: break
        }
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
