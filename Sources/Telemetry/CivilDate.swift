/// A day of the proleptic Gregorian calendar, for log lines and `Date` fields.
package struct CivilDate: Equatable, Sendable {
    /// The year, 0 for 1 BC.
    package let year: Int64
    /// The month, 1 to 12.
    package let month: Int64
    /// The day of the month, 1 to 31.
    package let day: Int64

    /// The date that is a number of days after 1 January 1970, or before it (Howard Hinnant's
    /// `civil_from_days`): years begin in March, so the leap day is the last, and 400 of them,
    /// 146,097 days, repeat.
    package init(daysSince1970: Int64) {
        let (era, day) = (daysSince1970 &+ 719_468).split(by: 146_097)
        let yearOfEra = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        self.month = month < 10 ? month + 3 : month - 9
        self.day = dayOfYear - (153 * month + 2) / 5 + 1
    }
}

extension Int64 {
    /// Division rounded down, with a rest that is not negative.
    package func split(by divisor: Int64) -> (quotient: Int64, rest: Int64) {
        let rest = (self % divisor + divisor) % divisor
        return ((self - rest) / divisor, rest)
    }
}
