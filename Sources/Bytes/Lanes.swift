/// Sixteen bytes looked at in one step: a vector of the baseline instruction sets, SSE2 on x86-64
/// and NEON on ARM64.
///
/// Compare vectors with vectors only: the compiler (6.3) takes a comparison with a scalar apart
/// into sixteen.
typealias Lanes = SIMD16<UInt8>

/// Of each of sixteen bytes, whether it is one that a scan looks for.
typealias LaneMask = SIMDMask<SIMD16<Int8>>

extension SIMD16<UInt8> {
    /// The lanes from `first` to `last`: one subtraction and one unsigned comparison.
    @inline(always)
    func isIn(_ first: UInt8, _ last: UInt8) -> LaneMask {
        (self &- Lanes(repeating: first)) .<= Lanes(repeating: last &- first)
    }

    /// The lanes that are `byte`.
    @inline(always)
    func isEqual(to byte: UInt8) -> LaneMask {
        self .== Lanes(repeating: byte)
    }
}

/// The mask as one number, a byte for each lane and that of lane 0 lowest. (The library's `any` of
/// a mask is a minimum over its lanes, twenty instructions where this comparison takes three.)
@inline(always)
func bits(_ mask: LaneMask) -> UInt128 {
    // Both are 16 plain bytes.
    unsafe unsafeBitCast(mask, to: UInt128.self)
}

/// The number of the first lane set, 16 where none is.
@inline(always)
func firstLane(_ mask: LaneMask) -> Int {
    bits(mask).trailingZeroBitCount &>> 3
}

extension Span where Element == UInt8 {
    /// The first byte at or after `start` whose lane `marks` sets, or `count`: the frame of all
    /// scanners. Sixteen bytes first, which is all that most names and values take, then 32 a step.
    @inline(always)
    func firstByte(from start: Int, where marks: (Lanes) -> LaneMask) -> Int {
        precondition(start >= 0, "negative offset")
        let count = self.count
        guard start < count else { return count }
        // Not empty, so it has an address; each read is bounded by the condition before it.
        let bytes = unsafe address.unsafelyUnwrapped
        var i = start
        if count &- i >= 16 {
            let hits = marks(unsafe bytes.lanes(at: i))
            if bits(hits) != 0 { return i &+ firstLane(hits) }
            i &+= 16
        }
        while count &- i >= 32 {
            let first = marks(unsafe bytes.lanes(at: i))
            let second = marks(unsafe bytes.lanes(at: i &+ 16))
            if bits(first .| second) != 0 {
                return i &+ (bits(first) != 0 ? firstLane(first) : 16 &+ firstLane(second))
            }
            i &+= 32
        }
        if count &- i >= 16 {
            let hits = marks(unsafe bytes.lanes(at: i))
            if bits(hits) != 0 { return i &+ firstLane(hits) }
            i &+= 16
        }
        let rest = count &- i
        let hits = marks(unsafe bytes.lastLanes(at: i, count: rest))
        return i &+ min(firstLane(hits), rest)
    }

    /// Where the bytes stand, nil perhaps where there are none. For the function that holds the
    /// span, and no longer.
    @unsafe
    @inline(always)
    var address: UnsafeRawPointer? {
        unsafe withUnsafeBytes { $0.baseAddress }
    }
}

/// Reads of fixed widths at any place. Who calls them names the bound.
extension UnsafeRawPointer {
    /// The eight bytes at `offset`, the first of them lowest.
    @inline(always)
    func word(at offset: Int) -> UInt64 {
        unsafe loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// The sixteen bytes at `offset`.
    @inline(always)
    func lanes(at offset: Int) -> Lanes {
        unsafe loadUnaligned(fromByteOffset: offset, as: Lanes.self)
    }

    /// The `count` bytes at `offset`, fewer than sixteen, and zeros behind them.
    @inline(always)
    func lastLanes(at offset: Int, count: Int) -> Lanes {
        var words = SIMD2<UInt64>()
        if count >= 8 {
            words[0] = unsafe word(at: offset)
            // The last eight, of which those that were read already are shifted out.
            words[1] =
                unsafe word(at: offset &+ count &- 8)
                >> UInt64(truncatingIfNeeded: 128 &- count &* 8)
        } else {
            words[0] = unsafe lastWord(at: offset, count: count)
        }
        // Both are 16 plain bytes.
        return unsafe unsafeBitCast(words, to: Lanes.self)
    }

    /// The `count` bytes at `offset`, fewer than eight, the first of them lowest, and zeros above.
    @inline(always)
    func lastWord(at offset: Int, count: Int) -> UInt64 {
        if count >= 4 {
            // Four from the front and four from the end: where they overlap they agree.
            let low = unsafe loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            let high = unsafe loadUnaligned(
                fromByteOffset: offset &+ count &- 4, as: UInt32.self)
            return UInt64(low) | UInt64(high) &<< UInt64(truncatingIfNeeded: count &* 8 &- 32)
        }
        if count == 0 { return 0 }
        // The first, the middle and the last of up to three.
        let middle = count &>> 1
        let last = count &- 1
        return unsafe UInt64(load(fromByteOffset: offset, as: UInt8.self))
            | UInt64(load(fromByteOffset: offset &+ middle, as: UInt8.self))
            &<< UInt64(truncatingIfNeeded: middle &* 8)
            | UInt64(load(fromByteOffset: offset &+ last, as: UInt8.self))
            &<< UInt64(truncatingIfNeeded: last &* 8)
    }
}
