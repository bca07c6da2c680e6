import Bytes
import JSON

/// The scopes a token carries: octet strings, compared exactly.
package struct ScopeSet: Sendable, Equatable {
    /// In order of length, then of octets; none twice, none empty.
    package let sorted: [[UInt8]]

    /// The union over the claims that carry scopes: strings split at U+0020 alone, or arrays of
    /// strings. Anything else in them gives nothing.
    init(_ names: [ClaimName], in claims: JSONObject) {
        var scopes: [[UInt8]] = []
        for name in names {
            guard let value = name.value(in: claims) else { continue }
            if let text = value.string {
                Self.split(text.utf8Span.span, into: &scopes)
            } else if let array = value.array {
                for member in array {
                    if let text = member.string, !text.isEmpty { scopes.append(Array(text.utf8)) }
                }
            }
        }
        if scopes.count > 1 {
            scopes.sort { Self.order($0.span, $1.span) < 0 }
            var kept = 1
            for i in 1..<scopes.count where scopes[i] != scopes[kept - 1] {
                scopes.swapAt(i, kept)
                kept += 1
            }
            scopes.removeLast(scopes.count - kept)
        }
        sorted = scopes
    }

    private static func split(_ text: Span<UInt8>, into scopes: inout [[UInt8]]) {
        var start = 0
        while start < text.count {
            let end = text.firstIndex(of: UInt8(ascii: " "), from: start) ?? text.count
            if end > start { scopes.append([UInt8](copying: text.extracting(start..<end))) }
            start = end + 1
        }
    }

    /// Whether the scope is among them. Allocates nothing.
    package func contains(_ scope: Span<UInt8>) -> Bool {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            let candidate = sorted[middle]
            let order = Self.order(candidate.span, scope)
            if order == 0 { return true }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return false
    }

    /// Below, at or above zero as `left` stands before, with or after `right`.
    private static func order(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Int {
        if left.count != right.count { return left.count - right.count }
        for i in 0..<left.count where left[i] != right[i] {
            return Int(left[i]) - Int(right[i])
        }
        return 0
    }
}
