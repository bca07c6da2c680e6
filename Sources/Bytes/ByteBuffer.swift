import Glibc

/// A growable run of bytes with one owner.
///
/// Holds no heap memory while it is empty and unreserved, so an idle connection costs only its own
/// record. Bytes are appended at the end and consumed from the front; both are cheap. Contents
/// are read as a `Span` inside `withBytes`, which cannot outlive the buffer.
///
/// Public, like all that is `@inlinable` in this module: docs/decisions/0009-public-in-bytes.md.
@safe
public struct ByteBuffer: ~Copyable {
    /// The block, nil while nothing is allocated. Owned: freed in `deinit` and on release.
    @usableFromInline var base: UnsafeMutableRawPointer?
    @usableFromInline var start = 0
    @usableFromInline var end = 0
    /// Bytes allocated.
    @usableFromInline package private(set) var capacity = 0

    /// An empty buffer without memory.
    package init() {}

    /// An empty buffer with room for `capacity` bytes.
    package init(capacity: Int) {
        reserve(capacity)
    }

    deinit {
        unsafe free(base)
    }

    /// Bytes held.
    @inlinable public var count: Int { end &- start }

    /// Whether nothing is held.
    @inlinable public var isEmpty: Bool { end == start }

    /// The contents, for the length of the call. Returns what `body` returns.
    @inlinable
    @inline(__always)
    public func withBytes<Result: ~Copyable, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(unsafe Span(_unsafeBytes: contents))
    }

    /// The contents as memory, for the system calls of the event loop. Valid until the next change.
    @unsafe
    @inlinable
    public var contents: UnsafeRawBufferPointer {
        guard let base = unsafe base else {
            return unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        }
        // `start..<end` lies inside the block: append and consume keep it so.
        return unsafe UnsafeRawBufferPointer(start: base + start, count: end &- start)
    }

    /// The byte `index` places after the first; traps outside of the contents.
    package subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count, "index outside of the buffer")
        return unsafe contents[index]
    }

    /// Makes room for `extra` more bytes without a further allocation.
    package mutating func reserve(_ extra: Int) {
        precondition(extra >= 0, "negative reservation")
        if capacity &- end >= extra { return }
        makeRoom(for: extra)
    }

    /// Appends a run of bytes.
    package mutating func append(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBytes { source in
            unsafe append(source)
        }
    }

    /// Appends a part of a run; the range is checked.
    package mutating func append(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        append(bytes.extracting(range))
    }

    /// Appends another buffer's contents.
    package mutating func append(_ other: borrowing ByteBuffer) {
        unsafe append(other.contents)
    }

    /// Appends one byte.
    @inlinable
    public mutating func append(byte: UInt8) {
        if end == capacity { makeRoom(for: 1) }
        // Room was made above, so `end < capacity` and the block exists.
        unsafe base.unsafelyUnwrapped.storeBytes(of: byte, toByteOffset: end, as: UInt8.self)
        end &+= 1
    }

    /// Appends a literal.
    package mutating func append(_ literal: StaticString) {
        // A literal with a pointer representation owns `utf8CodeUnitCount` readable bytes.
        unsafe append(
            UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Appends a string's UTF-8. Disfavoured, so that a literal is taken as a `StaticString`, which
    /// costs half.
    @_disfavoredOverload
    package mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            unsafe append(UnsafeRawBufferPointer(utf8))
        }
    }

    /// Appends an array's bytes.
    package mutating func append(_ bytes: [UInt8]) {
        append(bytes.span)
    }

    /// Appends a whole number in decimal.
    package mutating func append(decimal value: Int) {
        if value < 0 {
            append(byte: UInt8(ascii: "-"))
        }
        append(magnitude: value.magnitude, radix: 10)
    }

    /// Appends a chunk size (RFC 9112, section 7.1): hexadecimal, lower case.
    package mutating func append(hexadecimal value: Int) {
        append(magnitude: value.magnitude, radix: 16)
    }

    /// Appends memory that the caller keeps valid for the call.
    @unsafe
    package mutating func append(_ source: UnsafeRawBufferPointer) {
        guard let from = source.baseAddress, source.count > 0 else { return }
        reserve(source.count)
        // `reserve` left at least `source.count` bytes after `end`.
        unsafe copyBytes(base.unsafelyUnwrapped + end, from, source.count)
        end &+= source.count
    }

    /// Appends `name: value` and the line's end: a field line of RFC 9112, whose two parts the
    /// caller has judged.
    package mutating func appendFieldLine(_ name: Span<UInt8>, _ value: Span<UInt8>) {
        // Both sizes are of memory that exists, so their sum is far from overflow.
        let added = name.count &+ value.count &+ 4
        reserve(added)
        // `reserve` left room for all that is written from here on.
        var target = unsafe base.unsafelyUnwrapped + end
        unsafe target = unsafe copy(name, to: target)
        unsafe target.storeBytes(of: 0x3a, as: UInt8.self)
        unsafe target.storeBytes(of: 0x20, toByteOffset: 1, as: UInt8.self)
        unsafe target = unsafe copy(value, to: target + 2)
        unsafe target.storeBytes(of: 0x0d, as: UInt8.self)
        unsafe target.storeBytes(of: 0x0a, toByteOffset: 1, as: UInt8.self)
        end &+= added
    }

    /// Copies a run to where there is room for it. Returns the place behind it.
    @inline(always)
    private func copy(
        _ bytes: Span<UInt8>, to target: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        unsafe bytes.withUnsafeBytes { source in
            guard let from = source.baseAddress else { return unsafe target }
            unsafe copyBytes(target, from, source.count)
            return unsafe target + source.count
        }
    }

    /// Drops bytes from the front. The memory goes back once nothing is left, unless it is kept.
    package mutating func removeFirst(_ count: Int, keepingCapacity: Bool = false) {
        precondition(count >= 0 && count <= self.count, "more bytes consumed than held")
        start &+= count
        if start == end { removeAll(keepingCapacity: keepingCapacity) }
    }

    /// Keeps the first `count` bytes and drops the rest.
    package mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= self.count, "cannot truncate upwards")
        end = start &+ count
    }

    /// Drops everything.
    package mutating func removeAll(keepingCapacity: Bool = false) {
        start = 0
        end = 0
        if keepingCapacity { return }
        unsafe free(base)
        unsafe base = nil
        capacity = 0
    }

    @inline(never)
    @usableFromInline
    mutating func makeRoom(for extra: Int) {
        let held = count
        if let base = unsafe base, start > 0, capacity &- held >= extra, start >= held {
            unsafe memmove(base, base + start, held)
        } else {
            var wanted = max(capacity, 512)
            while wanted - held < extra { wanted *= 2 }
            guard let block = unsafe malloc(wanted) else { fatalError("out of memory") }
            if let base = unsafe base {
                unsafe memcpy(block, base + start, held)
                unsafe free(base)
            }
            unsafe base = block
            capacity = wanted
        }
        start = 0
        end = held
    }

    /// Inlined, so that the division is by a constant.
    @inline(__always)
    private mutating func append(magnitude: UInt, radix: UInt) {
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var first = 20
        var rest = magnitude
        repeat {
            let digit = UInt8(truncatingIfNeeded: rest % radix)
            first -= 1
            digits[first] = digit < 10 ? digit &+ 0x30 : digit &+ 0x57
            rest /= radix
        } while rest > 0
        append(digits.span.extracting(first..<20))
    }
}

