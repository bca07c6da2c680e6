import Bytes
import JSON

/// The scopes a token carries: octet strings in the text of its claims, compared exactly.
struct ScopeSet: Sendable {
    /// Where a scope stands in the text.
    private struct Place {
        var start: UInt32 = 0
        var count: UInt32 = 0

        init() {}

        init(_ range: Range<Int>) {
            start = UInt32(truncatingIfNeeded: range.lowerBound)
            count = UInt32(truncatingIfNeeded: range.count)
        }

        var range: Range<Int> { Int(start)..<(Int(start) &+ Int(count)) }
    }

    /// Up to so many need no memory of their own.
    private static let fewScopes = 4

    /// In order of length, then of octets; none twice, none empty. In `few` or, if there were more,
    /// in `many`.
    private var few = InlineArray<4, Place>(repeating: Place())
    private var many: [Place] = []
    /// How many there are.
    private(set) var count = 0

    /// The union over the claims that carry scopes: strings split at U+0020 alone, or arrays of
    /// strings. Anything else in them gives nothing.
    init(_ names: [ClaimName], in claims: JSONDocument) {
        for name in names {
            guard let node = name.value(in: claims) else { continue }
            if let range = claims.string(at: node) {
                addParts(of: range, in: claims.text)
                continue
            }
            var element = claims.first(in: node)
            while let member = element {
                if let range = claims.string(at: member), !range.isEmpty { add(Place(range)) }
                element = claims.next(after: member, in: node)
            }
        }
        if count > 1 { sort(in: claims.text) }
    }

    private mutating func addParts(of range: Range<Int>, in text: [UInt8]) {
        let text = text.span.extracting(first: range.upperBound)
        var start = range.lowerBound
        while start < text.count {
            let end = text.firstIndex(of: UInt8(ascii: " "), from: start) ?? text.count
            if end > start { add(Place(start..<end)) }
            start = end + 1
        }
    }

    private mutating func add(_ place: Place) {
        if count < Self.fewScopes {
            few[count] = place
        } else {
            if many.isEmpty { for i in few.indices { many.append(few[i]) } }
            many.append(place)
        }
        count += 1
    }

    private mutating func sort(in text: [UInt8]) {
        if many.isEmpty { return sortFew(in: text) }
        many.sort { Self.order($0, $1, in: text) < 0 }
        var kept = 1
        for i in 1..<many.count where Self.order(many[i], many[kept - 1], in: text) != 0 {
            many.swapAt(i, kept)
            kept += 1
        }
        many.removeLast(many.count - kept)
        count = kept
    }

    /// Puts each where it belongs among those before it.
    private mutating func sortFew(in text: [UInt8]) {
        var kept = 1
        for i in 1..<count {
            let place = few[i]
            var target = kept
            while target > 0, Self.order(few[target - 1], place, in: text) > 0 { target -= 1 }
            if target > 0, Self.order(few[target - 1], place, in: text) == 0 { continue }
            for later in stride(from: kept, to: target, by: -1) { few[later] = few[later - 1] }
            few[target] = place
            kept += 1
        }
        count = kept
    }

    private func place(_ index: Int) -> Place { many.isEmpty ? few[index] : many[index] }

    private static func order(_ left: Place, _ right: Place, in text: [UInt8]) -> Int {
        if left.count != right.count { return Int(left.count) - Int(right.count) }
        return order(left, text, text.span.extracting(right.range))
    }

    /// How many bytes they occupy beside the set itself.
    var footprint: Int { many.capacity &* MemoryLayout<Place>.stride }

    /// One of them, in order of length.
    func range(at index: Int) -> Range<Int> { place(index).range }

    /// Whether the scope is among them. Allocates nothing.
    func contains(_ scope: Span<UInt8>, in text: [UInt8]) -> Bool {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            let order = Self.order(place(middle), text, scope)
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
