internal import Bytes

/// A response's head, parsed in place (RFC 9112, section 4). One instance serves a whole worker.
package final class ResponseHead {
    /// What was found of the current head, in one value: see `FieldSection`.
    private struct Parts {
        var status: UInt16 = 0
        var reason = 0..<0
        var minorVersion: UInt8 = 1
        var length = 0
    }

    /// The field lines.
    package let fields: FieldSection
    private var parts = Parts()

    /// A head with room for `maxFields` field lines.
    package init(maxFields: Int) {
        fields = FieldSection(sender: .upstream, maxFields: maxFields)
    }

    /// The status code, 100 to 599.
    package var status: UInt16 { parts.status }
    /// The range of the reason phrase, possibly empty.
    package var reason: Range<Int> { parts.reason }
    /// The 1 of HTTP/1.1 or the 0 of HTTP/1.0.
    package var minorVersion: UInt8 { parts.minorVersion }
    /// Length of the head, from its first byte to behind the empty line.
    package var length: Int { parts.length }

    /// Parses the head that begins with the first byte. Returns whether it is complete.
    package func parse(_ bytes: Span<UInt8>) throws(MessageError) -> Bool {
        guard let fieldsStart = try parseStatusLine(bytes) else { return false }
        guard let end = try fields.parse(bytes, from: fieldsStart) else { return false }
        parts.length = end
        try checkWhole(bytes)
        return true
    }

    /// The same for a head that was composed from fields, whole, with the places of its `lines`.
    /// Without any, or where they do not fit, it is read like every other.
    package func parse(
        _ bytes: Span<UInt8>, lines: Span<FieldLine>
    ) throws(MessageError) -> Bool {
        guard !lines.isEmpty, let fieldsStart = try parseStatusLine(bytes),
            try fields.take(lines, of: bytes, from: fieldsStart)
        else { return try parse(bytes) }
        parts.length = bytes.count
        try checkWhole(bytes)
        return true
    }

    private func checkWhole(_ bytes: Span<UInt8>) throws(MessageError) {
        try fields.validate(bytes, minorVersion: parts.minorVersion)
        // Announced, but never there (RFC 9110, section 8.6): two readers would not agree where the
        // next response begins.
        if hasNoContentByStatus, let length = fields.contentLength, length > 0 {
            throw .contentLength
        }
    }

    /// Whether this is an interim response (RFC 9110, section 15.2) other than a switch of
    /// protocols.
    package var isInterim: Bool { parts.status < 200 && parts.status != 101 }

    /// How the body is delimited (RFC 9112, section 6.3). `toHead`: the request was HEAD.
    package func framing(toHead: Bool) -> BodyFraming {
        if toHead || hasNoContentByStatus || parts.status == 304 { return .none }
        if fields.isChunked { return .chunked }
        guard let length = fields.contentLength else { return .untilClose }
        return length == 0 ? .none : .length(length)
    }

    /// Whether the upstream keeps the connection open behind this response. One that sends chunks
    /// where there is no content leaves bytes of unclear meaning behind.
    package var wantsKeepAlive: Bool {
        if fields.saysClose || (fields.isChunked && hasNoContentByStatus) { return false }
        return parts.minorVersion == 1 || fields.saysKeepAlive
    }

    /// Statuses whose responses have neither content nor framing fields (RFC 9112, section 6.3).
    private var hasNoContentByStatus: Bool { parts.status < 200 || parts.status == 204 }

    private func parseStatusLine(_ bytes: Span<UInt8>) throws(MessageError) -> Int? {
        // "HTTP/1.1 200" is the least; the parts.reason phrase, and its space, may be missing.
        guard bytes.count >= 12 else {
            try ResponseHead.checkPartial(bytes)
            return nil
        }
        try ResponseHead.checkPartial(bytes.extracting(0..<9))
        parts.minorVersion = bytes[7] &- 0x30
        parts.status = try ResponseHead.status(bytes.extracting(9..<12))
        let end = bytes.endOfFieldValue(from: 12)
        guard end < bytes.count else { return nil }
        guard bytes[end] == UInt8(ascii: "\r") else { throw .startLine }
        guard end &+ 1 < bytes.count else { return nil }
        guard bytes[end &+ 1] == UInt8(ascii: "\n") else { throw .startLine }
        if end > 12 {
            guard bytes[12] == UInt8(ascii: " ") else { throw .startLine }
            parts.reason = 13..<end
        } else {
            parts.reason = 12..<12
        }
        return end &+ 2
    }

    private static func status(_ digits: Span<UInt8>) throws(MessageError) -> UInt16 {
        var status: UInt16 = 0
        for index in 0..<3 {
            guard ASCII.isDigit(digits[index]) else { throw .startLine }
            status = status &* 10 &+ UInt16(digits[index] &- 0x30)
        }
        guard status >= 100, status <= 599 else { throw .startLine }
        return status
    }

    private static func checkPartial(_ bytes: Span<UInt8>) throws(MessageError) {
        let expected: InlineArray<9, UInt8> = [72, 84, 84, 80, 47, 49, 46, 49, 32]
        for index in 0..<min(bytes.count, 9) where bytes[index] != expected[index] {
            if index == 7, bytes[index] == UInt8(ascii: "0") { continue }
            throw .startLine
        }
    }
}
