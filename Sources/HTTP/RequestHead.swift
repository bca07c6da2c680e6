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

    /// The field lines.
    package let fields: FieldSection
    /// The method's range.
    package private(set) var method = 0..<0
    /// The range of the whole request target.
    package private(set) var target = 0..<0
    /// The target's form.
    package private(set) var form = TargetForm.origin
    /// The path's range: empty in `http://host`, and for the asterisk and authority forms.
    package private(set) var path = 0..<0
    /// The query's range with its `?`, empty where there is none.
    package private(set) var query = 0..<0
    /// The range of the authority: the absolute form's, else `Host`'s value. Empty where HTTP/1.0
    /// names none.
    package private(set) var authority = 0..<0
    /// The 1 of HTTP/1.1 or the 0 of HTTP/1.0.
    package private(set) var minorVersion: UInt8 = 1
    /// Length of the head, from its first byte to behind the empty line.
    package private(set) var length = 0

    /// A head with room for `maxFields` field lines.
    package init(maxFields: Int) {
        fields = FieldSection(sender: .client, maxFields: maxFields)
    }

    /// Parses the head that begins with the first byte. Returns whether it is complete; an error is
    /// found as early as its bytes are there.
    package func parse(_ bytes: Span<UInt8>) throws(MessageError) -> Bool {
        guard let fieldsStart = try parseRequestLine(bytes) else { return false }
        guard let end = try fields.parse(bytes, from: fieldsStart) else { return false }
        length = end
        try fields.validate(bytes, minorVersion: minorVersion)
        try splitTarget(bytes)
        try checkAuthority(bytes)
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
        return minorVersion == 1 || fields.saysKeepAlive
    }

    /// Whether the method is HEAD, whose response has no body.
    package func isHead(_ bytes: Span<UInt8>) -> Bool {
        method.count == 4 && bytes.extracting(method).isEqual(to: "HEAD")
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
        minorVersion = try RequestHead.minorVersion(
            bytes.extracting(targetEnd &+ 1..<versionEnd &+ 2))
        method = 0..<methodEnd
        target = targetStart..<targetEnd
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
        let start = target.lowerBound
        let end = target.upperBound
        authority = fields.host >= 0 ? fields[fields.host].value : 0..<0
        query = end..<end
        path = start..<start
        if bytes[start] == UInt8(ascii: "/") {
            form = .origin
            splitPath(bytes, from: start)
        } else if bytes.extracting(method).isEqual(to: "CONNECT") {
            // Never served: 405 whatever the target. Only its shape as a line was checked.
            form = .authority
        } else if target.count == 1, bytes[start] == UInt8(ascii: "*") {
            guard bytes.extracting(method).isEqual(to: "OPTIONS") else { throw .startLine }
            form = .asterisk
        } else {
            try splitAbsolute(bytes)
        }
    }

    private func splitPath(_ bytes: Span<UInt8>, from start: Int) {
        let end = target.upperBound
        let mark = bytes.extracting(start..<end).firstIndex(of: UInt8(ascii: "?"))
        let pathEnd = mark.map { start &+ $0 } ?? end
        path = start..<pathEnd
        query = pathEnd..<end
    }

    /// `http://authority[/path][?query]`; the authority has to be that of `Host` (RFC 9112,
    /// section 3.2.2 lets it win; we refuse instead, so that nobody downstream can disagree).
    private func splitAbsolute(_ bytes: Span<UInt8>) throws(MessageError) {
        let start = target.lowerBound
        let end = target.upperBound
        var authorityStart = start
        if target.count > 7, bytes.extracting(start..<start &+ 7).isEqualIgnoringCase(to: "http://")
        {
            authorityStart = start &+ 7
        } else if target.count > 8,
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
        form = .absolute
        let named = bytes.extracting(authorityStart..<authorityEnd)
        let isSame = fields.host < 0 || bytes.extracting(authority).isEqualIgnoringCase(to: named)
        guard isSame else { throw .host }
        authority = authorityStart..<authorityEnd
        path = authorityEnd..<authorityEnd
        splitPath(bytes, from: authorityEnd)
    }

    /// One `Host` in HTTP/1.1 (RFC 9112, section 3.2), and one that is a host and nothing else.
    private func checkAuthority(_ bytes: Span<UInt8>) throws(MessageError) {
        guard fields.host >= 0 || minorVersion == 0 else { throw .host }
        if fields.host < 0, form != .absolute { return }
        guard Authority.isValid(bytes.extracting(authority)) else { throw .host }
    }
}
