internal import Glibc

/// Where sessions have their record and the buffer in which they lay a frame out, side by side:
///
///     │ page                       │ page │ page │ page │ page │
///     │ header, record │ header, frame ─────────────────▶      │
///
/// The frame's buffer is 16 KiB long, of which a session writes as much as a header block takes;
/// DATA goes around it. Here the pages that nothing was written to cost nothing, and most sessions
/// have one. From the C library they would get memory that something else has written to.
@safe
struct SessionUnits: ~Copyable {
    /// 4 KiB pages; larger ones only cost the saving.
    private static let unitSize = 5 * 4096
    private static let unitsAtOnce = 16
    /// The frame's part begins here, header included; the record's at the unit's own beginning.
    private static let frameStart = 3072
    /// Sizes in nghttp2 1.52: 2928 and 16394. Where another version's differ, sessions get what
    /// they ask for from the C library.
    private static let recordSizes = 2048...(frameStart - headerSize)
    private static let frameSizes = 16384...(unitSize - frameStart - headerSize)
    /// See `MemoryPool.Header`.
    private static let headerSize = 16
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
        if SessionUnits.recordSizes.contains(size), unsafe current == nil {
            guard let unit = unsafe takeUnit() else { return nil }
            unsafe current = unsafe unit
            let rest = unsafe Header.write(
                .frame, capacity: SessionUnits.frameSizes.upperBound,
                at: unit + SessionUnits.frameStart)
            unsafe Header.of(rest).pointee.isUsed = false
            return unsafe Header.write(
                .record, capacity: SessionUnits.recordSizes.upperBound, at: unit)
        }
        guard SessionUnits.frameSizes.contains(size), let unit = unsafe current else { return nil }
        unsafe current = nil
        let block = unsafe unit + SessionUnits.frameStart + SessionUnits.headerSize
        unsafe Header.of(block).pointee.isUsed = true
        return unsafe block
    }

    /// Takes back a part; the unit is free when it has both.
    @unsafe
    mutating func giveBack(_ block: UnsafeMutableRawPointer) {
        let header = unsafe Header.of(block)
        unsafe header.pointee.isUsed = false
        let isRecord = unsafe header.pointee.kind == .record
        let unit = unsafe UnsafeMutableRawPointer(header) - (isRecord ? 0 : SessionUnits.frameStart)
        let other = unsafe unit + (isRecord ? SessionUnits.frameStart : 0) + SessionUnits.headerSize
        if unsafe Header.of(other).pointee.isUsed { return }
        if unsafe free.count >= SessionUnits.maxWarm {
            unsafe madvise(unit, SessionUnits.unitSize, MADV_DONTNEED)
        }
        unsafe free.append(unit)
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
