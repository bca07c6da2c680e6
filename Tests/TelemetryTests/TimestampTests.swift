import Bytes
import Foundation
import Telemetry
import Testing

@Suite struct TimestampTests {
    private func text(_ milliseconds: Int64, _ clock: inout Timestamp) -> String {
        var output = ByteBuffer()
        clock.append(unixMilliseconds: milliseconds, to: &output)
        return output.withBytes { String(decoding: Array(copying: $0), as: UTF8.self) }
    }

    @Test(
        "Times are written as RFC 3339 in UTC",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"), (-1000, "1969-12-31T23:59:59.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
            (Int64.max, "9999-12-31T23:59:59.999Z"), (Int64.min, "0000-01-01T00:00:00.000Z"),
        ])
    func known(milliseconds: Int64, expected: String) {
        var clock = Timestamp()
        #expect(text(milliseconds, &clock) == expected)
        #expect(text(milliseconds, &clock) == expected)
    }

    @Test("Days of 800 years are those that Foundation says")
    func days() {
        var clock = Timestamp()
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        for day in stride(from: Int64(-141_000), to: 150_766, by: 3) {
            let seconds = day * 86_400 + (day * 7919) % 86_400
            let parts = calendar.dateComponents(
                [.year, .month, .day, .hour, .minute, .second],
                from: Date(timeIntervalSince1970: TimeInterval(seconds)))
            let date = [parts.year, parts.month, parts.day].map { $0 ?? 0 }
            let time = [parts.hour, parts.minute, parts.second].map { $0 ?? 0 }
            let written = text(seconds * 1000 + 7, &clock)
            let numbers = written.split { "-T:.Z".contains($0) }.map { Int($0) ?? -1 }
            #expect(numbers == date + time + [7], "\(written)")
        }
    }

    @Test("The second that is kept is left when the time moves, forwards or back")
    func caching() {
        var clock = Timestamp()
        #expect(text(1_999, &clock) == "1970-01-01T00:00:01.999Z")
        #expect(text(2_000, &clock) == "1970-01-01T00:00:02.000Z")
        #expect(text(1_001, &clock) == "1970-01-01T00:00:01.001Z")
    }
}
