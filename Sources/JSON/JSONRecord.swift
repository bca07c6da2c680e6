/// What a JSON value is.
package enum JSONKind: UInt8, Sendable {
    /// `null`
    case null
    /// `true` or `false`
    case bool
    /// A number.
    case number
    /// A string.
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

/// A value as the document holds it, with its name where it is a member. Records stand in the order
/// of the text, a container before what is in it.
struct JSONRecord: Sendable {
    var kind: JSONKind
    var name = JSONMemberName()
    /// Where the value stands in the text; a string without its quotes, unescaped.
    let start: UInt32
    /// How many bytes that are; of a container, how many elements or members it has.
    var count: UInt32
    /// The index of the record behind the value and all that is in it.
    var end: UInt32
    /// Where the value is written in the source; a string from its opening quote.
    let offset: UInt32

    /// Where the value is written with its name, which never stands at the source's beginning.
    var firstOffset: Int { Int(name.offset > 0 ? name.offset : offset) }
}

/// The name of a member; nothing for other values.
struct JSONMemberName: Sendable {
    /// What is compared first.
    var key = JSONName.Key()
    /// Where the name stands in the text, unescaped.
    var start: UInt32 = 0
    var count: UInt32 = 0
    /// The offset of its opening quote in the source.
    var offset: UInt32 = 0

    var range: Range<Int> { Int(start)..<(Int(start) &+ Int(count)) }
}
