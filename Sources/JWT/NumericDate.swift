import Bytes
import JSON

/// A point in time of a claim (RFC 7519, section 2), in whole seconds since 1970, bounded so that
/// adding a leeway or taking a difference cannot overflow.
enum NumericDate {
    /// The integers that every JSON implementation keeps exactly (RFC 7493, section 2.2).
    private static let bounds: ClosedRange<Int64> = -(1 << 53)...(1 << 53)

    /// The last whole second not after the time; for an end. Nil when it is no number or out of
    /// bounds.
    static func floor(_ value: JSONValue) -> Int64? {
        guard let number = value.number else { return nil }
        if let seconds = plainSeconds(number.text.utf8Span.span) { return seconds }
        guard let seconds = number.floor, bounds.contains(seconds) else { return nil }
        return seconds
    }

    /// The first whole second not before the time; for a beginning.
    static func ceiling(_ value: JSONValue) -> Int64? {
        guard let number = value.number else { return nil }
        if let seconds = plainSeconds(number.text.utf8Span.span) { return seconds }
        guard let below = number.floor, bounds.contains(below) else { return nil }
        return number.integer == below ? below : below + 1
    }

    /// What nearly all tokens have: up to 15 digits and nothing else.
    private static func plainSeconds(_ text: Span<UInt8>) -> Int64? {
        guard text.count <= 15 else { return nil }
        var seconds: Int64 = 0
        for i in 0..<text.count {
            guard ASCII.isDigit(text[i]) else { return nil }
            seconds = seconds &* 10 &+ Int64(text[i] &- 0x30)
        }
        return seconds
    }
}
