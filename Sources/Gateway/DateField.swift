internal import Bytes

/// The `Date` field (RFC 9110, section 6.6.1), written once a second.
struct DateField {
    private var second: Int64 = -1
    private var line: [UInt8] = []

    /// Brings the field up to date; a comparison where the second is the same.
    mutating func update(unixSeconds: Int64) {
        if unixSeconds == second { return }
        second = unixSeconds
        line = Array("Date: \(DateField.text(unixSeconds))\r\n".utf8)
    }

    func append(to output: inout ByteBuffer) {
        output.append(line)
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    static func text(_ unixSeconds: Int64) -> String {
        let days = unixSeconds / 86400
        let rest = Int(unixSeconds % 86400)
        let (year, month, day) = civil(days)
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][Int(days % 7)]
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let time = "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))"
        return "\(weekday), \(two(day)) \(months[month - 1]) \(year) \(time) GMT"
    }

    private static func two(_ number: Int) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }

    /// Days since 1970 as a date of the Gregorian calendar, by eras of 400 years.
    private static func civil(_ days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = Int(days) + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
