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
