/// Durations and sizes as the configuration writes them: a whole number and a unit.
enum Quantity {
    /// `"250ms"`, `"30s"`, `"10m"`, `"24h"`; nil for anything else.
    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = split(text) else { return nil }
        let factor: Int64
        switch unit {
        case "ms": factor = 1
        case "s": factor = 1000
        case "m": factor = 60_000
        case "h": factor = 3_600_000
        default: return nil
        }
        let (milliseconds, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : .milliseconds(milliseconds)
    }

    /// `"512B"`, `"64KiB"`, `"1MiB"`, `"2GiB"`; nil for anything else.
    static func size(_ text: String) -> Int? {
        guard let (number, unit) = split(text) else { return nil }
        let factor: Int64
        switch unit {
        case "B": factor = 1
        case "KiB": factor = 1 << 10
        case "MiB": factor = 1 << 20
        case "GiB": factor = 1 << 30
        default: return nil
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : Int(bytes)
    }

    /// How messages write a duration.
    static func text(_ duration: Duration) -> String {
        let milliseconds = duration.components.attoseconds / 1_000_000_000_000_000
        if milliseconds != 0 { return "\(duration.components.seconds * 1000 + milliseconds)ms" }
        let seconds = duration.components.seconds
        if seconds > 0, seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        return seconds % 60 == 0 && seconds > 300 ? "\(seconds / 60)m" : "\(seconds)s"
    }

    /// How messages write a size.
    static func text(_ bytes: Int) -> String {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        where bytes > 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)B"
    }

    private static func split(_ text: String) -> (Int64, String)? {
        let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard !digits.isEmpty, digits.count <= 18, let number = Int64(Substring(digits)) else {
            return nil
        }
        return (number, String(text.utf8.dropFirst(digits.count)) ?? "")
    }
}