/// Copies short runs without `memcpy`'s start-up cost, which shows for runs of a header's size:
/// glibc turns to `rep movsb` early on many CPUs. Both sides hold `count` bytes and do not overlap.
@inline(always)
private func copyBytes(
    _ target: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int
) {
    typealias Block = SIMD4<UInt64>
    if count >= 2048 {
        unsafe memcpy(target, source, count)
    } else if count >= 32 {
        var i = 0
        while i &+ 32 <= count {
            unsafe target.storeBytes(
                of: source.loadUnaligned(fromByteOffset: i, as: Block.self), toByteOffset: i,
                as: Block.self)
            i &+= 32
        }
        let tail = count &- 32
        unsafe target.storeBytes(
            of: source.loadUnaligned(fromByteOffset: tail, as: Block.self), toByteOffset: tail,
            as: Block.self)
    } else if count >= 8 {
        var i = 0
        while i &+ 8 <= count {
            unsafe target.storeBytes(
                of: source.loadUnaligned(fromByteOffset: i, as: UInt64.self), toByteOffset: i,
                as: UInt64.self)
            i &+= 8
        }
        let tail = count &- 8
        unsafe target.storeBytes(
            of: source.loadUnaligned(fromByteOffset: tail, as: UInt64.self), toByteOffset: tail,
            as: UInt64.self)
    } else {
        for i in 0..<count {
            unsafe target.storeBytes(
                of: source.load(fromByteOffset: i, as: UInt8.self), toByteOffset: i, as: UInt8.self)
        }
    }
}
