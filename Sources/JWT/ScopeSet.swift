import Bytes
import JSON

/// The scopes a token carries: octet strings in the text of its claims, compared exactly.
struct ScopeSet: Sendable {
    /// Where a scope stands in the text.
    private struct Place {
        let start: UInt32
        let count: UInt32

        init(_ range: Range<Int>) {
            start = UInt32(truncatingIfNeeded: range.lowerBound)
            count = UInt32(truncatingIfNeeded: range.count)
        }

        var range: Range<Int> { Int(start)..<(Int(start) &+ Int(count)) }
    }

    /// In order of length, then of octets; none twice, none empty.
    private let sorted: [Place]

    /// The union over the claims that carry scopes: strings split at U+0020 alone, or arrays of
    /// strings. Anything else in them gives nothing.
    init(_ names: [ClaimName], in claims: JSONDocument) {
        var scopes: [Place] = []
        for i in names.indices {
            guard let node = names[i].value(in: claims) else { continue }
            if let range = claims.string(at: node) {
                Self.split(range, of: claims.text, into: &scopes)
                continue
            }
            var element = claims.first(in: node)
            while let member = element {
                if let range = claims.string(at: member), !range.isEmpty {
                    scopes.append(Place(range))
                }
                element = claims.next(after: member, in: node)
            }
        }
        if scopes.count > 1 { Self.sort(&scopes, in: claims.text) }
        sorted = scopes
    }

    private static func split(_ range: Range<Int>, of text: [UInt8], into scopes: inout [Place]) {
        let text = text.span.extracting(first: range.upperBound)
        var start = range.lowerBound
        while start < text.count {
            let end = text.firstIndex(of: UInt8(ascii: " "), from: start) ?? text.count
            if end > start { scopes.append(Place(start..<end)) }
            start = end + 1
        }
    }

    private static func sort(_ scopes: inout [Place], in text: [UInt8]) {
        scopes.sort { order($0, text, text.span.extracting($1.range)) < 0 }
        var kept = 1
        for i in 1..<scopes.count
        where order(scopes[i], text, text.span.extracting(scopes[kept - 1].range)) != 0 {
            scopes.swapAt(i, kept)
            kept += 1
        }
        scopes.removeLast(scopes.count - kept)
    }

    /// How many there are.
    var count: Int { sorted.count }

    /// One of them, in order of length.
    func range(at index: Int) -> Range<Int> { sorted[index].range }

    /// Whether the scope is among them. Allocates nothing.
    func contains(_ scope: Span<UInt8>, in text: [UInt8]) -> Bool {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            let order = Self.order(sorted[middle], text, scope)
            if order == 0 { return true }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return false
    }

    /// Below, at or above zero as the scope at `place` stands before, with or after `other`.
    private static func order(_ place: Place, _ text: [UInt8], _ other: Span<UInt8>) -> Int {
        let own = text.span.extracting(place.range)
        if own.count != other.count { return own.count - other.count }
        for i in 0..<own.count where own[i] != other[i] {
            return Int(own[i]) - Int(other[i])
        }
        return 0
    }
}
