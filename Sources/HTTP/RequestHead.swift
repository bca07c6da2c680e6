internal import Bytes

/// A request's head, parsed in place: offsets into the bytes it was read from (RFC 9112, section
/// 3).
///
/// One instance serves a whole worker; it describes the head that was parsed last.
package final class RequestHead {
    /// The request target's form (RFC 9112, section 3.2).
    package enum TargetForm: Equatable, Sendable {
        /// `/path?query`
        case origin
        /// `http://authority/path?query`
        case absolute
        /// `*`, for OPTIONS only
        case asterisk
        /// `host:port`, for CONNECT only
        case authority
    }

    /// What was found of the current head, in one value: see `FieldSection`.
    private struct Parts {
        var method = 0..<0
        var target = 0..<0
        var form = TargetForm.origin
        var path = 0..<0
        var query = 0..<0
        var authority = 0..<0
        var minorVersion: UInt8 = 1
        var length = 0
    }

    /// The field lines.
    package let fields: FieldSection
    private var parts = Parts()

    /// A head with room for `maxFields` field lines.
    package init(maxFields: Int) {
        fields = FieldSection(sender: .client, maxFields: maxFields)
    }

    /// The method's range.
    package var method: Range<Int> { parts.method }
    /// The range of the whole request target.
    package var target: Range<Int> { parts.target }
    /// The target's form.
    package var form: TargetForm { parts.form }
    /// The path's range: empty in `http://host`, and for the asterisk and authority forms.
    package var path: Range<Int> { parts.path }
    /// The query's range with its `?`, empty where there is none.
    package var query: Range<Int> { parts.query }
    /// The range of the authority: the absolute form's, else `Host`'s value. Empty where HTTP/1.0
    /// names none.
    package var authority: Range<Int> { parts.authority }
    /// The 1 of HTTP/1.1 or the 0 of HTTP/1.0.
    package var minorVersion: UInt8 { parts.minorVersion }
    /// Length of the head, from its first byte to behind the empty line.
    package var length: Int { parts.length }

    /// Parses the head that begins with the first byte. Returns whether it is complete; an error is
    /// found as early as its bytes are there.
    package func parse(_ bytes: Span<UInt8>) throws(MessageError) -> Bool {
        guard let fieldsStart = try parseRequestLine(bytes) else { return false }
        guard let end = try fields.parse(bytes, from: fieldsStart) else { return false }
        parts.length = end
        try checkWhole(bytes)
        return true
    }

    private func checkWhole(_ bytes: Span<UInt8>) throws(MessageError) {
        try fields.validate(bytes, minorVersion: parts.minorVersion)
        try splitTarget(bytes)
        try checkAuthority(bytes)
    }

    /// The same for a head that was composed from fields, whole, with the places of its `lines`.
    /// Without any, or where they do not fit, it is read like every other.
    package func parse(
        _ bytes: Span<UInt8>, lines: Span<FieldLine>
    ) throws(MessageError) -> Bool {
        guard !lines.isEmpty, let fieldsStart = try parseRequestLine(bytes),
            try fields.take(lines, of: bytes, from: fieldsStart)
        else { return try parse(bytes) }
        parts.length = bytes.count
        try checkWhole(bytes)
        return true
    }

    /// How the body is delimited (RFC 9112, section 6.3): a request without framing has none.
    package var framing: BodyFraming {
        if fields.isChunked { return .chunked }
        if let length = fields.contentLength, length > 0 { return .length(length) }
        return .none
    }

    /// Whether the client keeps the connection open for another request.
    package var wantsKeepAlive: Bool {
        if fields.saysClose { return false }
        return parts.minorVersion == 1 || fields.saysKeepAlive
    }

    /// Whether the parts.method is HEAD, whose response has no body.
    package func isHead(_ bytes: Span<UInt8>) -> Bool {
        parts.method.count == 4 && bytes.extracting(parts.method).isEqual(to: "HEAD")
    }

    private func parseRequestLine(_ bytes: Span<UInt8>) throws(MessageError) -> Int? {
        let space = UInt8(ascii: " ")
        let methodEnd = bytes.endOfToken(from: 0)
        guard methodEnd < bytes.count else { return nil }
        guard methodEnd > 0, bytes[methodEnd] == space else { throw .startLine }
        let targetStart = methodEnd &+ 1
        let targetEnd = bytes.endOfVisible(from: targetStart)
        guard targetEnd < bytes.count else { return nil }
        guard targetEnd > targetStart, bytes[targetEnd] == space else { throw .startLine }
        let versionEnd = targetEnd &+ 9
        guard versionEnd &+ 2 <= bytes.count else {
            // The part that is there already has to be one of a request line.
            try RequestHead.checkPartialVersion(bytes.extracting(targetEnd &+ 1..<bytes.count))
            return nil
        }
        parts.minorVersion = try RequestHead.minorVersion(
            bytes.extracting(targetEnd &+ 1..<versionEnd &+ 2))
        parts.method = 0..<methodEnd
        parts.target = targetStart..<targetEnd
        return versionEnd &+ 2
    }

    private static func minorVersion(_ bytes: Span<UInt8>) throws(MessageError) -> UInt8 {
        if bytes.isEqual(to: "HTTP/1.1\r\n") { return 1 }
        if bytes.isEqual(to: "HTTP/1.0\r\n") { return 0 }
        throw .startLine
    }

    private static func checkPartialVersion(_ bytes: Span<UInt8>) throws(MessageError) {
        let expected: InlineArray<10, UInt8> = [72, 84, 84, 80, 47, 49, 46, 49, 13, 10]
        for index in 0..<min(bytes.count, 10) where bytes[index] != expected[index] {
            if index == 7, bytes[index] == UInt8(ascii: "0") { continue }
            throw .startLine
        }
    }

    private func splitTarget(_ bytes: Span<UInt8>) throws(MessageError) {
        let start = parts.target.lowerBound
        let end = parts.target.upperBound
        parts.authority = fields.host >= 0 ? fields[fields.host].value : 0..<0
        parts.query = end..<end
        parts.path = start..<start
        if bytes[start] == UInt8(ascii: "/") {
            parts.form = .origin
            splitPath(bytes, from: start)
        } else if bytes.extracting(parts.method).isEqual(to: "CONNECT") {
            // Never served: 405 whatever the parts.target. Only its shape as a line was checked.
            parts.form = .authority
        } else if parts.target.count == 1, bytes[start] == UInt8(ascii: "*") {
            guard bytes.extracting(parts.method).isEqual(to: "OPTIONS") else { throw .startLine }
            parts.form = .asterisk
        } else {
            try splitAbsolute(bytes)
        }
    }

    private func splitPath(_ bytes: Span<UInt8>, from start: Int) {
        let end = parts.target.upperBound
        let mark = bytes.extracting(start..<end).firstIndex(of: UInt8(ascii: "?"))
        let pathEnd = mark.map { start &+ $0 } ?? end
        parts.path = start..<pathEnd
        parts.query = pathEnd..<end
    }

    /// `http://parts.authority[/parts.path][?parts.query]`; the parts.authority has to be that of
    /// `Host` (RFC 9112, section 3.2.2 lets it win; we refuse instead, so that nobody downstream
    /// can disagree).
    private func splitAbsolute(_ bytes: Span<UInt8>) throws(MessageError) {
        let start = parts.target.lowerBound
        let end = parts.target.upperBound
        var authorityStart = start
        if parts.target.count > 7,
            bytes.extracting(start..<start &+ 7).isEqualIgnoringCase(to: "http://")
        {
            authorityStart = start &+ 7
        } else if parts.target.count > 8,
            bytes.extracting(start..<start &+ 8).isEqualIgnoringCase(to: "https://")
        {
            authorityStart = start &+ 8
        } else {
            throw .startLine
        }
        var authorityEnd = authorityStart
        while authorityEnd < end, bytes[authorityEnd] != UInt8(ascii: "/"),
            bytes[authorityEnd] != UInt8(ascii: "?")
        { authorityEnd &+= 1 }
        parts.form = .absolute
        let named = bytes.extracting(authorityStart..<authorityEnd)
        let isSame =
            fields.host < 0 || bytes.extracting(parts.authority).isEqualIgnoringCase(to: named)
        guard isSame else { throw .host }
        parts.authority = authorityStart..<authorityEnd
        parts.path = authorityEnd..<authorityEnd
        splitPath(bytes, from: authorityEnd)
    }

    /// One `Host` in HTTP/1.1 (RFC 9112, section 3.2), and one that is a host and nothing else.
    private func checkAuthority(_ bytes: Span<UInt8>) throws(MessageError) {
        guard fields.host >= 0 || parts.minorVersion == 0 else { throw .host }
        if fields.host < 0, parts.form != .absolute { return }
        guard Authority.isValid(bytes.extracting(parts.authority)) else { throw .host }
    }
}
