import Bytes
import Testing

/// Scanners against their definitions, over every length up to 200 bytes: the first steps, the
/// long stride and each number of bytes left over.
@Suite struct LongRunTests {
    private struct Scanner: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// A byte that the scan passes, and those around which its answer changes.
        let filler: UInt8
        let edges: [UInt8]
        let passes: @Sendable (UInt8) -> Bool
        let end: @Sendable ([UInt8], Int) -> Int
    }

    private static let scanners = [
        Scanner(
            testDescription: "endOfToken", filler: 0x61,
            edges: [0x20, 0x21, 0x2c, 0x2d, 0x2e, 0x39, 0x3a, 0x40, 0x5a, 0x5b, 0x7b, 0x7e, 0xe1],
            passes: { ASCII.isTokenCharacter($0) }, end: { $0.span.endOfToken(from: $1) }),
        Scanner(
            testDescription: "endOfVisible", filler: 0x2f,
            edges: [0, 0x20, 0x21, 0x7e, 0x7f, 0x80],
            passes: { ASCII.isVisible($0) }, end: { $0.span.endOfVisible(from: $1) }),
        Scanner(
            testDescription: "endOfFieldValue", filler: 0x41,
            edges: [0, 0x08, 0x09, 0x0a, 0x0d, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0xff],
            passes: { ($0 >= 0x20 && $0 != 0x7f) || $0 == 0x09 },
            end: { $0.span.endOfFieldValue(from: $1) }),
        Scanner(
            testDescription: "endOfPlainText", filler: 0x41,
            edges: [0x1f, 0x20, 0x21, 0x22, 0x23, 0x5b, 0x5c, 0x5d, 0x7e, 0x7f, 0x80],
            passes: { $0 >= 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c },
            end: { $0.span.endOfPlainText(from: $1) }),
        Scanner(
            testDescription: "firstIndex", filler: 0x41, edges: [0x2d, 0x2e, 0x2f, 0xae],
            passes: { $0 != 0x2e }, end: { $0.span.firstIndex(of: 0x2e, from: $1) ?? $0.count }),
        Scanner(
            testDescription: "isASCII", filler: 0x41, edges: [0x7f, 0x80, 0xff],
            passes: { $0 < 0x80 }, end: endIfWhole { $0.span.isASCII }),
        Scanner(
            testDescription: "isBase64Text", filler: 0x41,
            edges: [0x2a, 0x2b, 0x2c, 0x2d, 0x39, 0x3a, 0x40, 0x5b, 0x5f, 0x60, 0x7b, 0x7e, 0xe1],
            passes: { ASCII.isUnreserved($0) || $0 == 0x2b || $0 == 0x2f },
            end: endIfWhole { $0.span.isBase64Text }),
    ]

    /// For a question about the whole: the end where the answer is yes.
    private static func endIfWhole(
        _ isWhole: @escaping @Sendable ([UInt8]) -> Bool
    ) -> @Sendable ([UInt8], Int) -> Int {
        { bytes, start in isWhole(Array(bytes[start...])) ? bytes.count : -1 }
    }

    @Test(
        "Each scanner stops where its definition says, at all lengths up to 200 bytes",
        arguments: scanners)
    private func agreement(scanner: Scanner) {
        var random = SplitMix(seed: 11)
        for count in 0...200 {
            for edge in scanner.edges {
                var bytes = [UInt8](repeating: scanner.filler, count: count)
                let place = Int(random.next() % 201)
                if place < count { bytes[place] = edge }
                for start in [0, Int(random.next() % UInt64(count + 1)), min(place, count), count] {
                    let end = bytes[start...].firstIndex { !scanner.passes($0) } ?? count
                    let found = scanner.end(bytes, start)
                    // -1 is the no of a question about the whole.
                    #expect(found == end || (found == -1 && end < count))
                }
            }
        }
    }

    @Test("A scanner looks at nothing behind the span or before the start")
    func neighbours() {
        for count in 0...70 {
            for start in 0...count {
                // Controls all around the part that is looked at.
                var bytes = [UInt8](repeating: 0, count: count + 40)
                for i in start..<count { bytes[i] = 0x41 }
                let part = bytes.span.extracting(0..<count)
                #expect(part.endOfFieldValue(from: start) == count)
                #expect(part.endOfToken(from: start) == count)
                #expect(part.endOfPlainText(from: start) == count)
                #expect(part.firstIndex(of: 0, from: start) == nil)
            }
        }
    }
}
