import Bytes
import HTTP

/// How long an issuer asks for its answer to be believed (RFC 9111, section 4.2), gathered from the
/// answer's field lines. What is malformed is as if it were not there.
package struct Freshness: Sendable, Equatable {
    /// Shorter wishes would make every proxy a load on the issuer.
    package static let shortest: Int64 = 60_000
    /// Longer ones would hide rotations.
    package static let longest: Int64 = 3_600_000
    /// Numbers of seconds are taken up to this (RFC 9111, section 1.2.2).
    private static let maxSeconds: Int64 = 1 << 31

    private var maxAge: Int64?
    private var mayNotBeReused = false
    private var age: Int64?
    private var date: Int64?
    /// `.min` where the field is there and cannot be read: in the past (RFC 9111, section 5.3).
    private var expires: Int64?

    /// Of an answer without any field line.
    package init() {}

    /// Takes one field line of the answer; those it does not know are nothing to it.
    package mutating func read(_ name: Span<UInt8>, _ value: Span<UInt8>) {
        let value = value.extracting(value.trimmingBlanks(0..<value.count))
        if name.isEqualIgnoringCase(to: "cache-control") {
            readDirectives(value)
        } else if name.isEqualIgnoringCase(to: "age") {
            // Of several the oldest: caches on the way may each have added their own.
            if let seconds = Self.seconds(value) { age = max(age ?? 0, seconds) }
        } else if name.isEqualIgnoringCase(to: "date") {
            date = HTTPDate.unixSeconds(value) ?? date
        } else if name.isEqualIgnoringCase(to: "expires") {
            expires = min(expires ?? .max, HTTPDate.unixSeconds(value) ?? .min)
        }
    }

    /// The time that the issuer asked for, in milliseconds and within bounds; nil where it asked
    /// for none. `unixSeconds` is the time of the answer, for one without `Date`.
    package func lifetime(unixSeconds: Int64) -> Int64? {
        let wanted: Int64
        if mayNotBeReused {
            wanted = 0
        } else if let maxAge {
            wanted = maxAge
        } else if let expires {
            wanted = expires.subtractingSaturated(date ?? unixSeconds)
        } else {
            return nil
        }
        let left = wanted.subtractingSaturated(age ?? 0).multipliedSaturated(by: 1_000)
        return min(max(left, Self.shortest), Self.longest)
    }

    /// RFC 9111, section 5.2.2. `s-maxage` and `private` are for shared caches, which this is not.
    private mutating func readDirectives(_ value: Span<UInt8>) {
        var cursor = ListCursor(0..<value.count)
        while let range = cursor.next(in: value) {
            let directive = value.extracting(range)
            let end = directive.firstIndex(of: UInt8(ascii: "=")) ?? directive.count
            let name = directive.extracting(directive.trimmingBlanks(0..<end))
            if name.isEqualIgnoringCase(to: "no-store") || name.isEqualIgnoringCase(to: "no-cache")
            {
                // `no-cache="field"` is about that field only.
                if end == directive.count { mayNotBeReused = true }
            } else if name.isEqualIgnoringCase(to: "max-age"), end < directive.count {
                let argument = directive.extracting((end + 1)..<directive.count)
                // Of several the shortest: who is careful loses nothing.
                if let seconds = Self.seconds(argument.extracting(Self.unquoted(argument))) {
                    maxAge = min(maxAge ?? .max, seconds)
                }
            }
        }
    }

    /// What stands between the quotes, if there are any. Both forms are to be taken (RFC 9111,
    /// section 5.2).
    private static func unquoted(_ text: Span<UInt8>) -> Range<Int> {
        let quote = UInt8(ascii: "\"")
        let isQuoted = text.count >= 2 && text[0] == quote && text[text.count - 1] == quote
        return isQuoted ? 1..<(text.count - 1) : 0..<text.count
    }

    /// `delta-seconds`: digits alone; nil for anything else, the greatest for what is beyond it.
    private static func seconds(_ text: Span<UInt8>) -> Int64? {
        guard !text.isEmpty else { return nil }
        var number: Int64 = 0
        for i in 0..<text.count {
            guard ASCII.isDigit(text[i]) else { return nil }
            number = min(number * 10 + Int64(text[i] - 0x30), maxSeconds)
        }
        return number
    }
}
