/// Which context answers to which name: exact names, then wildcards for one label (RFC 6125,
/// section 6.4.3). Names are lower-case octets; a wildcard keeps its `*`.
struct ServerNames {
    /// Places of contexts by name.
    private let contexts: [[UInt8]: Int]
    private let hasWildcards: Bool

    init(_ contexts: [[UInt8]: Int]) {
        self.contexts = contexts
        hasWildcards = contexts.keys.contains { $0.first == UInt8(ascii: "*") }
    }

    /// The place for a name as a client sent it, or nil.
    func context(for name: Span<UInt8>) -> Int? {
        guard let name = Self.normalised(name), name.first != UInt8(ascii: "*") else { return nil }
        if let place = contexts[name] { return place }
        guard hasWildcards, let wildcard = Self.wildcard(over: name) else { return nil }
        return contexts[wildcard]
    }

    /// Lower-case and without a final dot; nil for what is no DNS name.
    static func normalised(_ name: Span<UInt8>) -> [UInt8]? {
        guard name.count > 0, name.count <= 255 else { return nil }
        var octets: [UInt8] = []
        octets.reserveCapacity(name.count)
        for i in name.indices {
            let octet = name[i]
            guard octet > 0x20, octet < 0x7f else { return nil }
            octets.append(octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet)
        }
        if octets.last == UInt8(ascii: ".") { octets.removeLast() }
        return octets.isEmpty ? nil : octets
    }

    /// `*.example.com` for `a.example.com`; nil where a wildcard would stand for all but one label.
    static func wildcard(over name: [UInt8]) -> [UInt8]? {
        guard let dot = name.firstIndex(of: UInt8(ascii: ".")), dot > 0,
            name[(dot + 1)...].contains(UInt8(ascii: "."))
        else { return nil }
        return [UInt8(ascii: "*")] + name[dot...]
    }
}

/// Identities that answer to the same name with different kinds of keys stand beside each other, so
/// that the client's abilities decide.
struct IdentityGroups {
    /// Places of identities, without repetition.
    private(set) var groups: [[Int]] = []
    /// The place of a group for each name.
    private(set) var names: [[UInt8]: Int] = [:]

    /// Takes each identity's names and kind of key. The first group answers where no name fits.
    init(_ identities: [(names: [[UInt8]], keyType: Int32)]) {
        var members: [[UInt8]: [Int]] = [:]
        for (place, identity) in identities.enumerated() {
            for name in identity.names { members[name, default: []].append(place) }
        }
        func group(_ candidates: [Int]) -> Int {
            var chosen: [Int] = []
            for place in candidates
            where !chosen.contains(where: { identities[$0].keyType == identities[place].keyType }) {
                chosen.append(place)
            }
            if let known = groups.firstIndex(of: chosen) { return known }
            groups.append(chosen)
            return groups.count - 1
        }
        _ = group([0] + (identities[0].names.first.flatMap { members[$0] } ?? []))
        for (name, places) in members {
            names[name] = group(places)
        }
    }
}
