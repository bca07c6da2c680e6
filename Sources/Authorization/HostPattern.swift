import Bytes

/// The host of a route: an exact name or address, `*.x` for one label or more before `x`, or any.
package enum HostPattern: Hashable, Sendable {
    /// This host, in lower case.
    case exact([UInt8])
    /// Every name that ends in a dot and this, in lower case.
    case below([UInt8])
    /// Every host.
    case any

    /// Reads a pattern; nil where it is no host name, address or `*.` and a name. A port is not
    /// part of a host.
    package init?(_ text: String) {
        var bytes = text.utf8.map { ASCII.lowercased($0) }
        let isWildcard = bytes.starts(with: "*.".utf8)
        if isWildcard { bytes.removeFirst(2) }
        if bytes.count > 1, bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
        // RFC 1035, section 2.3.4: 255 octets with the length octets around.
        guard !bytes.isEmpty, bytes.count <= 253 else { return nil }
        if bytes.first == UInt8(ascii: "[") {
            guard !isWildcard, Self.isBracketedAddress(bytes) else { return nil }
        } else {
            guard Self.isName(bytes) else { return nil }
        }
        self = isWildcard ? .below(bytes) : .exact(bytes)
    }

    private static func isBracketedAddress(_ bytes: [UInt8]) -> Bool {
        bytes.count >= 4 && bytes.last == UInt8(ascii: "]")
            && bytes.dropFirst().dropLast().allSatisfy {
                ASCII.hexadecimalValue($0) != nil || $0 == UInt8(ascii: ":")
                    || $0 == UInt8(ascii: ".")
            }
    }

    private static func isName(_ bytes: [UInt8]) -> Bool {
        bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty
                && $0.allSatisfy { byte in
                    ASCII.isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                        || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                }
        }
    }
}
