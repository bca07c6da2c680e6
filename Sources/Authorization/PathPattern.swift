import Bytes
package import HTTP

/// The path of a route: literal segments, `{name}` for one whole segment, a last `/**` for the path
/// itself and all below it.
package struct PathPattern: Hashable, Sendable {
    /// One segment of a pattern.
    package enum Segment: Hashable, Sendable {
        /// These octets, in canonical form. The last segment may be empty: a final slash counts.
        case literal([UInt8])
        /// Any one segment that is not empty.
        case any
    }

    /// Why a text is no pattern.
    package enum Fault: Error, Equatable, Sendable {
        /// It does not begin with `/`.
        case notAbsolute
        /// It has a query or fragment.
        case query
        /// A `*` elsewhere than as the whole last segment `**`.
        case wildcard
        /// Braces that are not around a whole segment, or around no name.
        case braces
        /// More segments than `maxSegments`.
        case tooManySegments
        /// No request has this path, since it would be refused.
        case refused(CanonicalPath.Fault)
        /// Requests are matched in another form: this one.
        case notCanonical(String)
        /// Requests with this path are refused unless the route allows these quirks.
        case quirks(PathQuirks)
    }

    /// Matching descends once for each segment; nobody's API is deeper.
    package static let maxSegments = 64

    /// The segments before a final `/**`.
    package let segments: [Segment]
    /// Whether a `/**` ends it.
    package let coversBelow: Bool

    /// Reads a pattern; `quirks` are what the route's `unsafePaths` allow.
    package init(_ text: String, allowing quirks: PathQuirks = []) throws(Fault) {
        guard text.utf8.first == UInt8(ascii: "/") else { throw .notAbsolute }
        if text.utf8.contains(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }) {
            throw .query
        }
        var parts = text.utf8.dropFirst().split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false
        ).map { [UInt8]($0) }
        guard parts.count <= Self.maxSegments else { throw .tooManySegments }
        coversBelow = parts.last == Array("**".utf8)
        if coversBelow { parts.removeLast() }
        var segments: [Segment] = []
        for part in parts { segments.append(try Self.segment(part)) }
        self.segments = segments
        try Self.checkLiterals(segments, coversBelow, allowing: quirks)
    }

    private static func segment(_ part: [UInt8]) throws(Fault) -> Segment {
        if part.contains(UInt8(ascii: "*")) { throw .wildcard }
        guard part.contains(where: { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") }) else {
            return .literal(part)
        }
        let name = part.dropFirst().dropLast()
        guard part.first == UInt8(ascii: "{"), part.last == UInt8(ascii: "}"), !name.isEmpty,
            name.allSatisfy({ ASCII.isUnreserved($0) })
        else { throw .braces }
        return .any
    }

    /// Judges the pattern like a request's path, with `x` for each name.
    private static func checkLiterals(
        _ segments: [Segment], _ coversBelow: Bool, allowing quirks: PathQuirks
    ) throws(Fault) {
        var sample: [UInt8] = []
        for segment in segments {
            sample.append(UInt8(ascii: "/"))
            switch segment {
            case .literal(let bytes): sample += bytes
            case .any: sample.append(UInt8(ascii: "x"))
            }
        }
        if coversBelow { sample += Array("/x".utf8) }
        var buffer = ByteBuffer()
        switch CanonicalPath(of: sample.span, rewritingInto: &buffer) {
        case .refused(let fault):
            throw .refused(fault)
        case .rewritten:
            throw .notCanonical(
                buffer.withBytes { String(decoding: [UInt8](copying: $0), as: UTF8.self) })
        case .asReceived(let found):
            let unallowed = found.subtracting(quirks)
            if !unallowed.isEmpty { throw .quirks(unallowed) }
        }
    }
}
