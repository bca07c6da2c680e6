/// What is wrong with a message. Whose fault that is depends on who sent it: the client's for a
/// request (400 unless noted), the upstream's for a response (502).
package enum MessageError: Error, Equatable, Sendable {
    /// The start line is not `method SP target SP HTTP/1.x` or `HTTP/1.x SP status …`.
    case startLine
    /// A field line without a name, with a bad name, folded, or with a control in its value.
    case fieldLine
    /// More bytes than a head may have (431).
    case headTooLarge
    /// More field lines than a head may have (431).
    case tooManyFields
    /// No `Host` where one is required, two of them, or one that is no host.
    case host
    /// `Content-Length` that is not one plain number, or beside `Transfer-Encoding`.
    case contentLength
    /// `Transfer-Encoding` twice, not a list of names, or in HTTP/1.0.
    case transferEncoding
    /// A transfer coding other than `chunked` (501).
    case unknownTransferCoding
    /// `Connection` names a field that is not the connection's to remove.
    case connection
    /// An expectation other than `100-continue` (417).
    case expectation
    /// A chunk size, extension or ending that is not one.
    case chunk
    /// A trailer section that is malformed, too large or holds a field that may not be there.
    case trailers
}
