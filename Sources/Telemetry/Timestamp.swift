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
        let (second, milliseconds) = split(time, by: 1000)
        if second != self.second { set(second) }
        put(milliseconds, at: 20, digits: 3)
        output.append(text.span)
    }

    private mutating func set(_ second: Int64) {
        self.second = second
        let (days, time) = split(second, by: 86_400)
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

    /// The proleptic Gregorian date (Howard Hinnant's `civil_from_days`): years begin in March, so
    /// the leap day is the last, and 400 of them, 146,097 days, repeat.
    private mutating func setDate(_ daysSince1970: Int64) {
        let (era, day) = split(daysSince1970 &+ 719_468, by: 146_097)
        let yearOfEra = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        put(year, at: 0, digits: 4)
        text[4] = UInt8(ascii: "-")
        put(month < 10 ? month + 3 : month - 9, at: 5, digits: 2)
        text[7] = UInt8(ascii: "-")
        put(dayOfYear - (153 * month + 2) / 5 + 1, at: 8, digits: 2)
    }

    /// Division rounded down, with a rest that is not negative.
    private func split(_ value: Int64, by divisor: Int64) -> (quotient: Int64, rest: Int64) {
        let rest = (value % divisor + divisor) % divisor
        return ((value - rest) / divisor, rest)
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
