/// Scanners and comparisons over spans: the per-byte work of the parsers, kept in one module so
/// that it inlines there and callers pay one call a run.
extension Span where Element == UInt8 {
    /// The first byte at or after `start`, which lies within the span, that is no `tchar`, or
    /// `count`. Eight bytes a step where they are letters and hyphens, as in most names.
    package func endOfToken(from start: Int) -> Int {
        precondition(start >= 0, "negative offset")
        let bytes = unsafe self.bytes
        var i = start
        while true {
            while i &+ 8 <= count {
                // The loop's condition bounds the eight bytes read.
                let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
                let others = ~lettersAndHyphens(word) & 0x8080_8080_8080_8080
                if others != 0 {
                    i &+= others.trailingZeroBitCount &>> 3
                    break
                }
                i &+= 8
            }
            if i >= count { return count }
            if i &+ 8 > count, start &+ 8 <= count {
                // The last eight bytes, of which those before `i` were seen already.
                let word = unsafe bytes.unsafeLoadUnaligned(
                    fromByteOffset: count &- 8, as: UInt64.self)
                let others = ~lettersAndHyphens(word) & 0x8080_8080_8080_8080
                let unseen = others &>> UInt64((i &+ 8 &- count) &<< 3)
                if unseen == 0 { return count }
                i &+= unseen.trailingZeroBitCount &>> 3
            }
            if !ASCII.isTokenCharacter(unsafe self[unchecked: i]) { return i }
            i &+= 1
        }
    }

    /// The first byte at or after `start` outside of `!`–`~`, or `count`. Eight bytes a step.
    package func endOfVisible(from start: Int) -> Int {
        precondition(start >= 0, "negative offset")
        let bytes = unsafe self.bytes
        var i = start
        while i &+ 8 <= count {
            // The loop's condition bounds the eight bytes read.
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let below = (word &- 0x2121_2121_2121_2121) & ~word
            let delete = zeroBytes(word ^ 0x7f7f_7f7f_7f7f_7f7f)
            // A borrow makes hits only above the first, which is the one that counts.
            let hit = (below | delete | word) & 0x8080_8080_8080_8080
            if hit != 0 { return i &+ hit.trailingZeroBitCount &>> 3 }
            i &+= 8
        }
        while i < count, ASCII.isVisible(unsafe self[unchecked: i]) { i &+= 1 }
        return i
    }

    /// The first control other than a tab (RFC 9110, section 5.5: no field value holds one) at or
    /// after `start`, or `count`. Eight bytes a step.
    package func endOfFieldValue(from start: Int) -> Int {
        precondition(start >= 0, "negative offset")
        let bytes = unsafe self.bytes
        var i = start
        while true {
            while i &+ 8 <= count {
                // The loop's condition bounds the eight bytes read.
                let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
                let delete = word ^ 0x7f7f_7f7f_7f7f_7f7f
                let below = (word &- 0x2020_2020_2020_2020) & ~word
                let equal = (delete &- 0x0101_0101_0101_0101) & ~delete
                let hit = (below | equal) & 0x8080_8080_8080_8080
                if hit != 0 {
                    i &+= hit.trailingZeroBitCount &>> 3
                    break
                }
                i &+= 8
            }
            if i >= count { return count }
            let byte = unsafe self[unchecked: i]
            if (byte < 0x20 && byte != 0x09) || byte == 0x7f { return i }
            i &+= 1
        }
    }

