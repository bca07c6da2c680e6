import Bytes

/// A member's name as it is looked for: made once for names that every token is asked for.
package struct JSONName: Sendable {
    /// The name.
    package let text: String
    let key: Key

    /// A name.
    package init(_ text: String) {
        self.text = text
        key = Key(text.utf8Span.span)
    }

    /// A name in one word. Names of up to seven bytes are in it whole, so that two that agree are
    /// the same; of longer ones it is a hash, and the bytes decide.
    struct Key: Sendable, Equatable {
        private let word: UInt64
        private static let longName: UInt64 = 1 &<< 63

        init(_ name: Span<UInt8>) {
            guard name.count <= 7 else {
                word = name.hash(seed: 0) | Key.longName
                return
            }
            var word = UInt64(truncatingIfNeeded: name.count) &<< 56
            for i in 0..<name.count { word |= UInt64(name[i]) &<< UInt64(i &* 8) }
            self.word = word
        }

        /// Whether the name can be read from it.
        var isWhole: Bool { word & Key.longName == 0 }
    }
}
