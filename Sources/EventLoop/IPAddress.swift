internal import Glibc

/// An IPv4 or IPv6 address.
package enum IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// Four octets, the first in the highest bits.
    case v4(UInt32)
    /// Sixteen octets, the first in the highest bits of `high`.
    case v6(high: UInt64, low: UInt64)

    /// Reads dotted decimal, or the text form of RFC 4291 without zone and brackets.
    package init?(_ text: String) {
        // C would see the text end there.
        if text.utf8.contains(0) { return nil }
        var v4 = in_addr()
        var v6 = in6_addr()
        // `inet_pton` reads the terminated copy of `text` and fills a local of the family's size.
        if unsafe inet_pton(AF_INET, text, &v4) == 1 {
            self = .v4(UInt32(bigEndian: v4.s_addr))
        } else if unsafe inet_pton(AF_INET6, text, &v6) == 1 {
            self = IPAddress(v6)
        } else {
            return nil
        }
    }

    init(_ address: in6_addr) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        // An in6_addr is sixteen bytes.
        unsafe withUnsafeBytes(of: address) { bytes in
            unsafe high = bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self).bigEndian
            unsafe low = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self).bigEndian
        }
        self = .v6(high: high, low: low)
    }

    /// An IPv4 address in its IPv6 coat (`::ffff:a.b.c.d`) as plain IPv4; any other as it is.
    package var unmapped: IPAddress {
        guard case .v6(0, let low) = self, low &>> 32 == 0xffff else { return self }
        return .v4(UInt32(truncatingIfNeeded: low))
    }

    /// The octets: four or sixteen.
    package var octets: [UInt8] {
        switch self {
        case .v4(let bits): (0..<4).map { UInt8(truncatingIfNeeded: bits &>> UInt32(24 - 8 * $0)) }
        case .v6(let high, let low):
            (0..<16).map { index in
                let word = index < 8 ? high : low
                return UInt8(truncatingIfNeeded: word &>> UInt64(56 - 8 * (index % 8)))
            }
        }
    }

    /// The usual text form, without brackets.
    package var description: String {
        switch self {
        case .v4(let bits):
            return "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
        case .v6:
            var address = native6
            // The buffer has INET6_ADDRSTRLEN bytes, which any IPv6 text and its end fit in.
            return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 46) { buffer in
                guard let base = buffer.baseAddress,
                    unsafe inet_ntop(AF_INET6, &address, base, 46) != nil
                else { return "::" }
                return unsafe String(cString: base)
            }
        }
    }

    var native6: in6_addr {
        var address = in6_addr()
        let octets = self.octets
        unsafe withUnsafeMutableBytes(of: &address) { target in
            for (index, octet) in octets.prefix(target.count).enumerated() {
                unsafe target[index] = octet
            }
        }
        return address
    }
}
