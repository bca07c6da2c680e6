package import Bytes

/// Writes points in time as RFC 3339 with milliseconds in UTC: `2026-01-31T23:59:59.123Z`.
///
/// Keeps the text of the second written last: within it only the milliseconds change. One serves a
/// whole worker.
package struct Timestamp: Sendable {
    private var second = Int64.min
    private var text: InlineArray<24, UInt8> = .init(repeating: UInt8(ascii: "0"))

    /// A timestamp that has written nothing yet.
    package init() {}

    /// Appends the time, milliseconds since 1970; times outside of the years 0 to 9999, which the
    /// format cannot tell, as the nearest that it can.
    package mutating func append(unixMilliseconds: Int64, to output: inout ByteBuffer) {
        let time = min(max(unixMilliseconds, -62_167_219_200_000), 253_402_300_799_999)
        let (second, milliseconds) = time.split(by: 1000)
        if second != self.second { set(second) }
        put(milliseconds, at: 20, digits: 3)
        output.append(text.span)
    }

    private mutating func set(_ second: Int64) {
        self.second = second
        let (days, time) = second.split(by: 86_400)
        setDate(days)
        text[10] = UInt8(ascii: "T")
        put(time / 3600, at: 11, digits: 2)
        text[13] = UInt8(ascii: ":")
        put(time / 60 % 60, at: 14, digits: 2)
        text[16] = UInt8(ascii: ":")
        put(time % 60, at: 17, digits: 2)
        text[19] = UInt8(ascii: ".")
        text[23] = UInt8(ascii: "Z")
    }

    private mutating func setDate(_ daysSince1970: Int64) {
        let date = CivilDate(daysSince1970: daysSince1970)
        put(date.year, at: 0, digits: 4)
        text[4] = UInt8(ascii: "-")
        put(date.month, at: 5, digits: 2)
        text[7] = UInt8(ascii: "-")
        put(date.day, at: 8, digits: 2)
    }

    private mutating func put(_ value: Int64, at start: Int, digits: Int) {
        var rest = value
        var index = start + digits
        while index > start {
            index -= 1
            text[index] = UInt8(truncatingIfNeeded: rest % 10) &+ 0x30
            rest /= 10
        }
    }
}
