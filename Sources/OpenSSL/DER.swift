/// The few pieces of DER (X.690) that public keys and ECDSA signatures need.
enum DER {
    private static let integerTag: UInt8 = 0x02
    private static let sequenceTag: UInt8 = 0x30

    static func sequence(_ parts: [UInt8]...) -> [UInt8] {
        element(sequenceTag, Array(parts.joined()))
    }

    static func objectIdentifier(_ content: [UInt8]) -> [UInt8] { element(0x06, content) }

    static let null: [UInt8] = [0x05, 0x00]

    /// A bit string of whole octets.
    static func bitString(_ content: [UInt8]) -> [UInt8] { element(0x03, [0] + content) }

    static func octetString(_ content: [UInt8]) -> [UInt8] { element(0x04, content) }

    /// An unsigned integer given by big-endian octets, in the shortest form.
    static func integer(_ magnitude: some Collection<UInt8>) -> [UInt8] {
        var digits = Array(magnitude.drop { $0 == 0 })
        if (digits.first ?? 0x80) >= 0x80 { digits.insert(0, at: 0) }
        return element(integerTag, digits)
    }

    private static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        [tag] + length(content.count) + content
    }

    private static func length(_ count: Int) -> [UInt8] {
        if count < 0x80 { return [UInt8(count)] }
        if count < 0x100 { return [0x81, UInt8(count)] }
        // A key of 16384 bits is about 2 KiB, so two octets always do.
        precondition(count < 0x1_0000, "no element here is longer than 64 KiB")
        return [0x82, UInt8(count >> 8), UInt8(count & 0xff)]
    }
}

/// The longest ECDSA signature: two integers of 66 octets with their headers, P-521's.
typealias SignatureOctets = InlineArray<144, UInt8>

extension DER {
    /// Writes JOSE's r ‖ s (RFC 7518, section 3.4) as ECDSA-Sig-Value and returns its length, or
    /// nil if r or s is zero. Both halves hold at most 66 octets. Allocates nothing.
    static func writeSignature(_ raw: Span<UInt8>, into der: inout SignatureOctets) -> Int? {
        let half = raw.count / 2
        precondition(half <= 66, "no curve here has longer coordinates")
        let r = firstSignificant(raw, 0..<half)
        let s = firstSignificant(raw, half..<raw.count)
        guard r < half, s < raw.count else { return nil }
        let rLength = integerLength(raw, r..<half)
        let sLength = integerLength(raw, s..<raw.count)
        let content = rLength + sLength + 4
        var end = 0
        append(sequenceTag, to: &der, &end)
        if content >= 0x80 { append(0x81, to: &der, &end) }
        append(UInt8(content), to: &der, &end)
        appendInteger(raw, r..<half, length: rLength, to: &der, &end)
        appendInteger(raw, s..<raw.count, length: sLength, to: &der, &end)
        return end
    }

    private static func firstSignificant(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
        var i = range.lowerBound
        while i < range.upperBound, bytes[i] == 0 { i += 1 }
        return i
    }

    private static func integerLength(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
        range.count + (bytes[range.lowerBound] >= 0x80 ? 1 : 0)
    }

    private static func appendInteger(
        _ bytes: Span<UInt8>, _ range: Range<Int>, length: Int, to der: inout SignatureOctets,
        _ end: inout Int
    ) {
        append(integerTag, to: &der, &end)
        append(UInt8(length), to: &der, &end)
        if length > range.count { append(0, to: &der, &end) }
        for i in range { append(bytes[i], to: &der, &end) }
    }

    private static func append(_ byte: UInt8, to der: inout SignatureOctets, _ end: inout Int) {
        der[end] = byte
        end += 1
    }
}
