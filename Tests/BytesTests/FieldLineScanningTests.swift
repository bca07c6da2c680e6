import Bytes
import Testing

@Suite struct FieldLineScanningTests {
    /// The ends of a line's parts by their definition, found one byte after the other; none where
    /// the line is not whole, nil where it is malformed.
    private func slowly(_ bytes: [UInt8], at start: Int) -> [Int]? {
        var nameEnd = start
        while nameEnd < bytes.count, ASCII.isTokenCharacter(bytes[nameEnd]) { nameEnd += 1 }
        if nameEnd == bytes.count { return [] }
        if nameEnd == start || bytes[nameEnd] != UInt8(ascii: ":") { return nil }
        var end = nameEnd + 1
        while end < bytes.count, bytes[end] >= 0x20 || bytes[end] == 0x09, bytes[end] != 0x7f {
            end += 1
        }
        if end == bytes.count { return [] }
        if bytes[end] != UInt8(ascii: "\r") { return nil }
        if end + 1 == bytes.count { return [] }
        if bytes[end + 1] != UInt8(ascii: "\n") { return nil }
        var value = nameEnd + 1..<end
        while let first = value.first, ASCII.isBlank(bytes[first]) { value.removeFirst() }
        while let last = value.last, ASCII.isBlank(bytes[last]) { value.removeLast() }
        return [nameEnd, value.lowerBound, value.upperBound, end + 2]
    }

    private func scanned(_ bytes: [UInt8], at start: Int) -> [Int]? {
        switch bytes.span.fieldLine(at: start) {
        case .malformed: nil
        case .incomplete: []
        case .line(let line):
            [line.nameEnd, line.valueStart, line.valueEnd, line.end].map { Int($0) }
        }
    }

    @Test("Lines of all lengths, whole, cut or spoilt, are read as defined")
    func agreement() {
        var random = SplitMix(seed: 21)
        let spoilers = Array("\0\t\r\n :;-_A\u{7f}".utf8) + [0x80, 0xff]
        for length in 0..<1_200 {
            let name = String(repeating: "Content-", count: length % 3) + "Name"
            let blanks = String(repeating: " \t", count: Int(random.next() % 3))
            let value = String(repeating: "v", count: length % 90)
            var bytes = Array("GET\r\n\(name):\(blanks)\(value)\(blanks)\r\nHost: b\r\n".utf8)
            #expect(scanned(bytes, at: 5) == slowly(bytes, at: 5))
            let place = Int(random.next() % UInt64(bytes.count))
            let spoiler = spoilers[Int(random.next() % UInt64(spoilers.count))]
            bytes[place] = spoiler
            #expect(scanned(bytes, at: 5) == slowly(bytes, at: 5))
            bytes.removeSubrange(max(place, 5)...)
            #expect(scanned(bytes, at: 5) == slowly(bytes, at: 5))
        }
    }

    @Test(
        "What is no field line is refused, however much of it is there",
        arguments: [
            ":a\r\n", " a: b\r\n", "\ta\r\n", "a : b\r\n", "a\t:b\r\n", "a b:c\r\n", "a\r\n",
            "a:b\n", "a:b\rc\r\n", "a:\0\r\n", "a:b\u{7f}\r\n", "a:b\u{1b}[m\r\n", "é:a\r\n",
            "a(b):c\r\n", "\r\n", "\n", "a:\r\r\n",
        ])
    func refused(line: String) {
        let bytes = Array(line.utf8)
        #expect(bytes.span.fieldLine(at: 0) == .malformed)
    }

    @Test("A literal is compared without case in its letters alone")
    func literals() {
        for byte in UInt8.min...UInt8.max {
            let isA = [byte].span.isEqualIgnoringCase(to: "a")
            #expect(isA == (byte == 0x41 || byte == 0x61))
            let isZ = [byte].span.isEqualIgnoringCase(to: "z")
            #expect(isZ == (byte == 0x5a || byte == 0x7a))
            let isHyphen = [byte].span.isEqualIgnoringCase(to: "-")
            #expect(isHyphen == (byte == 0x2d))
            let isOne = [byte].span.isEqualIgnoringCase(to: "1")
            #expect(isOne == (byte == 0x31))
        }
    }
}
