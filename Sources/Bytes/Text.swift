extension String {
    /// The text of a span of UTF-8, or nil where the bytes are not valid UTF-8.
    package init?(validating bytes: Span<UInt8>) {
        if bytes.isASCII {
            // Just looked at: each byte is a scalar of its own.
            unsafe self.init(copying: UTF8Span(unchecked: bytes, isKnownASCII: true))
            return
        }
        guard let utf8 = try? UTF8Span(validating: bytes) else { return nil }
        self.init(copying: utf8)
    }
}

extension Array where Element == UInt8 {
    /// A copy of a span.
    package init(copying bytes: Span<UInt8>) {
        self = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    }
}
