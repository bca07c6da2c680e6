/// Why bytes are not the JSON text we take, and where.
package struct JSONError: Error, Equatable {
    /// What is wrong.
    package enum Kind: Equatable, Sendable {
        /// Longer than the caller's limit.
        case tooLarge
        /// A byte order mark (RFC 8259, section 8.1).
        case byteOrderMark
        /// Bytes that are not UTF-8.
        case invalidUTF8
        /// The text stops inside a value.
        case unexpectedEnd
        /// A byte that no value, name or separator may have here.
        case unexpectedByte
        /// Bytes after the value.
        case trailingBytes
        /// Containers nested beyond the caller's limit.
        case tooDeep
        /// A number outside of RFC 8259's grammar, or with an exponent beyond 15 digits.
        case invalidNumber
        /// A control character inside a string.
        case controlCharacter
        /// A backslash before something that is no escape.
        case invalidEscape
        /// An escaped surrogate without its other half.
        case loneSurrogate
        /// A name that the object has already.
        case duplicateName
    }

    /// What is wrong.
    package let kind: Kind
    /// The offset of the byte at which it is wrong.
    package let offset: Int

    /// An error at an offset.
    package init(_ kind: Kind, at offset: Int) {
        self.kind = kind
        self.offset = offset
    }
}
