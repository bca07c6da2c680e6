import Bytes

/// A member's name as it is looked for: made once for names that every token is asked for.
package struct JSONName: Sendable {
    /// The name's UTF-8.
    package let bytes: [UInt8]
    let key: Key

    /// A name.
    package init(_ text: String) {
        let bytes = Array(text.utf8)
        self.bytes = bytes
        key = Key(bytes.span)
    }

    /// What is compared before a name's bytes: its length and three of its bytes. Names of up to
    /// three bytes are in it whole, as those of all registered claims are (RFC 7519, section 4.1).
    struct Key: Sendable, Equatable {
        let word: UInt32

        /// The key of the empty name.
        init() {
            word = 0
        }

        init(_ name: Span<UInt8>) {
            let count = name.count
            guard count > 0 else {
                word = 0
                return
            }
            word =
                UInt32(truncatingIfNeeded: min(count, 255)) &<< 24 | UInt32(name[0]) &<< 16
                | UInt32(name[count &>> 1]) &<< 8 | UInt32(name[count &- 1])
        }

        /// Whether no other name has this key.
        var isWhole: Bool { word < 4 &<< 24 }
    }
}
