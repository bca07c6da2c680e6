import Bytes
import HTTP

/// An `http` or `https` URL that keys may be fetched from (RFC 3986), read strictly: visible ASCII,
/// no user information, no fragment, a host that a resolver and a certificate both know. Plain
/// data: nothing is looked up here.
package struct FetchURL: Sendable, Hashable {
    /// Longest URL taken.
    package static let maxBytes = 2048

    /// Whether the scheme is `https`.
    package let isSecure: Bool
    /// The name, lower-case, or the address; an IPv6 address without its brackets.
    package let host: String
    /// The port, 80 or 443 where the URL names none.
    package let port: UInt16
    /// Path and query as they are sent; at least `/`.
    package let target: String

    /// Reads an absolute URL; nil for anything else.
    package init?(_ text: String) {
        let bytes = text.utf8Span.span
        guard bytes.count <= Self.maxBytes else { return nil }
        let isSecure = bytes.startsIgnoringCase(with: "https://")
        guard isSecure || bytes.startsIgnoringCase(with: "http://") else { return nil }
        let start = isSecure ? 8 : 7
        var end = start
        while end < bytes.count, !Self.endsAuthority(bytes[end]) { end += 1 }
        guard let (host, port) = Self.hostAndPort(bytes.extracting(start..<end), isSecure) else {
            return nil
        }
        self.init(
            isSecure: isSecure, host: host, port: port,
            target: String(copying: bytes, end..<bytes.count))
    }

    /// A path and query at a place that is known to be right; an empty path becomes `/`.
    private init?(isSecure: Bool, host: String, port: UInt16, target: String) {
        let isBare = target.isEmpty || target.utf8.first == UInt8(ascii: "?")
        let whole = isBare ? "/" + target : target
        let bytes = whole.utf8Span.span
        guard bytes.count <= Self.maxBytes, bytes[0] == UInt8(ascii: "/"),
            Self.isPathAndQuery(bytes)
        else { return nil }
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.target = whole
    }

    /// The URL in one form: scheme and host in lower case, no default port.
    package var text: String { scheme + "://" + authority + target }

    /// What `Host` says of it (RFC 9110, section 7.2).
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// Whether it stays on this machine: `localhost`, 127.0.0.0/8 or `::1`. A name is trusted to be
    /// local only where RFC 6761, section 6.3, reserves it.
    package var isLoopback: Bool {
        if host == "localhost" || host == "localhost." { return true }
        guard let octets = IPAddressText.octets(host) else { return false }
        return octets.count == 4
            ? octets[0] == 127 : octets == [UInt8](repeating: 0, count: 15) + [1]
    }

    /// Whether scheme, host and port are the same (RFC 6454, section 4).
    package func hasSameOrigin(as other: FetchURL) -> Bool {
        isSecure == other.isSecure && port == other.port && host.isExactly(other.host)
    }

    /// Where a reference leads from here (RFC 3986, section 5.2): an absolute URL, another
    /// authority, a path or a query. Nil where that is no URL to fetch. A fragment is dropped:
    /// `Location` may have one (RFC 9110, section 10.2.2), and it is never sent.
    package func resolving(_ reference: String) -> FetchURL? {
        guard reference.utf8.count <= Self.maxBytes else { return nil }
        let reference = String(reference.prefix { $0 != "#" })
        let bytes = reference.utf8Span.span
        if bytes.count == 0 { return self }
        if Self.hasScheme(bytes) { return FetchURL(reference) }
        if reference.hasPrefix("//") { return FetchURL(scheme + ":" + reference) }
        let path = target.prefix { $0 != "?" }
        switch bytes[0] {
        case UInt8(ascii: "/"): return moved(to: reference)
        case UInt8(ascii: "?"): return moved(to: path + reference)
        default:
            let folder = path.lastIndex(of: "/").map { path[...$0] } ?? "/"
            return moved(to: folder + reference)
        }
    }

    private var scheme: String { isSecure ? "https" : "http" }

    private func moved(to target: String) -> FetchURL? {
        let path = target.prefix { $0 != "?" }
        let whole = Self.removingDotSegments(path) + target.dropFirst(path.count)
        return FetchURL(isSecure: isSecure, host: host, port: port, target: whole)
    }

    /// RFC 3986, section 5.2.4, for a path that begins with a slash.
    private static func removingDotSegments(_ path: Substring) -> String {
        var kept: [Substring] = []
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        for (index, segment) in segments.enumerated() {
            let isDot = segment == "." || segment == ".."
            if segment == ".." { _ = kept.popLast() }
            if !isDot { kept.append(segment) }
            if isDot, index == segments.count - 1 { kept.append("") }
        }
        return "/" + kept.joined(separator: "/")
    }
}

