/// Up to eight names of one to three bytes each, which are looked for together.
package struct JSONShortNames: Sendable {
    /// Zero, the empty name's key, where there is no further name.
    fileprivate var keys = SIMD8<UInt32>(repeating: 0)

    /// These names, in order.
    package init(_ names: [String]) {
        precondition(names.count <= 8, "more names than are compared at once")
        for (place, name) in names.enumerated() {
            let key = JSONName(name).key
            precondition(key.isWhole && !name.isEmpty, "a name whose key does not say all of it")
            keys[place] = key.word
        }
    }
}

/// Where members of some names stand.
package struct JSONShortMembers: Sendable {
    /// Zero, the outermost value's place, where there is no such member.
    private var places = SIMD8<UInt32>(repeating: 0)

    /// The member of the name at this place among those that were looked for.
    package subscript(_ place: Int) -> JSONNode? {
        let index = places[place]
        return index == 0 ? nil : JSONNode(Int(index))
    }

    init(_ names: JSONShortNames, of object: JSONNode, in records: Span<JSONRecord>) {
        guard case .object = records[object.index].kind else { return }
        let end = Int(records[object.index].end)
        var i = object.index &+ 1
        while i < end {
            let word = records[i].name.key.word
            // The empty name is none of them.
            if word != 0 {
                let key = SIMD8<UInt32>(repeating: word)
                let place = SIMD8<UInt32>(repeating: UInt32(truncatingIfNeeded: i))
                // A member is the first one of its name.
                places.replace(with: place, where: (names.keys .== key) .& (places .== 0))
            }
            i = Int(records[i].end)
        }
    }
}
