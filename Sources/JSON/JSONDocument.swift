import Bytes

/// A JSON text that was read: flat, so that reading one takes two blocks of memory however much
/// stands in it, and nothing is made of values that nobody asks for.
///
/// Strings are compared by their UTF-8, as everywhere here.
package final class JSONDocument: Sendable {
    /// The source, and behind it the strings that were written with escapes, without them.
    package let text: [UInt8]
    private let records: [JSONRecord]
    /// What a reader that was told to let pass names that occur twice and lone surrogates, in the
    /// order of the text.
    package let faults: [JSONError]

    /// Reads a whole text, strictly as RFC 8259 has it and I-JSON (RFC 7493) narrows it: UTF-8
    /// without a byte order mark, no name twice, no lone surrogates, nothing after the value.
    ///
    /// - Parameters:
    ///   - maxDepth: how many containers may stand in one another; at most 256, since those who
    ///     make values of it recurse.
    ///   - maxBytes: how long the text may be.
    ///   - keepsFaults: notes names that occur twice and lone surrogates in `faults` and reads on,
    ///     for a caller who knows what they spoil. A member is the first one of its name.
    package init(
        parsing source: consuming [UInt8], maxDepth: Int = 32, maxBytes: Int = 1 << 20,
        keepsFaults: Bool = false
    ) throws(JSONError) {
        precondition(maxDepth >= 0 && maxDepth <= 256, "deeper than the stack is meant for")
        precondition(maxBytes <= 1 << 30, "longer than the records can say")
        guard source.count <= maxBytes else { throw JSONError(.tooLarge, at: maxBytes) }
        var reader = JSONReader(maxDepth: maxDepth, keepsFaults: keepsFaults)
        try reader.read(source.span)
        if !reader.unescaped.isEmpty { source.append(contentsOf: reader.unescaped) }
        text = source
        records = reader.records
        faults = reader.faults
    }

    /// How many of the faults are in a value, or in anything that stands in it.
    package func countFaults(in node: JSONNode) -> Int {
        if faults.isEmpty { return 0 }
        let start = Int(records[node.index].offset)
        let next = Int(records[node.index].end)
        let end = next < records.count ? records[next].firstOffset : .max
        return faults.count { $0.offset >= start && $0.offset < end }
    }

    /// How many bytes the document occupies beside what every document does.
    package var footprint: Int {
        text.count &+ records.capacity &* MemoryLayout<JSONRecord>.stride
    }

    // MARK: One value

    /// What the value is.
    package func kind(of node: JSONNode) -> JSONKind {
        records[node.index].kind
    }

    /// Whether the value is `null`.
    package func isNull(_ node: JSONNode) -> Bool {
        if case .null = records[node.index].kind { return true }
        return false
    }

    /// Whether the value is an array or an object.
    package func isContainer(_ node: JSONNode) -> Bool {
        switch records[node.index].kind {
        case .array, .object: true
        case .null, .bool, .number, .string: false
        }
    }

    /// Where the text of a string (unescaped, without quotes), number or Boolean (as written)
    /// stands in `text`; empty for others.
    package func range(of node: JSONNode) -> Range<Int> {
        let record = records[node.index]
        switch record.kind {
        case .bool, .number, .string:
            return Int(record.start)..<(Int(record.start) &+ Int(record.count))
        case .null, .array, .object: return 0..<0
        }
    }

    /// Where the text of a number stands in `text`; nil for everything else.
    package func numberText(at node: JSONNode) -> Range<Int>? {
        let record = records[node.index]
        guard case .number = record.kind else { return nil }
        return Int(record.start)..<(Int(record.start) &+ Int(record.count))
    }

    /// Where the text of a string stands in `text`; nil for everything else.
    package func string(at node: JSONNode?) -> Range<Int>? {
        guard let node else { return nil }
        let record = records[node.index]
        guard record.kind == .string else { return nil }
        return Int(record.start)..<(Int(record.start) &+ Int(record.count))
    }

    /// The number, if it is one.
    package func number(at node: JSONNode) -> JSONNumber? {
        guard records[node.index].kind == .number else { return nil }
        return JSONNumber(checked: makeText(range(of: node)))
    }

    /// Whether the value is the same as another: types count (1 is not `"1"`), the way a number is
    /// written (1 is 1.0) and the order of members do not.
    package func isEqual(_ node: JSONNode, to value: JSONValue) -> Bool {
        let record = records[node.index]
        let text = self.text
        switch (record.kind, value.kind) {
        case (.null, .null): return true
        case (.bool, .bool(let other)): return isTrue(record) == other
        case (.number, .number(let other)):
            return other.text.isExactly(text.span.extracting(range(of: node)))
                || number(at: node) == other
        case (.string, .string(let other)):
            return other.isExactly(text.span.extracting(range(of: node)))
        case (.array, .array(let others)):
            guard Int(record.count) == others.count else { return false }
            var element = first(in: node)
            for other in others {
                guard let one = element, isEqual(one, to: other) else { return false }
                element = next(after: one, in: node)
            }
            return true
        case (.object, .object(let other)):
            return Int(record.count) == other.members.count
                && other.members.allSatisfy { member in
                    let name = member.name.utf8Span
                    guard let own = self.member(name.span, member.key, of: node) else {
                        return false
                    }
                    return isEqual(own, to: member.value)
                }
        default: return false
        }
    }

    // MARK: What is in a value

    /// How many elements an array has, or members an object; 0 for others.
    package func count(in node: JSONNode) -> Int {
        let record = records[node.index]
        return record.kind == .array || record.kind == .object ? Int(record.count) : 0
    }

    /// The value of an object's member; nil where there is none, or no object.
    package func member(_ name: JSONName, of object: JSONNode = .root) -> JSONNode? {
        let bytes = name.bytes
        return member(bytes.span, name.key, of: object)
    }

    /// The members of the root that have these names: a single look for all of them.
    package func members(_ names: JSONShortNames) -> JSONShortMembers {
        let own = self.records
        return JSONShortMembers(names, of: .root, in: own.span)
    }

    private func member(
        _ name: Span<UInt8>, _ key: JSONName.Key, of object: JSONNode
    ) -> JSONNode? {
        let (own, text) = (self.records, self.text)
        let records = own.span
        guard case .object = records[object.index].kind else { return nil }
        let end = Int(records[object.index].end)
        var i = object.index &+ 1
        while i < end {
            if records[i].name.key == key,
                key.isWhole || name.isEqual(to: text.span.extracting(records[i].name.range))
            {
                return JSONNode(i)
            }
            i = Int(records[i].end)
        }
        return nil
    }

    /// The first element of an array; nil where there is none, or no array.
    package func first(in array: JSONNode) -> JSONNode? {
        let record = records[array.index]
        return record.kind == .array && record.count > 0 ? JSONNode(array.index &+ 1) : nil
    }

    /// The element after another one of the same array.
    package func next(after element: JSONNode, in array: JSONNode) -> JSONNode? {
        let next = records[element.index].end
        return next < records[array.index].end ? JSONNode(Int(next)) : nil
    }

    // MARK: Values of their own

    /// The value with all that is in it.
    package func value(of node: JSONNode) -> JSONValue {
        let record = records[node.index]
        let offset = Int(record.offset)
        switch record.kind {
        case .null: return JSONValue(.null, at: offset)
        case .bool: return JSONValue(.bool(isTrue(record)), at: offset)
        case .number:
            return JSONValue(.number(JSONNumber(checked: makeText(range(of: node)))), at: offset)
        case .string: return JSONValue(.string(makeText(range(of: node))), at: offset)
        case .array: return JSONValue(.array(elements(of: node)), at: offset)
        case .object: return JSONValue(.object(JSONObject(members: members(of: node))), at: offset)
        }
    }

    private func elements(of array: JSONNode) -> [JSONValue] {
        var elements: [JSONValue] = []
        elements.reserveCapacity(count(in: array))
        var element = first(in: array)
        while let one = element {
            elements.append(value(of: one))
            element = next(after: one, in: array)
        }
        return elements
    }

    private func members(of object: JSONNode) -> [JSONObject.Member] {
        var members: [JSONObject.Member] = []
        members.reserveCapacity(count(in: object))
        let end = Int(records[object.index].end)
        var i = object.index &+ 1
        while i < end {
            let name = records[i].name
            members.append(
                .init(
                    name: makeText(name.range), key: name.key, nameOffset: Int(name.offset),
                    value: value(of: JSONNode(i))))
            i = Int(records[i].end)
        }
        return members
    }

    /// Numbers and Booleans stand as they were written.
    private func isTrue(_ record: JSONRecord) -> Bool {
        text[Int(record.start)] == UInt8(ascii: "t")
    }

    private func makeText(_ range: Range<Int>) -> String {
        let text = self.text
        guard let made = String(validating: text.span.extracting(range)) else {
            preconditionFailure("the reader lets nothing through that is not UTF-8")
        }
        return made
    }
}
