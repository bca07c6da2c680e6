extension Array where Element == UInt8 {
    /// The bytes that base64url text stands for (RFC 4648, section 5), strictly: no padding, no
    /// other alphabet, no white space, no stray bits at the end, so that one value has one text.
    /// Nil for anything else. Four characters a step: a token's payload and signature come through
    /// here with every check.
    package init?(base64URL text: Span<UInt8>) {
        // A single character left over holds no whole byte.
        let rest = text.count & 3
        guard rest != 1 else { return nil }
        let steps = text.count &>> 2
        let count = steps &* 3 &+ (rest == 0 ? 0 : rest &- 1)
        let source = unsafe text.bytes
        var isValid = true
        // Room for one byte more: each step writes four and keeps three of them.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count &+ 1) { output, initialized in
            guard let target = UnsafeMutableRawPointer(output.baseAddress) else { return }
            unsafe quartets.withUnsafeBufferPointer { table in
                guard let table = table.baseAddress else { return }
                // The steps of four characters lie within the text, those of three bytes within the
                // array, and the table has 256 entries for each of four places.
                isValid = unsafe decode(source, steps: steps, to: target, table)
                if rest == 0 { return }
                let last = steps &* 4
                var bits = unsafe table[Int(text[last])] | table[Int(text[last &+ 1]) &+ 256]
                if rest == 3 { bits |= unsafe table[Int(text[last &+ 2]) &+ 512] }
                // Two characters hold one byte and four bits, three hold two bytes and two; the
                // bits left over must be zero, and an invalid character's mark is above them.
                if bits &>> (rest == 2 ? 8 : 16) != 0 { isValid = false }
                unsafe output[steps &* 3] = UInt8(truncatingIfNeeded: bits)
                if rest == 3 {
                    unsafe output[steps &* 3 &+ 1] = UInt8(truncatingIfNeeded: bits &>> 8)
                }
            }
            initialized = count
        }
        guard isValid else { return nil }
        self = bytes
    }
}

/// Reads four characters and writes four bytes a step, of which the next step overwrites the last.
/// Returns whether all characters were of the alphabet.
@unsafe
private func decode(
    _ source: RawSpan, steps: Int, to target: UnsafeMutableRawPointer,
    _ table: UnsafePointer<UInt32>
) -> Bool {
    var seen: UInt32 = 0
    var from = 0
    var to = 0
    while from < steps &* 4 {
        let word = unsafe source.unsafeLoadUnaligned(fromByteOffset: from, as: UInt32.self)
        let bits =
            unsafe table[Int(word & 0xff)] | table[Int(word &>> 8 & 0xff) &+ 256]
            | table[Int(word &>> 16 & 0xff) &+ 512] | table[Int(word &>> 24) &+ 768]
        seen |= bits
        unsafe target.storeBytes(of: bits.littleEndian, toByteOffset: to, as: UInt32.self)
        from &+= 4
        to &+= 3
    }
    return seen &>> 24 == 0
}

/// For each of a quartet's four places and each character: its six bits where they belong among the
/// three bytes, the first byte lowest; above those, a mark for what is not of the alphabet.
private let quartets: [UInt32] = {
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
