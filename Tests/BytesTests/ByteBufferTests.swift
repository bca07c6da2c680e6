import Bytes
import Testing

@Suite struct ByteBufferTests {
    private func contents(_ buffer: borrowing ByteBuffer) -> [UInt8] {
        buffer.withBytes { Array(copying: $0) }
    }

    private func text(_ buffer: borrowing ByteBuffer) -> String {
        String(decoding: contents(buffer), as: UTF8.self)
    }

    @Test("A new buffer holds nothing and no memory")
    func empty() {
        let buffer = ByteBuffer()
        #expect(buffer.isEmpty == true)
        #expect(buffer.capacity == 0)
        #expect(contents(buffer).isEmpty)
    }

    @Test(
        "Appended runs of every length arrive whole", arguments: Array(0...70) + [511])
    func appends(length: Int) {
        // The copy has cases by length; every length around a boundary and behind it.
        for count in [length, length + 1, length + 1536, length + 2048] {
            let run = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            var buffer = ByteBuffer()
            buffer.append(byte: 0xff)
            buffer.append(run)
            buffer.append(byte: 0xfe)
            #expect(contents(buffer) == [0xff] + run + [0xfe])
        }
    }

    @Test("Each kind of source is appended")
    func sources() {
        var other = ByteBuffer()
        other.append("other")
        var buffer = ByteBuffer(capacity: 3)
        let literal: StaticString = "literal"
        buffer.append(literal)
        buffer.append(String(repeating: "é", count: 2))
        buffer.append([0x2d, 0x2d])
        buffer.append(other)
        let digits: [UInt8] = [0x30, 0x31, 0x32, 0x33]
        buffer.append(digits.span, 1..<3)
        #expect(text(buffer) == "literaléé--other12")
    }

    @Test(
        "Whole numbers are written in decimal",
        arguments: [
            (0, "0"), (9, "9"), (10, "10"), (-1, "-1"), (Int.max, "9223372036854775807"),
            (Int.min, "-9223372036854775808"),
        ])
    func decimals(value: Int, expected: String) {
        var buffer = ByteBuffer()
        buffer.append(decimal: value)
        #expect(text(buffer) == expected)
    }

    @Test(
        "Chunk sizes are written in lower-case hexadecimal",
        arguments: [
            (0, "0"), (15, "f"), (16, "10"), (0xbeef, "beef"), (Int.max, "7fffffffffffffff"),
        ])
    func hexadecimals(value: Int, expected: String) {
        var buffer = ByteBuffer()
        buffer.append(hexadecimal: value)
        #expect(text(buffer) == expected)
    }

    @Test("Consuming from the front leaves the rest in place")
    func consuming() {
        var buffer = ByteBuffer()
        buffer.append("abcdef")
        buffer.removeFirst(2)
        #expect(text(buffer) == "cdef")
        #expect(buffer[0] == UInt8(ascii: "c"))
        buffer.truncate(to: 3)
        #expect(text(buffer) == "cde")
        buffer.append("X")
        #expect(text(buffer) == "cdeX")
    }

    @Test("Memory goes back when the last byte is consumed, unless it is kept")
    func memory() {
        var buffer = ByteBuffer()
        buffer.append("abc")
        buffer.removeFirst(3, keepingCapacity: true)
        #expect(buffer.capacity > 0)
        buffer.append("abc")
        buffer.removeFirst(3)
        #expect(buffer.capacity == 0)
        buffer.append("abc")
        buffer.removeAll()
        #expect(buffer.capacity == 0)
        #expect(buffer.isEmpty == true)
    }

    @Test("A queue that is fed and drained for long does not grow")
    func queue() {
        var buffer = ByteBuffer()
        var expected: [UInt8] = []
        var random = SplitMix(seed: 7)
        for _ in 0..<20_000 {
            let run = (0..<Int(random.next() % 64)).map { _ in
                UInt8(truncatingIfNeeded: random.next())
            }
            buffer.append(run)
            expected += run
            let taken =
                expected.count < 1 ? 0 : Int(random.next() % UInt64(min(expected.count, 96)))
            buffer.removeFirst(taken, keepingCapacity: true)
            expected.removeFirst(taken)
        }
        #expect(contents(buffer) == expected)
        #expect(buffer.capacity <= 65536)
    }

    @Test("Room reserved once is not allocated again")
    func reserving() {
        var buffer = ByteBuffer()
        buffer.reserve(10_000)
        let capacity = buffer.capacity
        buffer.append([UInt8](repeating: 1, count: 10_000))
        #expect(buffer.capacity == capacity)
        buffer.append([UInt8](repeating: 2, count: capacity))
        #expect(buffer.count == 10_000 + capacity)
    }

    @Test("An error thrown while reading comes out as it is")
    func errors() {
        struct Failure: Error, Equatable {}
        let buffer = ByteBuffer()
        #expect(throws: Failure()) {
            try buffer.withBytes { (_: Span<UInt8>) throws(Failure) -> Int in throw Failure() }
        }
    }
}

@Suite struct FixedTableTests {
    @Test("Elements keep what was written to them")
    func elements() {
        let table = FixedTable(repeating: UInt32(7), count: 100)
        #expect(table.count == 100)
        for index in 0..<100 where index % 3 == 0 { table[index] = UInt32(index) }
        for index in 0..<100 { #expect(table[index] == (index % 3 == 0 ? UInt32(index) : 7)) }
    }

    @Test("A table may have no elements")
    func empty() {
        #expect(FixedTable(repeating: UInt8(0), count: 0).count == 0)
    }

    @Test(
        "A field line is its name, a colon, a space, its value and the line's end",
        arguments: [
            ("a", "", "a: \r\n"), ("accept", "*/*", "accept: */*\r\n"),
            (
                "x", String(repeating: "y", count: 3000),
                "x: \(String(repeating: "y", count: 3000))\r\n"
            ),
        ])
    func fieldLines(name: String, value: String, expected: String) {
        var buffer = ByteBuffer()
        buffer.appendFieldLine(Array(name.utf8).span, Array(value.utf8).span)
        #expect(buffer.withBytes { Array(copying: $0) } == Array(expected.utf8))
    }
}
