/// How a message's body is delimited (RFC 9112, section 6.3).
package enum BodyFraming: Equatable, Sendable {
    /// There is no body.
    case none
    /// A known number of bytes, above 0.
    case length(Int64)
    /// Chunks, then trailers.
    case chunked
    /// Everything until the connection ends; responses only.
    case untilClose
}
