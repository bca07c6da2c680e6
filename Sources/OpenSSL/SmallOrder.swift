/// Edwards points whose order divides the cofactor. Under such a key one signature fits many
/// messages (RFC 8032, section 8.4 leaves the check to the user of the curve), and OpenSSL takes
/// them.
enum SmallOrder {
    /// Whether an encoded point is of small order; the sign bit of x does not matter.
    static func contains(_ encoded: [UInt8], on curve: EdwardsCurve) -> Bool {
        guard let last = encoded.indices.last else { return false }
        var y = encoded
        y[last] &= 0x7f
        switch curve {
        case .ed25519: return ed25519.contains(y)
        case .ed448: return ed448.contains(y)
        }
    }

    /// y of order 4, 1, 8, 8 and 2 in little-endian order, then 0 and 1 written as p and p + 1.
    private static let ed25519: [[UInt8]] = [
        [UInt8](repeating: 0, count: 32),
        [1] + [UInt8](repeating: 0, count: 31),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
        [0xec] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
        [0xed] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
        [0xee] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
    ]

    /// y of order 4, 1 and 2 (p - 1), then 0 and 1 written as p and p + 1, p = 2^448 - 2^224 - 1.
    private static let ed448: [[UInt8]] = {
        let zeros = [UInt8](repeating: 0, count: 28)
        let ones = [UInt8](repeating: 0xff, count: 28)
        let upper: [UInt8] = [0xfe] + [UInt8](repeating: 0xff, count: 27) + [0]
        return [
            zeros + zeros + [0],
            [1] + zeros + [UInt8](repeating: 0, count: 28),
            [0xfe] + ones.dropFirst() + upper,
            ones + upper,
            zeros + ones + [0],
        ]
    }()
}
