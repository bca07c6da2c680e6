import EventLoop
import Testing

@Suite struct ThreadTests {
    @Test(
        "A thread has its name, as far as the kernel keeps it",
        arguments: [
            ("worker 1", "worker 1"), ("fifteen letters", "fifteen letters"),
            ("sixteen  letters", "sixteen  letter"),
            ("a very long name for a thread", "a very long nam"),
        ])
    func name(_ name: String, _ kept: String) throws {
        let seen = Box("")
        let thread = try Thread.start(name: name) {
            let bytes = (try? Files.read("/proc/thread-self/comm", maxBytes: 64)) ?? []
            seen.value = String(decoding: bytes, as: UTF8.self)
        }
        thread.join()
        #expect(seen.value == kept + "\n")
    }

    @Test("A thread that gives way does so alone", arguments: [Int32(0), 1, 10, 19])
    func niceness(_ niceness: Int32) throws {
        // The 19th field of stat; the second, the thread's name, holds no blank here.
        @Sendable func seen() -> Int32? {
            let bytes = (try? Files.read("/proc/thread-self/stat", maxBytes: 4096)) ?? []
            let fields = bytes.split(separator: UInt8(ascii: " "))
            return fields.count > 18 ? Int32(String(decoding: fields[18], as: UTF8.self)) : nil
        }
        let before = try #require(seen())
        let inside = Box<Int32?>(nil)
        try Thread.start(name: "nice", niceness: niceness) { inside.value = seen() }.join()
        #expect(inside.value == (niceness == 0 ? before : niceness))
        #expect(seen() == before)
    }

    @Test("Joining waits until the work is done")
    func join() throws {
        let count = Box(0)
        let thread = try Thread.start(name: "work") {
            for _ in 0..<100_000 { count.value += 1 }
        }
        thread.join()
        #expect(count.value == 100_000)
    }

    @Test("There is a processor to run on, and random bits differ")
    func facts() {
        #expect(Process.processorCount >= 1)
        #expect(Set((0..<100).map { _ in Process.randomBits() }).count == 100)
    }
}

@Suite struct InstantTests {
    @Test("Far futures stay at the end of time")
    func endOfTime() {
        let end = Instant(nanoseconds: .max)
        let now = Instant.now
        #expect(now.advanced(byMilliseconds: .max) == end)
        #expect(now.advanced(byMilliseconds: .max / 1_000_000) == end)
        #expect(end.advanced(byMilliseconds: 1) == end)
        #expect(now < end && now.advanced(byMilliseconds: 1).milliseconds(since: now) == 1)
    }

    @Test("The clock does not go back, and the wall clock counts milliseconds since 1970")
    func clocks() {
        let instants = (0..<1000).map { _ in Instant.now }
        #expect(instants == instants.sorted())
        // Between 2025 and 2100.
        #expect((1_735_689_600_000...4_102_444_800_000).contains(Instant.unixMilliseconds))
    }
}
