import JSON

/// A point in time of a claim (RFC 7519, section 2), in whole seconds since 1970, bounded so that
/// adding a leeway or taking a difference cannot overflow.
enum NumericDate {
    /// The integers that every JSON implementation keeps exactly (RFC 7493, section 2.2).
    private static let bounds: ClosedRange<Int64> = -(1 << 53)...(1 << 53)

    /// The last whole second not after the time; for an end. Nil when it is no number or out of
    /// bounds.
    static func floor(_ value: JSONValue) -> Int64? {
        guard let seconds = value.number?.floor, bounds.contains(seconds) else { return nil }
        return seconds
    }

    /// The first whole second not before the time; for a beginning.
    static func ceiling(_ value: JSONValue) -> Int64? {
        guard let below = floor(value) else { return nil }
        return value.number?.integer == below ? below : below + 1
    }
}
