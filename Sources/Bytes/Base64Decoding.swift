extension Array where Element == UInt8 {
    /// The bytes that base64url text stands for (RFC 4648, section 5), strictly: no padding, no
    /// other alphabet, no white space, no stray bits at the end, so that one value has one text.
    /// Nil for anything else. Eight characters a step: a token's payload and signature come through
    /// here with every check.
    package init?(base64URL text: Span<UInt8>) {
        // A single character left over holds no whole byte.
        let rest = text.count & 3
        guard rest != 1 else { return nil }
        let count = text.count &>> 2 &* 3 &+ (rest == 0 ? 0 : rest &- 1)
        var isValid = true
        // Room for what the last step writes behind the last byte kept.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count &+ 8) { output, held in
            held = count
            guard let from = unsafe text.address,
                let to = UnsafeMutableRawPointer(output.baseAddress)
            else { return }
            unsafe octets.withUnsafeBufferPointer { table in
                guard let table = table.baseAddress else { return }
                isValid = unsafe decode(from, count: text.count, to: to, table)
            }
            // Where two or three characters are left over, the four or two bits that they do not
            // need have to be zero; they stand where the next byte would.
            if rest != 0, unsafe output[count] != 0 { isValid = false }
        }
        guard isValid else { return nil }
        self = bytes
    }
}

/// Decodes `count` characters. Writes up to eight bytes behind those they stand for, of which the
/// first holds what bits are left over. Returns whether all characters were of the alphabet.
@unsafe
@inline(always)
private func decode(
    _ source: UnsafeRawPointer, count: Int, to target: UnsafeMutableRawPointer,
    _ table: UnsafePointer<UInt32>
) -> Bool {
    var seen: UInt32 = 0
    var from = 0
    var to = 0
    // Each step reads eight characters that are there, or those left, and writes eight bytes: six,
    // and two that the next step overwrites.
    while count &- from >= 8 {
        unsafe decode(source.word(at: from), table, to: target + to, &seen)
        from &+= 8
        to &+= 6
    }
    let rest = count &- from
    if rest > 0 {
        // `A` stands for zero.
        let filler: UInt64 = 0x4141_4141_4141_4141 &<< UInt64(truncatingIfNeeded: rest &* 8)
        let word = unsafe source.lastWord(at: from, count: rest) | filler
        unsafe decode(word, table, to: target + to, &seen)
    }
    return seen &>> 24 == 0
}

/// Decodes the eight characters of a word.
@unsafe
@inline(always)
private func decode(
    _ word: UInt64, _ table: UnsafePointer<UInt32>, to target: UnsafeMutableRawPointer,
    _ seen: inout UInt32
) {
    // The table has 256 entries for each of four places.
    let low =
        unsafe table[Int(word & 0xff)] | table[Int(word &>> 8 & 0xff) &+ 256]
        | table[Int(word &>> 16 & 0xff) &+ 512] | table[Int(word &>> 24 & 0xff) &+ 768]
    let high =
        unsafe table[Int(word &>> 32 & 0xff)] | table[Int(word &>> 40 & 0xff) &+ 256]
        | table[Int(word &>> 48 & 0xff) &+ 512] | table[Int(word &>> 56) &+ 768]
    seen |= low | high
    unsafe target.storeBytes(of: UInt64(low) | UInt64(high) &<< 24, as: UInt64.self)
}

/// For each of four places and each character: its six bits where they belong among the three
/// bytes, the first byte lowest; above those, a mark for what is not of the alphabet.
private let octets: [UInt32] = {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8
    var table = [UInt32](repeating: 1 << 31, count: 1024)
    for place in 0..<4 {
        for (value, character) in alphabet.enumerated() {
            let bits = UInt32(value) << UInt32(26 - place * 6)
            table[place * 256 + Int(character)] = bits.byteSwapped
        }
    }
    return table
}()