extension FetchURL {
    private static func endsAuthority(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#")
    }

    private static func hostAndPort(
        _ bytes: Span<UInt8>, _ isSecure: Bool
    ) -> (String, UInt16)? {
        // Beside its other rules this refuses `@`, so user information never hides the host.
        guard Authority.isValid(bytes) else { return nil }
        let isBracketed = bytes[0] == UInt8(ascii: "[")
        let end =
            isBracketed
            ? bytes.firstIndex(of: UInt8(ascii: "]")).map { $0 + 1 } ?? bytes.count
            : bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.count
        let port: UInt16
        if end == bytes.count {
            port = isSecure ? 443 : 80
        } else {
            guard let number = UInt16(String(copying: bytes, (end + 1)..<bytes.count)),
                number > 0
            else { return nil }
            port = number
        }
        let name = isBracketed ? 1..<(end - 1) : 0..<end
        let host = String(copying: bytes, name).lowercased()
        if isBracketed { return IPAddressText.octets(host)?.count == 16 ? (host, port) : nil }
        return isName(host) ? (host, port) : nil
    }

    /// Labels of letters, digits, hyphens and underscores; a last label without letters makes it an
    /// address, which some resolvers read in more forms than one (`127.1`, `0x7f.1`).
    private static func isName(_ host: String) -> Bool {
        let labels = (host.hasSuffix(".") ? host.dropLast() : host[...])
            .utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard let last = labels.last, let first = last.first else { return false }
        if ASCII.isDigit(first) { return IPAddressText.octets(host)?.count == 4 }
        return labels.allSatisfy { label in
            (1...63).contains(label.count) && !label.contains(UInt8(ascii: "~"))
        }
    }

    /// Whether all characters are those of a path and a query (RFC 3986, section 3.3 and 3.4), with
    /// whole escapes.
    private static func isPathAndQuery(_ bytes: Span<UInt8>) -> Bool {
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "%") {
                guard bytes.count - index > 2, ASCII.hexadecimalValue(bytes[index + 1]) != nil,
                    ASCII.hexadecimalValue(bytes[index + 2]) != nil
                else { return false }
                index += 3
                continue
            }
            // `unreserved`, `sub-delims`, `:`, `@`, `/` and `?`.
            guard ASCII.isMember(byte, 0xafff_ffd2_0000_0000, 0x47ff_fffe_87ff_ffff) else {
                return false
            }
            index += 1
        }
        return true
    }

    /// Whether a reference begins with a scheme (RFC 3986, section 3.1): letters before a colon,
    /// with no slash or query before it.
    private static func hasScheme(_ bytes: Span<UInt8>) -> Bool {
        for index in 0..<bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: ":") { return true }
            if endsAuthority(byte) { return false }
        }
        return false
    }
}

extension FetchURL: CustomStringConvertible {
    /// The URL's text.
    package var description: String { text }
}

extension String {
    /// A part of bytes that were found to be ASCII, or are to be judged by what reads the text.
    fileprivate init(copying bytes: Span<UInt8>, _ range: Range<Int>) {
        self = String(validating: bytes.extracting(range)) ?? "\u{fffd}"
    }
}

extension Span where Element == UInt8 {
    fileprivate func startsIgnoringCase(with lowercase: StaticString) -> Bool {
        let length = lowercase.utf8CodeUnitCount
        return count >= length
            && extracting(first: length).isEqualIgnoringCase(to: lowercase)
    }
}
