/// Scanners and comparisons over spans: the per-byte work of the parsers, kept in one module so
/// that it inlines there and callers pay one call a run.
extension Span where Element == UInt8 {
    /// The first byte at or after `start` that is no `tchar`, or `count`. Letters and hyphens, of
    /// which most names are made, are passed by the vector, the others one by one.
    package func endOfToken(from start: Int) -> Int {
        var i = start
        while true {
            i = firstByte(from: i) { lanes in
                let folded = lanes | Lanes(repeating: 0x20)
                return .!(folded.isIn(0x61, 0x7a) .| lanes.isEqual(to: 0x2d))
            }
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
        var low = range.lowerBound
        var high = range.upperBound
        while low < high, ASCII.isBlank(self[low]) { low &+= 1 }
        while high > low, ASCII.isBlank(self[high &- 1]) { high &-= 1 }
        return low..<high
    }

    /// Whether the bytes are the same.
    package func isEqual(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        return unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                guard let a = left.baseAddress, let b = right.baseAddress else { return true }
                return unsafe areEqual(a, b, count: left.count)
            }
        }
    }

    /// Whether the bytes are those of a literal.
    package func isEqual(to literal: StaticString) -> Bool {
        // A literal owns `utf8CodeUnitCount` readable bytes.
        let pointer = unsafe UnsafeBufferPointer(
            start: literal.utf8Start, count: literal.utf8CodeUnitCount)
        return isEqual(to: unsafe Span(_unsafeElements: pointer))
    }

    /// Whether the bytes are those of a literal, letters compared without case. The literal is
    /// written in lower case.
    package func isEqualIgnoringCase(to lowercase: StaticString) -> Bool {
        // A literal owns `utf8CodeUnitCount` readable bytes.
        let pointer = unsafe UnsafeBufferPointer(
            start: lowercase.utf8Start, count: lowercase.utf8CodeUnitCount)
        return isEqualIgnoringCase(to: unsafe Span(_unsafeElements: pointer))
    }

    /// Whether the bytes are the same, letters compared without case. Eight bytes a step, the last
    /// of which may overlap the one before.
    package func isEqualIgnoringCase(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        return unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                guard let a = left.baseAddress, let b = right.baseAddress else { return true }
                let count = left.count
                // Both spans hold `count` bytes.
                if count < 8 {
                    return unsafe areEqualIgnoringCase(
                        a.lastWord(at: 0, count: count), b.lastWord(at: 0, count: count))
                }
                var i = 0
                while i < count &- 8 {
                    guard unsafe areEqualIgnoringCase(a.word(at: i), b.word(at: i)) else {
                        return false
                    }
                    i &+= 8
                }
                return unsafe areEqualIgnoringCase(
                    a.word(at: count &- 8), b.word(at: count &- 8))
            }
        }
    }
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

/// Whether eight bytes are the same, letters compared without case.
@inline(always)
private func areEqualIgnoringCase(_ a: UInt64, _ b: UInt64) -> Bool {
    a == b || (a ^ b) & ~caseBits(b) == 0
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
