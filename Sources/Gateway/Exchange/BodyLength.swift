internal import HTTP

/// Holds a body that comes on a stream to the length that its head names (RFC 9113, section 8.1.1).
///
/// nghttp2 does so as well. But on an HTTP/1.1 connection a body of another length than was said
/// would be read as part of the next message, so that nothing rests on another's care here.
struct BodyLength {
    /// Bytes to come; nil where the head names no length.
    private var left: Int64?

    init(_ framing: BodyFraming) {
        switch framing {
        case .none: left = 0
        case .length(let length): left = length
        case .chunked, .untilClose: left = nil
        }
    }

    /// Counts bytes that came. False where they are more than were named.
    mutating func take(_ count: Int) -> Bool {
        guard let before = left else { return true }
        left = before &- Int64(count)
        return before >= Int64(count)
    }

    /// Whether the body may end here.
    var isWhole: Bool { left ?? 0 == 0 }
}
