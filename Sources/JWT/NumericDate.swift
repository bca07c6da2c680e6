import Bytes
import JSON

/// A point in time of a claim (RFC 7519, section 2), in whole seconds since 1970, bounded so that
/// adding a leeway or taking a difference cannot overflow.
enum NumericDate {
    /// The integers that every JSON implementation keeps exactly (RFC 7493, section 2.2).
    private static let bounds: ClosedRange<Int64> = -(1 << 53)...(1 << 53)

    /// The last whole second not after the time; for an end. Nil when it is no number or out of
    /// bounds.
    static func floor(_ node: JSONNode, in claims: JSONDocument) -> Int64? {
        if let seconds = plainSeconds(node, in: claims) { return seconds }
        guard let seconds = claims.number(at: node)?.floor, bounds.contains(seconds) else {
            return nil
        }
        return seconds
    }

    /// The first whole second not before the time; for a beginning.
    static func ceiling(_ node: JSONNode, in claims: JSONDocument) -> Int64? {
        if let seconds = plainSeconds(node, in: claims) { return seconds }
        guard let number = claims.number(at: node), let below = number.floor,
            bounds.contains(below)
        else { return nil }
        return number.integer == below ? below : below + 1
    }

    /// What nearly all tokens have: up to 15 digits and nothing else.
    private static func plainSeconds(_ node: JSONNode, in claims: JSONDocument) -> Int64? {
        guard let range = claims.numberText(at: node) else { return nil }
        let bytes = claims.text
        let text = bytes.span.extracting(range)
        guard text.count <= 15 else { return nil }
        var seconds: Int64 = 0
        for i in 0..<text.count {
            guard ASCII.isDigit(text[i]) else { return nil }
            seconds = seconds &* 10 &+ Int64(text[i] &- 0x30)
        }
        return seconds
    }
}
