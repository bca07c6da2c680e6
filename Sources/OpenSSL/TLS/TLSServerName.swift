/// Whom a client means to reach. A DNS name is asked for (RFC 6066, section 3) and must be among
/// the certificate's; an address is not asked for and must be among its addresses.
package struct TLSServerName: Sendable, Equatable {
    /// The name without a final dot, or the address without brackets; then a NUL for OpenSSL.
    let octets: [CChar]
    /// Whether it is an address.
    let isAddress: Bool

    /// A host as a URL has it.
    package init(_ host: String) {
        var name = Array(host.utf8)
        if name.first == UInt8(ascii: "["), name.last == UInt8(ascii: "]") {
            name = Array(name.dropFirst().dropLast())
        }
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        isAddress = name.contains(UInt8(ascii: ":")) || Self.endsInNumber(name)
        // A zone says which link to use, nothing about the peer (RFC 6874).
        if isAddress { name = Array(name.prefix { $0 != UInt8(ascii: "%") }) }
        octets = name.map { CChar(bitPattern: $0) } + [0]
    }

    /// Without the NUL.
    var count: Int { octets.count - 1 }

    /// No top-level domain is a number, so such a name can only be an IPv4 address.
    private static func endsInNumber(_ name: [UInt8]) -> Bool {
        let last = name.reversed().prefix { $0 != UInt8(ascii: ".") }
        return !last.isEmpty
            && last.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    }
}
