import Bytes

/// IP addresses as texts, without asking the system: dotted decimal, and RFC 4291, section 2.2.
package enum IPAddressText {
    /// The four or sixteen octets in network order; nil for anything else, a zone among it.
    package static func octets(_ text: String) -> [UInt8]? {
        text.contains(":") ? version6(text) : version4(text)
    }

    /// The plain form, `::` left out.
    package static func text(_ octets: [UInt8]) -> String {
        if octets.count == 4 { return octets.map { String($0) }.joined(separator: ".") }
        return stride(from: 0, to: octets.count - 1, by: 2)
            .map { String(Int(octets[$0]) << 8 | Int(octets[$0 + 1]), radix: 16) }
            .joined(separator: ":")
    }

    private static func version4(_ text: String) -> [UInt8]? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var octets: [UInt8] = []
        for part in parts {
            // A leading zero means octal to some readers.
            guard (1...3).contains(part.count), part.allSatisfy(ASCII.isDigit),
                part.count == 1 || part.first != UInt8(ascii: "0"),
                let octet = UInt8(Substring(part))
            else { return nil }
            octets.append(octet)
        }
        return octets
    }

    private static func version6(_ text: String) -> [UInt8]? {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        guard halves.count <= 2, let head = groups(halves[0], mayEndIn4: halves.count == 1) else {
            return nil
        }
        if halves.count == 1 { return head.count == 16 ? head : nil }
        guard let tail = groups(halves[1], mayEndIn4: true), head.count + tail.count <= 14 else {
            return nil
        }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    /// The octets of groups between colons, of which the last may be an IPv4 address.
    private static func groups(_ text: Substring, mayEndIn4: Bool) -> [UInt8]? {
        if text.isEmpty { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var octets: [UInt8] = []
        for (i, part) in parts.enumerated() {
            if mayEndIn4, i == parts.count - 1, part.contains(".") {
                guard let address = version4(String(part)) else { return nil }
                octets += address
            } else {
                guard (1...4).contains(part.utf8.count),
                    part.utf8.allSatisfy({ ASCII.hexadecimalValue($0) != nil }),
                    let group = UInt16(part, radix: 16)
                else { return nil }
                octets += [UInt8(group >> 8), UInt8(group & 255)]
            }
        }
        return octets.count <= 16 ? octets : nil
    }
}
