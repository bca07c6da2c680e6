package import Bytes
package import JSON

/// A claim as the value of a header field, so that no claim can become two fields or two elements.
package enum ClaimFieldValue {
    /// What became of a claim.
    package enum Outcome: Equatable, Sendable {
        /// Its value was appended.
        case written
        /// It sends no field: it is missing, null, empty, an object or nested.
        case none
        /// Its value is longer than `maxBytes`: 403.
        case tooLong
    }

    /// Back ends take fields of 8 KiB, and few take longer ones.
    package static let maxBytes = 8192

    /// Appends a claim's value to a buffer, or leaves the buffer as it was.
    package static func append(
        _ claim: JSONNode?, in claims: JSONDocument, to buffer: inout ByteBuffer
    ) -> Outcome {
        guard let claim else { return .none }
        let start = buffer.count
        guard write(claim, in: claims, to: &buffer), buffer.count > start else {
            buffer.truncate(to: start)
            return .none
        }
        guard buffer.count &- start <= maxBytes else {
            buffer.truncate(to: start)
            return .tooLong
        }
        return .written
    }

    /// Whether a claim's value is longer than `maxBytes`.
    package static func isTooLong(_ claim: JSONNode?, in claims: JSONDocument) -> Bool {
        guard let claim else { return false }
        switch claims.kind(of: claim) {
        case .null, .bool, .number, .object: return false
        // Each octet takes three at most, so that most claims need no closer look.
        case .string where claims.range(of: claim).count <= maxBytes / 3: return false
        case .string, .array: break
        }
        var buffer = ByteBuffer()
        return append(claim, in: claims, to: &buffer) == .tooLong
    }

    /// Whether the claim has a form in which it can be sent.
    private static func write(
        _ claim: JSONNode, in claims: JSONDocument, to buffer: inout ByteBuffer
    ) -> Bool {
        guard case .array = claims.kind(of: claim) else {
            return writeScalar(claim, in: claims, to: &buffer)
        }
        var element = claims.first(in: claim)
        while let one = element {
            guard writeScalar(one, in: claims, to: &buffer) else { return false }
            element = claims.next(after: one, in: claim)
            if element != nil { buffer.append(byte: UInt8(ascii: ",")) }
        }
        return true
    }

    private static func writeScalar(
        _ claim: JSONNode, in claims: JSONDocument, to buffer: inout ByteBuffer
    ) -> Bool {
        let text = claims.text
        switch claims.kind(of: claim) {
        case .string:
            appendText(
                text.span.extracting(claims.range(of: claim)), escapesCommas: true, to: &buffer)
        // Kept as written; 4,096 digits are possible and harmless.
        case .number, .bool: buffer.append(text.span, claims.range(of: claim))
        case .null, .array, .object: return false
        }
        return true
    }

    /// Appends text that somebody else chose: visible ASCII and inner spaces as they are, `%` and
    /// all else as `%XX`. `escapesCommas`: commas too, where they separate elements.
    package static func appendText(
        _ text: Span<UInt8>, escapesCommas: Bool, to buffer: inout ByteBuffer
    ) {
        var inner = 0..<text.count
        while !inner.isEmpty, text[inner.lowerBound] == 0x20 { inner.removeFirst() }
        while !inner.isEmpty, text[inner.upperBound &- 1] == 0x20 { inner.removeLast() }
        for i in 0..<text.count {
            let byte = text[i]
            let isPlain =
                (ASCII.isVisible(byte) || byte == 0x20) && byte != UInt8(ascii: "%")
                && !(escapesCommas && byte == UInt8(ascii: ","))
            if isPlain, inner.contains(i) {
                buffer.append(byte: byte)
            } else {
                buffer.append(byte: UInt8(ascii: "%"))
                buffer.append(byte: upperCaseDigit(byte &>> 4))
                buffer.append(byte: upperCaseDigit(byte & 15))
            }
        }
    }

    private static func upperCaseDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? value &+ 0x30 : value &+ 0x37
    }
}
