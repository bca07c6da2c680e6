extension Array where Element == UInt8 {
    /// The bytes that base64url text stands for (RFC 4648, section 5), strictly: no padding, no
    /// other alphabet, no white space, no stray bits at the end, so that one value has one text.
    /// Nil for anything else. Sixteen characters a step: a token's payload and signature come
    /// through here with every check.
    package init?(base64URL text: Span<UInt8>) {
        // A single character left over holds no whole byte.
        let rest = text.count & 3
        guard rest != 1 else { return nil }
        let count = text.count &>> 2 &* 3 &+ (rest == 0 ? 0 : rest &- 1)
        var isValid = true
        // Room for what the last step writes behind the last byte kept.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count &+ 16) { output, held in
            held = count
            guard let from = unsafe text.address,
                let to = UnsafeMutableRawPointer(output.baseAddress)
            else { return }
            isValid = unsafe decode(from, count: text.count, to: to)
            // Where two or three characters are left over, the four or two bits that they do not
            // need have to be zero; they stand where the next byte would.
            if rest != 0, unsafe output[count] != 0 { isValid = false }
        }
        guard isValid else { return nil }
        self = bytes
    }
}

/// Decodes `count` characters. Writes up to 14 bytes behind those they stand for, of which the
/// first holds what bits are left over. Returns whether all characters were of the alphabet.
@unsafe
@inline(always)
private func decode(
    _ source: UnsafeRawPointer, count: Int, to target: UnsafeMutableRawPointer
) -> Bool {
    var strangers = LaneMask()
    var from = 0
    var to = 0
    // Each step reads sixteen characters that are there, or those left, and writes fourteen bytes:
    // twelve, and two that the next step overwrites.
    while count &- from >= 16 {
        let sextets = unsafe Sextets(source.lanes(at: from))
        strangers .|= sextets.strangers
        unsafe sextets.store(to: target + to)
        from &+= 16
        to &+= 12
    }
    let rest = count &- from
    if rest > 0 {
        let sextets = unsafe Sextets(source.lastLanes(at: from, count: rest), count: rest)
        strangers .|= sextets.strangers
        unsafe sextets.store(to: target + to)
    }
    return bits(strangers) == 0
}

/// Sixteen characters as the six bits each stands for.
private struct Sextets {
    let values: Lanes
    /// The lanes that are not of the alphabet.
    let strangers: LaneMask

    /// The values of sixteen characters.
    @inline(always)
    init(_ characters: Lanes) {
        // What a character's value differs by from its code; never zero.
        let difference =
            lanes(characters.isIn(0x41, 0x5a), 0 &- 0x41)
            | lanes(characters.isIn(0x61, 0x7a), 26 &- 0x61)
            | lanes(characters.isIn(0x30, 0x39), 52 &- 0x30)
            | lanes(characters.isEqual(to: 0x2d), 62 &- 0x2d)
            | lanes(characters.isEqual(to: 0x5f), 63 &- 0x5f)
        values = characters &+ difference
        strangers = difference.isEqual(to: 0)
    }

    /// The values of the first `count` characters, and zeros.
    @inline(always)
    init(_ characters: Lanes, count: Int) {
        let places = Lanes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
        let isBehind = places .>= Lanes(repeating: UInt8(truncatingIfNeeded: count))
        // `A` stands for zero.
        self.init(characters | lanes(isBehind, 0x41))
    }

    /// Writes the twelve bytes, and two more that mean nothing.
    @unsafe
    @inline(always)
    func store(to target: UnsafeMutableRawPointer) {
        // Neighbours are joined three times: 6 bits to 12, to 24, to 48 at the top of a word. All
        // are 16 plain bytes; the first of each two stands lower and is the more significant.
        let sixes = unsafe unsafeBitCast(values, to: SIMD8<UInt16>.self)
        let twelves =
            (sixes &<< SIMD8(repeating: 6)) & SIMD8(repeating: 0x0fc0)
            | (sixes &>> SIMD8(repeating: 8))
        let halves = unsafe unsafeBitCast(twelves, to: SIMD4<UInt32>.self)
        let quarters =
            (halves &<< SIMD4(repeating: 12)) & SIMD4(repeating: 0x00ff_f000)
            | (halves &>> SIMD4(repeating: 16))
        let words = unsafe unsafeBitCast(quarters, to: SIMD2<UInt64>.self)
        let joined = (words &<< SIMD2(repeating: 40)) | (words &>> SIMD2(repeating: 16))
        unsafe target.storeBytes(of: joined[0].byteSwapped, as: UInt64.self)
        unsafe target.storeBytes(of: joined[1].byteSwapped, toByteOffset: 6, as: UInt64.self)
    }
}

/// `byte` in each lane that is set, zero in the others.
@inline(always)
private func lanes(_ mask: LaneMask, _ byte: UInt8) -> Lanes {
    // Both are 16 plain bytes, those of a mask 0 or 0xff.
    unsafe unsafeBitCast(mask, to: Lanes.self) & Lanes(repeating: byte)
}