    /// The first `byte` at or after `start`, or nil. Eight bytes a step.
    package func firstIndex(of byte: UInt8, from start: Int = 0) -> Int? {
        precondition(start >= 0, "negative offset")
        let bytes = unsafe self.bytes
        let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
        var i = start
        while i &+ 8 <= count {
            // The loop's condition bounds the eight bytes read.
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let hit = zeroBytes(word ^ pattern)
            if hit != 0 { return i &+ hit.trailingZeroBitCount &>> 3 }
            i &+= 8
        }
        while i < count {
            if unsafe self[unchecked: i] == byte { return i }
            i &+= 1
        }
        return nil
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
        let left = unsafe bytes
        let right = unsafe other.bytes
        var i = 0
        while i &+ 8 <= count {
            // Both spans hold `count` bytes.
            let a = unsafe left.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let b = unsafe right.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            if a != b { return false }
            i &+= 8
        }
        while i < count {
            if unsafe self[unchecked: i] != other[unchecked: i] { return false }
            i &+= 1
        }
        return true
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

    /// Whether the bytes are the same, letters compared without case. Eight bytes a step.
    package func isEqualIgnoringCase(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        let left = unsafe bytes
        let right = unsafe other.bytes
        var i = 0
        while i &+ 8 <= count {
            // Both spans hold `count` bytes.
            let a = unsafe left.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let b = unsafe right.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            if (a ^ b) & ~caseBits(b) != 0 { return false }
            i &+= 8
        }
        while i < count {
            let a = unsafe self[unchecked: i]
            let b = unsafe other[unchecked: i]
            if a != b, ASCII.lowercased(a) != ASCII.lowercased(b) { return false }
            i &+= 1
        }
        return true
    }

    /// A 64-bit hash under a secret `seed` (the construction of wyhash). Every factor is masked
    /// with something drawn from the seed: with wyhash's published constants alone, a word equal to
    /// one of them makes a product zero and wipes out the seed, and collisions could be written
    /// down. Equality is still decided by comparing bytes.
    package func hash(seed: UInt64) -> UInt64 {
        let bytes = unsafe self.bytes
        let firstMask = mixed(seed ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db)
        let secondMask = mixed(seed ^ 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3)
        var first = seed ^ UInt64(truncatingIfNeeded: count)
        var second = seed &* 0x9e37_79b9_7f4a_7c15
        var i = 0
        while i &+ 32 <= count {
            // The loop's condition bounds the 32 bytes read.
            let a = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            let b = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i &+ 8, as: UInt64.self)
            let c = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i &+ 16, as: UInt64.self)
            let d = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i &+ 24, as: UInt64.self)
            first = mixed(a ^ firstMask, b ^ first)
            second = mixed(c ^ secondMask, d ^ second)
            i &+= 32
        }
        while i &+ 8 <= count {
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
            first = mixed(word ^ secondMask, first ^ firstMask)
            i &+= 8
        }
        // The leading 1 makes zero bytes count.
        var tail: UInt64 = 1
        while i < count {
            tail = tail &<< 8 | UInt64(unsafe self[unchecked: i])
            i &+= 1
        }
        return mixed(first ^ tail ^ firstMask, second ^ secondMask)
    }
}

/// The top bit of each of eight bytes that is an ASCII letter or a hyphen.
@inline(always)
private func lettersAndHyphens(_ word: UInt64) -> UInt64 {
    let low7 = (word | 0x2020_2020_2020_2020) & 0x7f7f_7f7f_7f7f_7f7f
    // The top bit of each byte: at least "a", and beyond "z".
    let fromA = low7 &+ 0x1f1f_1f1f_1f1f_1f1f
    let beyondZ = low7 &+ 0x0505_0505_0505_0505
    let difference = (word ^ 0x2d2d_2d2d_2d2d_2d2d) & 0x7f7f_7f7f_7f7f_7f7f
    // No carry leaves a byte, so zero alone leaves the top bit unset.
    let isOther = difference &+ 0x7f7f_7f7f_7f7f_7f7f
    return (fromA & ~beyondZ | ~isOther) & ~word & 0x8080_8080_8080_8080
}

/// The top bit of the lowest byte that is zero; above it also others may be set.
@inline(always)
private func zeroBytes(_ word: UInt64) -> UInt64 {
    (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
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

@inline(always)
private func mixed(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
}
