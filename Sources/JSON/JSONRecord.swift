/// What a JSON value is.
package enum JSONKind: UInt8, Sendable {
    /// `null`
    case null
    /// `true` or `false`
    case bool
    /// A number.
    case number
    /// A string, or a member's name.
    case string
    /// An array.
    case array
    /// An object.
    case object
}

/// A value of a document, by its place among the records.
package struct JSONNode: Sendable, Equatable {
    /// The outermost value.
    package static var root: JSONNode { JSONNode(0) }

    let index: Int

    init(_ index: Int) {
        self.index = index
    }
}

/// A value, or a member's name, as the document holds it. Records stand in the order of the text: a
/// container before what is in it, a name before its value.
struct JSONRecord: Sendable {
    var kind: JSONKind
    /// Where the value stands in the text; a string without its quotes, unescaped.
    var start: UInt32
    /// How many bytes that are; of a container, how many elements or members it has.
    var count: UInt32
    /// Of a value, the index of the record behind it and all that is in it; of a name, its key.
    var link: UInt32
    /// Where it is written in the source; a string from its opening quote.
    let offset: UInt32
}
