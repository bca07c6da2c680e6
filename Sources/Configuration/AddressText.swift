import Bytes
import HTTP

/// Addresses as the configuration writes them.
enum AddressText {
    /// A host and a port: `name:80`, `127.0.0.1:80`, `[::1]:80`. The host comes without brackets.
    /// Nil where it is none of these, or where the port is missing and there is no default.
    static func hostAndPort(_ text: String, defaultPort: UInt16? = nil) -> (String, UInt16)? {
        let span = text.utf8Span.span
        guard Authority.isValid(span) else { return nil }
        let isBracketed = text.utf8.first == UInt8(ascii: "[")
        let end =
            isBracketed
            ? span.firstIndex(of: UInt8(ascii: "]")).map { $0 + 1 } ?? span.count
            : span.firstIndex(of: UInt8(ascii: ":")) ?? span.count
        let host = String(decoding: text.utf8.prefix(end), as: UTF8.self)
        let rest = String(decoding: text.utf8.dropFirst(end), as: UTF8.self)
        guard let port = rest.isEmpty ? defaultPort : UInt16(rest.dropFirst()) else { return nil }
        if isBracketed {
            let address = String(host.dropFirst().dropLast())
            return IPAddressText.octets(address)?.count == 16 ? (address, port) : nil
        }
        return isName(host) ? (host, port) : nil
    }

    /// Whether TLS can ask for this name and find it in a certificate: labels of letters, digits,
    /// hyphens and underscores (RFC 6125, section 6.4), with one final dot at most, or an address
    /// without brackets.
    static func isServerName(_ name: String) -> Bool {
        if IPAddressText.octets(name) != nil { return true }
        let labels = (name.hasSuffix(".") ? name.dropLast() : name[...])
            .utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return name.utf8.count <= 254 && isName(name)
            && labels.allSatisfy { label in
                (1...63).contains(label.count)
                    && label.allSatisfy { ASCII.isUnreserved($0) && $0 != UInt8(ascii: "~") }
            }
    }

    /// Digits and dots alone must be an address: some resolvers read `127.1` as one.
    private static func isName(_ host: String) -> Bool {
        if host.utf8.allSatisfy({ ASCII.isDigit($0) || $0 == UInt8(ascii: ".") }) {
            return IPAddressText.octets(host) != nil
        }
        return host.utf8.first != UInt8(ascii: ".")
    }

    /// Why a socket cannot have this path, if it cannot: the system's address has 108 bytes with
    /// the final zero (unix(7)).
    static func faultOfSocketPath(_ path: String) -> String? {
        if path.utf8.contains(0) { return "a socket's path has no NUL" }
        return path.utf8.count > 107 ? "a socket's path has at most 107 bytes" : nil
    }
}
