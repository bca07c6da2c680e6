import OpenSSL
import Testing

@Suite struct PublicKeyTests {
    private static let modulus = bytes(publicParts["rsa"]?[0] ?? "")

    @Test("Leading zero octets of an RSA number do not count")
    func leadingZeros() throws {
        let plain = try PublicKey(modulus: Self.modulus, exponent: [1, 0, 1])
        let padded = try PublicKey(modulus: [0, 0] + Self.modulus, exponent: [0, 1, 0, 1])
        #expect(plain == padded)
        #expect(plain.kind == .rsa(modulusBits: 2048))
    }

    @Test(
        "RSA moduli from 2048 to 16384 bits are taken, odd ones only",
        arguments: [
            (0, false), (1, false), (128, false), (255, false), (256, true), (384, true),
            (512, true), (2048, true), (2049, false), (4096, false),
        ])
    func modulusSizes(_ count: Int, _ isTaken: Bool) {
        let modulus = [UInt8](repeating: 0xd5, count: count)
        if isTaken {
            #expect(throws: Never.self) { try PublicKey(modulus: modulus, exponent: [1, 0, 1]) }
            var even = modulus
            even[count - 1] = 0xd4
            #expect(throws: OpenSSLError.unsuitableModulus) {
                try PublicKey(modulus: even, exponent: [1, 0, 1])
            }
        } else {
            #expect(throws: OpenSSLError.unsuitableModulus) {
                try PublicKey(modulus: modulus, exponent: [1, 0, 1])
            }
        }
    }

    @Test("A modulus of 2047 bits in 256 octets is too small")
    func almostLongEnough() {
        #expect(throws: OpenSSLError.unsuitableModulus) {
            try PublicKey(
                modulus: [0x7f] + [UInt8](repeating: 0xff, count: 255), exponent: [1, 0, 1])
        }
    }

    @Test(
        "RSA exponents are odd, at least 3 and at most 64 bits",
        arguments: [
            ([], false), ([0], false), ([1], false), ([0, 1], false), ([2], false), ([3], true),
            ([4], false), ([1, 0, 0], false), ([1, 0, 1], true), ([0, 0, 3], true), ([17], true),
            ([255, 255, 255, 255, 255, 255, 255, 255], true), ([1, 0, 0, 0, 0, 0, 0, 0, 1], false),
        ] as [([UInt8], Bool)])
    func exponents(_ exponent: [UInt8], _ isTaken: Bool) {
        if isTaken {
            #expect(throws: Never.self) {
                try PublicKey(modulus: Self.modulus, exponent: exponent)
            }
        } else {
            #expect(throws: OpenSSLError.unsuitableExponent) {
                try PublicKey(modulus: Self.modulus, exponent: exponent)
            }
        }
    }

    @Test(
        "Points of other lengths, off the curve or at infinity are refused",
        arguments: EllipticCurve.allCases)
    func badPoints(_ curve: EllipticCurve) throws {
        let name = curve == .p256 ? "p256" : curve == .p384 ? "p384" : "p521"
        let parts = try #require(publicParts[name]).map(bytes)
        let (x, y) = (parts[0], parts[1])
        var flipped = y
        flipped[y.count - 1] ^= 1
        let zeros = [UInt8](repeating: 0, count: x.count)
        let ones = [UInt8](repeating: 0xff, count: x.count)
        let wrong: [([UInt8], [UInt8])] = [
            (x, flipped), (y, x), (zeros, zeros), (ones, ones), (x, ones), (x, []), ([], []),
            (Array(x.dropFirst()), y), ([0] + x, [0] + y), (x + [0], y), (x, y + [0]),
        ]
        for (x, y) in wrong {
            #expect(throws: OpenSSLError.invalidPoint) { try PublicKey(curve: curve, x: x, y: y) }
        }
        for other in EllipticCurve.allCases where other != curve {
            #expect(throws: OpenSSLError.invalidPoint) { try PublicKey(curve: other, x: x, y: y) }
        }
    }

    @Test("Edwards keys of other lengths are refused", arguments: EdwardsCurve.allCases)
    func edwardsLengths(_ curve: EdwardsCurve) {
        for count in [0, 1, 31, 32, 33, 56, 57, 58] where count != curve.keyByteCount {
            #expect(throws: OpenSSLError.invalidPoint) {
                try PublicKey(curve: curve, x: [UInt8](repeating: 9, count: count))
            }
        }
    }

    @Test(
        "Edwards keys of small order are refused, whatever their sign bit",
        arguments: [
            (EdwardsCurve.ed25519, "00" + String(repeating: "00", count: 31)),
            (.ed25519, "01" + String(repeating: "00", count: 31)),
            (.ed25519, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            (.ed25519, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
            (.ed25519, "ec" + String(repeating: "ff", count: 30) + "7f"),
            (.ed25519, "ed" + String(repeating: "ff", count: 30) + "7f"),
            (.ed25519, "ee" + String(repeating: "ff", count: 30) + "7f"),
            (.ed448, String(repeating: "00", count: 57)),
            (.ed448, "01" + String(repeating: "00", count: 56)),
            (
                .ed448,
                "fe" + String(repeating: "ff", count: 27) + "fe"
                    + String(repeating: "ff", count: 27) + "00"
            ),
            (
                .ed448,
                String(repeating: "ff", count: 28) + "fe" + String(repeating: "ff", count: 27)
                    + "00"
            ),
            (
                .ed448,
                String(repeating: "00", count: 28) + String(repeating: "ff", count: 28) + "00"
            ),
        ])
    func smallOrder(_ curve: EdwardsCurve, _ encoded: String) {
        var x = bytes(encoded)
        #expect(x.count == curve.keyByteCount)
        #expect(throws: OpenSSLError.invalidPoint) { try PublicKey(curve: curve, x: x) }
        x[x.count - 1] |= 0x80
        #expect(throws: OpenSSLError.invalidPoint) { try PublicKey(curve: curve, x: x) }
    }

    @Test("A curve goes with one algorithm, a name with one spelling")
    func names() {
        for algorithm in SignatureAlgorithm.allCases {
            #expect(SignatureAlgorithm(name: algorithm.name) == algorithm)
            #expect(
                SignatureAlgorithm(name: algorithm.name.lowercased()) == nil
                    && SignatureAlgorithm(name: algorithm.name + " ") == nil)
        }
        for name in ["", "none", "None", "NONE", "RS1", "HS1", "ES256K", "RSA-OAEP", "dir"] {
            #expect(SignatureAlgorithm(name: name) == nil)
        }
        for name in ["X25519", "X448", "secp256k1", "p-256", "P-512", ""] {
            #expect(EllipticCurve(name: name) == nil && EdwardsCurve(name: name) == nil)
        }
    }
}
