/// Scanners and comparisons over spans: the per-byte work of the parsers, kept in one module so
/// that it inlines there and callers pay one call a run.
extension Span where Element == UInt8 {
    /// The first byte at or after `start` that is no `tchar`, or `count`. Letters and hyphens, of
    /// which most names are made, are passed by the vector, the others one by one.
    package func endOfToken(from start: Int) -> Int {
        var i = start
        while true {
            i = firstByte(from: i, where: isNoLetterOrHyphen)
            // The scan ends within the span or at its end.
            if i >= count || !ASCII.isTokenCharacter(unsafe self[unchecked: i]) { return i }
            i &+= 1
        }
    }

    /// The first byte at or after `start` outside of `!`–`~`, or `count`.
    package func endOfVisible(from start: Int) -> Int {
        firstByte(from: start) { .!$0.isIn(0x21, 0x7e) }
    }

    /// The first control other than a tab (RFC 9110, section 5.5: no field value holds one) at or
    /// after `start`, or `count`.
    @inline(__always)
    package func endOfFieldValue(from start: Int) -> Int {
        firstByte(from: start) { lanes in
            (lanes.isIn(0, 0x1f) .& .!lanes.isEqual(to: 0x09)) .| lanes.isEqual(to: 0x7f)
        }
    }

    /// The first `byte` at or after `start`, or nil.
    package func firstIndex(of byte: UInt8, from start: Int = 0) -> Int? {
        let place = firstByte(from: start) { $0.isEqual(to: byte) }
        return place < count ? place : nil
    }

    /// The range without blanks at either end.
    package func trimmingBlanks(_ range: Range<Int>) -> Range<Int> {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= count, "range outside of the span")
        let trimmed = trimmingBlanks(from: range.lowerBound, to: range.upperBound)
        return trimmed.start..<trimmed.end
    }

    /// The same between two places of the span, the first of which is not above the second.
    @inline(always)
    func trimmingBlanks(from start: Int, to end: Int) -> (start: Int, end: Int) {
        var low = start
        var high = end
        // What is read lies between the two places.
        while low < high, ASCII.isBlank(unsafe self[unchecked: low]) { low &+= 1 }
        while high > low, ASCII.isBlank(unsafe self[unchecked: high &- 1]) { high &-= 1 }
        return (low, high)
    }

    /// Whether the bytes are the same.
    package func isEqual(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        guard let a = unsafe address, let b = unsafe other.address else { return true }
        return unsafe areEqual(a, b, count: count)
    }

    /// Whether the bytes are those of a literal.
    package func isEqual(to literal: StaticString) -> Bool {
        guard count == literal.utf8CodeUnitCount else { return false }
        guard let bytes = unsafe address else { return true }
        // A literal owns `utf8CodeUnitCount` readable bytes.
        return unsafe areEqual(bytes, UnsafeRawPointer(literal.utf8Start), count: count)
    }

    /// Whether the bytes are those of a literal, letters compared without case. The literal is of
    /// small letters, digits and signs below `@`.
    package func isEqualIgnoringCase(to lowercase: StaticString) -> Bool {
        guard count == lowercase.utf8CodeUnitCount else { return false }
        guard let bytes = unsafe address else { return true }
        // A literal owns `utf8CodeUnitCount` readable bytes. Of the characters it may hold, letters
        // alone have the bit 0x40, and what they may differ in is the bit below.
        return unsafe areEqual(
            bytes, UnsafeRawPointer(lowercase.utf8Start), count: count,
            apartFrom: { $0 &>> 1 & 0x2020_2020_2020_2020 })
    }

    /// Whether the bytes are the same, letters compared without case.
    package func isEqualIgnoringCase(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        guard let a = unsafe address, let b = unsafe other.address else { return true }
        return unsafe areEqual(a, b, count: count, apartFrom: caseBits)
    }
}

/// Of each byte, whether it is neither letter nor hyphen.
@inline(always)
func isNoLetterOrHyphen(_ bytes: Lanes) -> LaneMask {
    let folded = bytes | Lanes(repeating: 0x20)
    return .!(folded.isIn(0x61, 0x7a) .| bytes.isEqual(to: 0x2d))
}

/// Whether `count` bytes on either side are the same. Sixteen a step, the last of which may overlap
/// the one before.
@inline(always)
private func areEqual(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, count: Int) -> Bool {
    // Each read ends at `count` or before.
    if count < 8 {
        return unsafe a.lastWord(at: 0, count: count) == b.lastWord(at: 0, count: count)
    }
    if count < 16 {
        return unsafe a.word(at: 0) == b.word(at: 0)
            && a.word(at: count &- 8) == b.word(at: count &- 8)
    }
    var i = 0
    while i < count &- 16 {
        if unsafe bits(a.lanes(at: i) .!= b.lanes(at: i)) != 0 { return false }
        i &+= 16
    }
    return unsafe bits(a.lanes(at: count &- 16) .!= b.lanes(at: count &- 16)) == 0
}

/// Whether `count` bytes on either side are the same but for the bits that `ignored` names, given
/// those of `b`. Eight a step, the last of which may overlap the one before.
@inline(always)
private func areEqual(
    _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, count: Int, apartFrom ignored: (UInt64) -> UInt64
) -> Bool {
    // Each read ends at `count` or before.
    if count < 8 {
        let word = unsafe b.lastWord(at: 0, count: count)
        return unsafe (a.lastWord(at: 0, count: count) ^ word) & ~ignored(word) == 0
    }
    var i = 0
    while i < count &- 8 {
        let word = unsafe b.word(at: i)
        if unsafe (a.word(at: i) ^ word) & ~ignored(word) != 0 { return false }
        i &+= 8
    }
    let word = unsafe b.word(at: count &- 8)
    return unsafe (a.word(at: count &- 8) ^ word) & ~ignored(word) == 0
}

/// The bit 0x20 of each of eight bytes that is an ASCII letter: what two spellings may differ in.
@inline(always)
private func caseBits(_ word: UInt64) -> UInt64 {
    let lowercase = word | 0x2020_2020_2020_2020
    let low7 = lowercase & 0x7f7f_7f7f_7f7f_7f7f
    // The top bit of each byte: at least "a", and beyond "z".
    let fromA = low7 &+ 0x1f1f_1f1f_1f1f_1f1f
    let beyondZ = low7 &+ 0x0505_0505_0505_0505
    return (fromA & ~beyondZ & ~word & 0x8080_8080_8080_8080) &>> 2
}
