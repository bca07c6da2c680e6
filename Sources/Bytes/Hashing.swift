extension Span where Element == UInt8 {
    /// A 64-bit hash under a secret `seed` (the construction of wyhash). Every factor is masked
    /// with something drawn from the seed: with wyhash's published constants alone, a word equal to
    /// one of them makes a product zero and wipes out the seed, and collisions could be written
    /// down. Equality is still decided by comparing bytes.
    ///
    /// 32 bytes a step in two products that do not wait for one another, then eight a step.
    package func hash(seed: UInt64) -> UInt64 {
        let firstMask = mixed(seed ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db)
        let secondMask = mixed(seed ^ 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3)
        var first = seed ^ UInt64(truncatingIfNeeded: count)
        var second = seed &* 0x9e37_79b9_7f4a_7c15
        // The leading 1 makes zero bytes count.
        var tail: UInt64 = 1
        if let bytes = unsafe address {
            // Each read is bounded by the condition before it.
            var i = 0
            while count &- i >= 32 {
                first = unsafe mixed(
                    bytes.word(at: i) ^ firstMask, bytes.word(at: i &+ 8) ^ first)
                second = unsafe mixed(
                    bytes.word(at: i &+ 16) ^ secondMask, bytes.word(at: i &+ 24) ^ second)
                i &+= 32
            }
            while count &- i >= 8 {
                first = unsafe mixed(bytes.word(at: i) ^ secondMask, first ^ firstMask)
                i &+= 8
            }
            let rest = count &- i
            tail = tail &<< UInt64(truncatingIfNeeded: rest &* 8)
            tail |= unsafe bytes.lastWord(at: i, count: rest)
        }
        return mixed(first ^ tail ^ firstMask, second ^ secondMask)
    }
}

@inline(always)
private func mixed(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
}
