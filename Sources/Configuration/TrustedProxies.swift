import HTTP

/// The peers whose forwarding fields are believed.
package struct TrustedProxies: Equatable, Sendable {
    /// The networks.
    private var networks: [AddressRange] = []
    /// Whether a peer on a unix socket is believed.
    package private(set) var includesUnix = false

    /// Nobody.
    package init() {}

    mutating func add(_ network: AddressRange) { networks.append(network) }

    mutating func addUnix() { includesUnix = true }

    /// Whether nobody is believed.
    package var isEmpty: Bool { networks.isEmpty && !includesUnix }

    /// Whether the address, of four or sixteen octets in network order, is believed. An IPv4
    /// address in its IPv6 coat (`::ffff:a.b.c.d`, RFC 4291, section 2.5.5.2) is taken for the
    /// IPv4 one.
    package func contains(_ address: Span<UInt8>) -> Bool {
        let isMapped = address.count == 16 && AddressRange.isMapped(address)
        let octets = isMapped ? address.extracting(12..<16) : address
        for i in networks.indices where networks[i].contains(octets) { return true }
        return false
    }
}

/// A network (RFC 4632, section 3.1; RFC 4291, section 2.3): an address and how many of its bits
/// count.
struct AddressRange: Equatable, Sendable {
    enum Fault: Error, Equatable {
        case notAnAddress
        case prefixLength
        /// Bits beyond the prefix are set; with them cleared it reads so.
        case hostBits(String)
    }

    private let octets: [UInt8]
    private let bits: Int

    /// Reads `"10.0.0.0/8"`, `"2001:db8::/32"` or a single address.
    init(_ text: String) throws(Fault) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let octets = IPAddressText.octets(parts[0]) else {
            throw .notAnAddress
        }
        var bits = octets.count * 8
        if parts.count == 2 {
            let digits = parts[1].utf8
            guard !digits.isEmpty, digits.count <= 3, digits.allSatisfy({ $0 &- 0x30 < 10 }),
                let number = Int(parts[1]), number <= bits
            else { throw .prefixLength }
            bits = number
        }
        let masked = Self.mask(octets, bits)
        guard masked == octets else { throw .hostBits("\(IPAddressText.text(masked))/\(bits)") }
        self.octets = octets
        self.bits = bits
    }

    func contains(_ address: Span<UInt8>) -> Bool {
        guard address.count == octets.count else { return false }
        let whole = bits / 8
        for i in 0..<whole where address[i] != octets[i] { return false }
        let rest = bits % 8
        if rest == 0 { return true }
        return (address[whole] ^ octets[whole]) &>> UInt8(8 - rest) == 0
    }

    static func isMapped(_ address: Span<UInt8>) -> Bool {
        for i in 0..<10 where address[i] != 0 { return false }
        return address[10] == 0xff && address[11] == 0xff
    }

    private static func mask(_ octets: [UInt8], _ bits: Int) -> [UInt8] {
        octets.enumerated().map { i, octet in
            let kept = min(8, max(0, bits - i * 8))
            return kept == 8 ? octet : octet & ~(0xff >> UInt8(kept))
        }
    }
}
