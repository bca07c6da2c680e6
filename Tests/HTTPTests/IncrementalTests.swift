import Bytes
import HTTP
import Testing

/// Bytes arrive in any pieces: what a message means may not depend on where they were cut.
@Suite struct IncrementalTests {
    static let requests =
        RequestHeadTests.accepted.map(\.text) + RequestHeadTests.refused.map(\.text)
    static let responses =
        ResponseHeadTests.accepted.map(\.text) + ResponseHeadTests.refused.map(\.0)

    @Test(
        "A request read in growing pieces ends as the whole does, never early", arguments: requests)
    func requestPrefixes(text: String) {
        let bytes = Array(text.utf8)
        let head = RequestHead(maxFields: 40)
        checkPrefixes(of: bytes) { head.outcome($0) }
    }

    @Test(
        "A response read in growing pieces ends as the whole does, never early",
        arguments: responses)
    func responsePrefixes(text: String) {
        let bytes = Array(text.utf8)
        let head = ResponseHead(maxFields: 4)
        checkPrefixes(of: bytes) { head.outcome($0) }
    }

    @Test(
        "The scanner calls for the parser exactly when it will decide",
        arguments: requests + responses)
    func scanner(text: String) {
        let bytes = Array(text.utf8)
        for start in bytes.indices {
            // A first piece of any size, then byte by byte.
            var scanner = HeadScanner()
            for count in [start] + Array((start + 1)...bytes.count) {
                let prefix = Array(bytes[..<count])
                let isWorth = scanner.isWorthParsing(prefix.span)
                #expect(isWorth == hasLineThatEndsAHead(prefix))
                if isWorth {
                    #expect(RequestHead(maxFields: 40).outcome(prefix.span) != .incomplete)
                    #expect(ResponseHead(maxFields: 40).outcome(prefix.span) != .incomplete)
                    break
                }
                #expect(RequestHead(maxFields: 40).outcome(prefix.span) != .complete)
                #expect(ResponseHead(maxFields: 40).outcome(prefix.span) != .complete)
            }
        }
    }

    @Test(
        "Mutated requests never trap and never change their meaning by being cut", arguments: 0..<8)
    func mutatedRequests(seed: Int) {
        var random = SplitMix(seed: UInt64(seed))
        let samples = RequestHeadTests.accepted.map { Array($0.text.utf8) }
        let head = RequestHead(maxFields: 6)
        for _ in 0..<400 {
            let bytes = mutated(samples.randomElement(using: &random) ?? [], with: &random)
            checkPrefixes(of: bytes) { head.outcome($0) }
            guard head.outcome(bytes.span) == .complete else { continue }
            #expect(head.length <= bytes.count)
            checkInvariants(head, bytes)
        }
    }

    @Test(
        "Mutated responses never trap and never change their meaning by being cut", arguments: 0..<4
    )
    func mutatedResponses(seed: Int) {
        var random = SplitMix(seed: UInt64(seed))
        let samples = ResponseHeadTests.accepted.map { Array($0.text.utf8) }
        let head = ResponseHead(maxFields: 4)
        for _ in 0..<400 {
            let bytes = mutated(samples.randomElement(using: &random) ?? [], with: &random)
            checkPrefixes(of: bytes) { head.outcome($0) }
        }
    }

    @Test("Mutated bodies never trap and read the same however they are cut", arguments: 0..<8)
    func mutatedBodies(seed: Int) {
        var random = SplitMix(seed: UInt64(seed) &+ 100)
        for _ in 0..<400 {
            guard let sample = BodyDecoderTests.accepted.randomElement(using: &random) else {
                return
            }
            let bytes = mutated(Array(sample.text.utf8), with: &random)
            let whole = BodyReading(sample.framing, [bytes])
            #expect(BodyReading(sample.framing, [[]] + bytes.map { [$0] }) == whole)
            let cut = Int(random.next() % UInt64(bytes.count + 1))
            #expect(
                BodyReading(sample.framing, [Array(bytes[..<cut]), Array(bytes[cut...])]) == whole)
            #expect(whole.data.count <= bytes.count)
            if let end = whole.end { #expect(end <= bytes.count) }
        }
    }

    /// Once a prefix is decided, every longer one is decided alike.
    private func checkPrefixes(of bytes: [UInt8], _ outcome: (Span<UInt8>) -> Outcome) {
        var decided = Outcome.incomplete
        for count in 0...bytes.count {
            let prefix = Array(bytes[..<count])
            let result = outcome(prefix.span)
            if decided != .incomplete {
                #expect(
                    result == decided, "\(String(decoding: prefix, as: UTF8.self).debugDescription)"
                )
            }
            decided = result
        }
    }

    /// What the rest of the proxy relies on without looking again.
    private func checkInvariants(_ head: RequestHead, _ bytes: [UInt8]) {
        let facts = RequestFacts(head, bytes)
        #expect(!facts.method.isEmpty)
        #expect(facts.minorVersion == 0 || !facts.authority.isEmpty)
        #expect(bytes[..<head.length].suffix(4) == Array("\r\n\r\n".utf8)[...])
        for index in 0..<head.fields.count {
            let line = head.fields[index]
            #expect(line.line.upperBound <= head.length)
            #expect(bytes[line.value].allSatisfy { ($0 >= 0x20 && $0 != 0x7f) || $0 == 9 })
            #expect(bytes[line.name].allSatisfy { ASCII.isTokenCharacter($0) })
        }
        #expect(bytes[head.target].allSatisfy { ASCII.isVisible($0) })
    }

    /// A line break that no head survives, or the empty line that ends one, by its definition.
    private func hasLineThatEndsAHead(_ bytes: [UInt8]) -> Bool {
        for index in bytes.indices where bytes[index] == 0x0a {
            if index == 0 || bytes[index - 1] != 0x0d { return true }
            if index >= 3, bytes[index - 2] == 0x0a { return true }
        }
        return false
    }

    /// One to four edits: a byte changed, taken out, put in, or a run doubled.
    private func mutated(_ sample: [UInt8], with random: inout SplitMix) -> [UInt8] {
        let favourites: [UInt8] = [
            0x0d, 0x0a, 0x20, 0x09, 0x3a, 0x2c, 0x3b, 0x00, 0x2f, 0x3f, 0x2e, 0x30, 0x66, 0x5b,
            0x7f, 0xff,
        ]
        var bytes = sample
        for _ in 0...Int(random.next() % 4) where !bytes.isEmpty {
            let place = Int(random.next() % UInt64(bytes.count))
            let byte = favourites[Int(random.next() % UInt64(favourites.count))]
            switch random.next() % 5 {
            case 0: bytes[place] = byte
            case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(byte, at: place)
            default: bytes.insert(contentsOf: bytes[place...].prefix(12), at: place)
            }
        }
        return bytes
    }
}
