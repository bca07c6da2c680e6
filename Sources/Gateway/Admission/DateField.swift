internal import Bytes
internal import Telemetry

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
        let (days, time) = unixSeconds.split(by: 86_400)
        let date = CivilDate(daysSince1970: days)
        let weekday = weekdays[Int(days.split(by: 7).rest)]
        let clock = "\(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60))"
        return
            "\(weekday), \(two(date.day)) \(months[Int(date.month) - 1]) \(date.year) \(clock) GMT"
    }

    /// 1 January 1970 was a Thursday.
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func two(_ number: Int64) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
