import Bytes
import Testing

@Suite struct ScanningTests {
    /// The scan by its definition: one byte after the other.
    private func end(
        of bytes: [UInt8], from start: Int, while belongs: (UInt8) -> Bool
    ) -> Int {
        bytes[start...].firstIndex { !belongs($0) } ?? bytes.count
    }

    @Test("A field value ends at the first control but tab, at any place in a word")
    func fieldValueEnds() {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<20 {
                for filler: UInt8 in [0x61, 0x09, 0x80, 0xff, 0x20, 0x7e] {
                    var bytes = [UInt8](repeating: filler, count: 20)
                    bytes[place] = byte
                    let isControl = (byte < 0x20 && byte != 0x09) || byte == 0x7f
                    #expect(bytes.span.endOfFieldValue(from: 0) == (isControl ? place : 20))
                }
            }
        }
    }

    @Test("Scanners agree with a byte-by-byte reading of random bytes")
    func randomBytes() {
        var random = SplitMix(seed: 1)
        for _ in 0..<2_000 {
            let bytes = (0..<Int(random.next() % 40)).map { _ in
                // Mostly text, now and then anything.
                random.next() % 8 == 0
                    ? UInt8(truncatingIfNeeded: random.next()) : UInt8(0x21 + random.next() % 94)
            }
            for start in 0...bytes.count {
                let span = bytes.span
                let value = end(of: bytes, from: start) { ($0 >= 0x20 && $0 != 0x7f) || $0 == 9 }
                #expect(span.endOfFieldValue(from: start) == value)
                let token = end(of: bytes, from: start) { ASCII.isTokenCharacter($0) }
                #expect(span.endOfToken(from: start) == token)
                let visible = end(of: bytes, from: start) { ASCII.isVisible($0) }
                #expect(span.endOfVisible(from: start) == visible)
                let comma = bytes[start...].firstIndex(of: 0x2c)
                #expect(span.firstIndex(of: 0x2c, from: start) == comma)
            }
        }
    }

    @Test("A token ends at each octet that is no tchar, wherever it stands")
    func endsOfTokens() {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<20 {
                var bytes = Array("Content-SecurityAZaz".utf8)
                bytes[place] = byte
                let end = ASCII.isTokenCharacter(byte) ? bytes.count : place
                for start in 0...place {
                    #expect(bytes.span.endOfToken(from: start) == end)
                }
            }
        }
    }

    @Test(
        "Only spaces and tabs are trimmed, at both ends",
        arguments: [
            ("", ""), ("   ", ""), (" a ", "a"), ("\ta b\t ", "a b"), ("a", "a"),
            ("\u{a0}a", "\u{a0}a"),
            ("\ra\n", "\ra\n"),
        ])
    func trimming(given: String, expected: String) {
        let bytes = Array(given.utf8)
        let range = bytes.span.trimmingBlanks(0..<bytes.count)
        #expect(String(decoding: bytes[range], as: UTF8.self) == expected)
    }

    @Test("Runs are equal only where length and every byte agree")
    func equality() {
        for length in 0..<40 {
            let bytes = (0..<length).map { UInt8($0 + 0x41) }
            let same = bytes
            #expect(isEqual(bytes, same))
            #expect(isEqualIgnoringCase(bytes, bytes.map(ASCII.lowercased)))
            let longer = bytes + [0]
            #expect(!isEqual(bytes, longer))
            #expect(!isEqualIgnoringCase(bytes, longer))
            for place in 0..<length {
                var other = bytes
                other[place] ^= 0x80
                #expect(!isEqual(bytes, other))
                #expect(!isEqualIgnoringCase(bytes, other))
            }
        }
    }

    @Test(
        "Letters compare without case, and nothing else does",
        arguments: [
            ("Content-Length", true), ("CONTENT-LENGTH", true), ("content-length", true),
            ("content_length", false), ("content-lengt", false), ("content-length ", false),
            ("content\rlength", false), ("", false), ("content-len\u{17f}th", false),
        ])
    func caseless(given: String, isEqual: Bool) {
        let bytes = Array(given.utf8)
        let name = Array("content-length".utf8)
        let isLiteral = bytes.span.isEqualIgnoringCase(to: "content-length")
        #expect(isLiteral == isEqual)
        #expect(isEqualIgnoringCase(bytes, name) == isEqual)
        let isSame = bytes.span.isEqual(to: "content-length")
        #expect(isSame == (given == "content-length"))
    }

    @Test("Bytes 32 apart that are no letters stay different")
    func caselessNonLetters() {
        for byte in UInt8.min...UInt8.max {
            let a = [byte]
            let b = [byte ^ 0x20]
            let isLetter =
                ASCII.lowercased(byte | 0x20) == byte | 0x20 && (97...122).contains(byte | 0x20)
            #expect(isEqualIgnoringCase(a, b) == isLetter)
        }
    }
}

// `#expect` takes no span as an operand, so the calls are wrapped.
private func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool { a.span.isEqual(to: b.span) }
private func isEqualIgnoringCase(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.span.isEqualIgnoringCase(to: b.span)
}

@Suite struct HashTests {
    @Test("Equal bytes hash alike, other bytes, lengths and seeds do not")
    func spread() {
        var seen: Set<UInt64> = []
        var random = SplitMix(seed: 3)
        for length in 0..<100 {
            let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let copy = bytes
            #expect(bytes.span.hash(seed: 42) == copy.span.hash(seed: 42))
            #expect(seen.insert(bytes.span.hash(seed: 42)).inserted)
            #expect(seen.insert(bytes.span.hash(seed: 43)).inserted)
            for place in 0..<length {
                var other = bytes
                other[place] ^= 1
                #expect(seen.insert(other.span.hash(seed: 42)).inserted)
            }
        }
    }

    @Test("Zero bytes count: runs of zeros of different lengths differ")
    func zeros() {
        for seed: UInt64 in [0, 1, 0x1234_5678] {
            let hashes = (0..<80).map { [UInt8](repeating: 0, count: $0).span.hash(seed: seed) }
            #expect(Set(hashes).count == 80)
        }
    }

    @Test("Words equal to the construction's constants do not wipe out what stands beside them")
    func constants() {
        let words: [UInt64] = [
            0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3,
            0x5899_65cc_7537_4cc3, 0,
        ]
        var hashes: Set<UInt64> = []
        var count = 0
        for a in words {
            for b in words {
                for filler in UInt64(0)..<20 {
                    let bytes = [a, filler, b, filler &+ 1].flatMap { word in
                        (0..<8).map { UInt8(truncatingIfNeeded: word &>> (8 * UInt64($0))) }
                    }
                    hashes.insert(bytes.span.hash(seed: 99))
                    count += 1
                }
            }
        }
        #expect(hashes.count == count)
    }
}

@Suite struct TextTests {
    @Test(
        "Bytes that are no UTF-8 give no text",
        arguments: [
            [0xc0, 0xae], [0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82],
            [0xff],
        ] as [[UInt8]])
    func invalid(bytes: [UInt8]) {
        #expect(String(validating: bytes.span) == nil)
    }

    @Test("Bytes that are UTF-8 give their text", arguments: ["", "a", "é€😀", "\u{0}"])
    func valid(text: String) {
        #expect(String(validating: Array(text.utf8).span) == text)
    }
}
