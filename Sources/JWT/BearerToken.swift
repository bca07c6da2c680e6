import Bytes
import OpenSSL

/// A bearer token found in an `Authorization` field: syntax only, nothing is known about it yet.
package struct BearerToken: Equatable, Sendable {
    /// Where in the field's value the token stands.
    package let range: Range<Int>

    /// What an `Authorization` field holds.
    package enum Field: Equatable, Sendable {
        /// `Bearer` and something, which `isWellFormed` has yet to look at.
        case bearer(BearerToken)
        /// Credentials of another scheme, which count as no token.
        case otherScheme
        /// Neither: not credentials at all, or `Bearer` with nothing behind it.
        case malformed
    }

    /// Reads the value of one `Authorization` field (RFC 9110, section 11.4; RFC 6750, section
    /// 2.1). The scheme is compared without case.
    package static func read(_ field: Span<UInt8>) -> Field {
        let scheme = field.endOfToken(from: 0)
        guard scheme > 0, scheme == field.count || field[scheme] == UInt8(ascii: " ") else {
            return .malformed
        }
        guard field.extracting(first: scheme).isEqualIgnoringCase(to: "bearer") else {
            return .otherScheme
        }
        var start = scheme
        while start < field.count, field[start] == UInt8(ascii: " ") { start += 1 }
        guard start > scheme, start < field.count else { return .malformed }
        return .bearer(BearerToken(range: start..<field.count))
    }

    /// The first 12 hexadecimal digits of the token's SHA-256: its name in logs where it has
    /// neither `jti` nor subject.
    package static func digestPrefix(of token: Span<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text = ""
        for byte in SHA256.digest(of: token).prefix(6) {
            text.unicodeScalars.append(Unicode.Scalar(digits[Int(byte >> 4)]))
            text.unicodeScalars.append(Unicode.Scalar(digits[Int(byte & 15)]))
        }
        return text
    }

    /// Whether the bytes are a b64token (RFC 6750, section 2.1): at least one character of the
    /// alphabet, then any number of `=`. Separate from `read`, since a token that was found in the
    /// cache, or taken apart, needs no second look.
    package static func isWellFormed(_ token: Span<UInt8>) -> Bool {
        var end = token.count
        while end > 0, token[end - 1] == UInt8(ascii: "=") { end -= 1 }
        return end > 0 && token.extracting(first: end).isBase64Text
    }
}
