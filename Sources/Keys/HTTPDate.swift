import Bytes

/// `HTTP-date` (RFC 9110, section 5.6.7), in the form of today and the two that must still be read.
enum HTTPDate {
    private static let months = Array("JanFebMarAprMayJunJulAugSepOctNovDec".utf8)

    /// Seconds since 1970, or nil. The day's name is not compared with the date.
    static func unixSeconds(_ text: Span<UInt8>) -> Int64? {
        switch text.count {
        // Sun, 06 Nov 1994 08:49:37 GMT
        case 29 where has(text, ",    ", at: [3, 4, 7, 11, 16]) && endsInGMT(text):
            seconds(
                year: number(text, 12..<16), month: month(text, 8), day: number(text, 5..<7),
                clock: clock(text, 17))
        // Sun Nov  6 08:49:37 1994
        case 24 where has(text, "    ", at: [3, 7, 10, 19]):
            seconds(
                year: number(text, 20..<24), month: month(text, 4), day: day(text, 8),
                clock: clock(text, 11))
        // Sunday, 06-Nov-94 08:49:37 GMT
        default: shortYear(text)
        }
    }

    private static func shortYear(_ text: Span<UInt8>) -> Int64? {
        guard let comma = text.firstIndex(of: UInt8(ascii: ",")), comma <= 9,
            text.count == comma + 24, endsInGMT(text),
            has(text, " -- ", at: [comma + 1, comma + 4, comma + 8, comma + 11]),
            let year = number(text, (comma + 9)..<(comma + 11))
        else { return nil }
        // The nearest century would depend on the clock; such dates are not written any more.
        return seconds(
            year: year < 70 ? 2000 + year : 1900 + year, month: month(text, comma + 5),
            day: number(text, (comma + 2)..<(comma + 4)), clock: clock(text, comma + 12))
    }

    /// Whether these characters stand at these places.
    private static func has(_ text: Span<UInt8>, _ marks: String, at places: [Int]) -> Bool {
        zip(marks.utf8, places).allSatisfy { mark, place in text[place] == mark }
    }

    private static func endsInGMT(_ text: Span<UInt8>) -> Bool {
        text.extracting((text.count - 4)..<text.count).isEqual(to: " GMT")
    }

    private static func seconds(year: Int64?, month: Int64?, day: Int64?, clock: Int64?) -> Int64? {
        guard let year, let month, let day, let clock, (1...31).contains(day) else { return nil }
        return daysSince1970(year: year, month: month, day: day) * 86_400 + clock
    }

    /// Days since 1 January 1970 (Howard Hinnant's `days_from_civil`, for years from 0 on).
    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        // Years begin in March; year 0 of that count would need a year before it.
        let year = year + 400 - (month <= 2 ? 1 : 0)
        let era = year / 400
        let yearOfEra = year % 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era - 1) * 146_097 + dayOfEra - 719_468
    }

    /// Seconds of `08:49:37`; 60 is a leap second.
    private static func clock(_ text: Span<UInt8>, _ start: Int) -> Int64? {
        guard text[start + 2] == UInt8(ascii: ":"), text[start + 5] == UInt8(ascii: ":"),
            let hour = number(text, start..<(start + 2)), hour < 24,
            let minute = number(text, (start + 3)..<(start + 5)), minute < 60,
            let second = number(text, (start + 6)..<(start + 8)), second <= 60
        else { return nil }
        return hour * 3600 + minute * 60 + second
    }

    private static func month(_ text: Span<UInt8>, _ start: Int) -> Int64? {
        for month in 0..<12 {
            let name = months.span.extracting((month * 3)..<(month * 3 + 3))
            if text.extracting(start..<(start + 3)).isEqual(to: name) { return Int64(month) + 1 }
        }
        return nil
    }

    /// A day of which the first digit may be a space.
    private static func day(_ text: Span<UInt8>, _ start: Int) -> Int64? {
        text[start] == 0x20
            ? number(text, (start + 1)..<(start + 2)) : number(text, start..<(start + 2))
    }

    private static func number(_ text: Span<UInt8>, _ range: Range<Int>) -> Int64? {
        var number: Int64 = 0
        for i in range {
            guard ASCII.isDigit(text[i]) else { return nil }
            number = number * 10 + Int64(text[i] - 0x30)
        }
        return number
    }
}
