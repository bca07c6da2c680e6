import Bytes

/// A JSON value and where it stood in its text.
///
/// Strings are compared by their UTF-8 (`isExactly`), never by `==`, which takes canonically
/// equivalent texts for the same.
package struct JSONValue: Sendable {
    /// What a value can be.
    package enum Kind: Sendable {
        /// `null`
        case null
        /// `true` or `false`
        case bool(Bool)
        /// A number, as written.
        case number(JSONNumber)
        /// A string, unescaped.
        case string(String)
        /// An array.
        case array([JSONValue])
        /// An object.
        case object(JSONObject)
    }

    /// The offset of the value's first byte.
    package let offset: Int
    /// The value.
    package let kind: Kind

    /// A value that stands at `offset`.
    package init(_ kind: Kind, at offset: Int = 0) {
        self.kind = kind
        self.offset = offset
    }

    /// Whether it is `null`.
    package var isNull: Bool {
        if case .null = kind { return true }
        return false
    }

    /// The Boolean, if it is one.
    package var bool: Bool? {
        if case .bool(let value) = kind { return value }
        return nil
    }

    /// The number, if it is one.
    package var number: JSONNumber? {
        if case .number(let value) = kind { return value }
        return nil
    }

    /// The text, if it is a string.
    package var string: String? {
        if case .string(let value) = kind { return value }
        return nil
    }

    /// The elements, if it is an array.
    package var array: [JSONValue]? {
        if case .array(let value) = kind { return value }
        return nil
    }

    /// The object, if it is one.
    package var object: JSONObject? {
        if case .object(let value) = kind { return value }
        return nil
    }

    /// Whether it is neither an array nor an object.
    package var isScalar: Bool {
        switch kind {
        case .null, .bool, .number, .string: true
        case .array, .object: false
        }
    }
}

extension JSONValue {
    /// Reads a whole text, as strictly as `JSONDocument` does.
    package init(
        parsing text: Span<UInt8>, maxDepth: Int = 32, maxBytes: Int = 1 << 20
    ) throws(JSONError) {
        guard text.count <= maxBytes else { throw JSONError(.tooLarge, at: maxBytes) }
        let document = try JSONDocument(
            parsing: [UInt8](copying: text), maxDepth: maxDepth, maxBytes: maxBytes)
        self = document.value(of: .root)
    }
}

extension JSONValue: Equatable {
    /// Whether both are the same value: types count (1 is not `"1"`), the way a number is written
    /// (1 is 1.0), the order of members and the place in the text do not.
    package static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left.kind, right.kind) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): a.isExactly(b)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }
}

/// An object's members in the order of the text; no name occurs twice.
package struct JSONObject: Sendable {
    /// A name and its value.
    package struct Member: Sendable {
        /// The name, unescaped.
        package let name: String
        /// The offset of the name's opening quote.
        package let nameOffset: Int
        /// What the name is looked for by.
        let key: JSONName.Key
        /// The value.
        package let value: JSONValue

        /// A member.
        package init(name: String, nameOffset: Int = 0, value: JSONValue) {
            self.init(
                name: name, key: .init(name.utf8Span.span), nameOffset: nameOffset, value: value)
        }

        init(name: String, key: JSONName.Key, nameOffset: Int, value: JSONValue) {
            self.name = name
            self.key = key
            self.nameOffset = nameOffset
            self.value = value
        }

        func isNamed(_ other: Span<UInt8>, _ otherKey: JSONName.Key) -> Bool {
            key == otherKey && (key.isWhole || name.isExactly(other))
        }
    }

    /// The members.
    package let members: [Member]

    /// An object of members whose names differ.
    package init(members: [Member] = []) {
        self.members = members
    }

    /// The value of `name`, compared by UTF-8.
    package subscript(_ name: String) -> JSONValue? {
        let name = name.utf8Span
        return value(of: name.span, .init(name.span))
    }

    /// The same for a name that is looked for often.
    package subscript(_ name: JSONName) -> JSONValue? {
        let bytes = name.bytes
        return value(of: bytes.span, name.key)
    }

    private func value(of name: Span<UInt8>, _ key: JSONName.Key) -> JSONValue? {
        // By index: taking a member out counts references of everything in it.
        for i in members.indices where members[i].isNamed(name, key) { return members[i].value }
        return nil
    }
}

extension JSONObject: Equatable {
    /// Whether both have the same names with the same values, in any order.
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        guard left.members.count == right.members.count else { return false }
        return left.members.allSatisfy { right[$0.name] == $0.value }
    }
}
