import Bytes
import Testing

@Suite struct Base64DecodingTests {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// Decoding by its definition, one character after the other.
    private func slowly(_ text: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits = 0
        var held = 0
        for character in text {
            guard let value = Self.alphabet.firstIndex(of: character) else { return nil }
            bits = (bits << 6 | value) & 0xffff
            held += 6
            if held >= 8 {
                held -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> held))
            }
        }
        guard held < 6, bits & (1 << held - 1) == 0 else { return nil }
        return bytes
    }

    @Test("Each byte at each place of texts of each length is taken or refused as defined")
    func everyByteAtEveryPlace() {
        for count in Array(0...9) + [15, 16, 18, 31, 32, 35] {
            var text = Array("QUJDREVGR0hJSktMTU5P-_RSU1RVVldYWVoA".utf8.prefix(count))
            #expect([UInt8](base64URL: text.span) == slowly(text))
            for place in 0..<count where count < 10 || place % 7 == 0 || place > count - 4 {
                let kept = text[place]
                for byte in UInt8.min...UInt8.max {
                    text[place] = byte
                    #expect([UInt8](base64URL: text.span) == slowly(text))
                }
                text[place] = kept
            }
        }
    }

    @Test("Random texts give what the definition gives")
    func randomTexts() {
        var random = SplitMix(seed: 7)
        for _ in 0..<3_000 {
            let text = (0..<Int(random.next() % 150)).map { _ in
                Self.alphabet[Int(random.next() % 64)]
            }
            #expect([UInt8](base64URL: text.span) == slowly(text))
        }
    }

    @Test("A b64token's characters are those of RFC 6750, at each place of a word")
    func base64Text() {
        let members = Set(Self.alphabet + Array(".~+/".utf8))
        for count in 1...17 {
            for place in 0..<count {
                for byte in UInt8.min...UInt8.max {
                    var text = Array("aZ09-_.bY18-_.cX2".utf8.prefix(count))
                    text[place] = byte
                    let isText = text.span.isBase64Text
                    #expect(isText == members.contains(byte))
                }
            }
        }
    }

    @Test("One byte above 0x7f makes a text other than ASCII, wherever it stands")
    func ascii() {
        for count in 0...17 {
            var text = [UInt8](repeating: 0x7f, count: count)
            var isASCII = text.span.isASCII
            #expect(isASCII)
            for place in 0..<count {
                text[place] = 0x80
                isASCII = text.span.isASCII
                #expect(!isASCII)
                text[place] = 0x7f
            }
        }
    }

    @Test("A byte is found at its first place only, whatever its neighbours differ by")
    func firstPlaces() {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<18 {
                for other in [byte ^ 1, byte ^ 0x80, byte &+ 1, byte &- 1] {
                    var bytes = [UInt8](repeating: other, count: 20)
                    bytes[place] = byte
                    bytes[19] = byte
                    #expect(bytes.span.firstIndex(of: byte) == place)
                    #expect(bytes.span.firstIndex(of: byte, from: place + 1) == 19)
                }
            }
        }
    }
}
