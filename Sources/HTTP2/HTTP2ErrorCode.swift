/// Why a stream or a connection ends (RFC 9113, section 7).
package enum HTTP2ErrorCode: UInt32, Equatable, Sendable {
    /// Nothing is wrong: a graceful end, or a response complete before its request.
    case noError = 0x0
    /// The peer broke the protocol.
    case protocolError = 0x1
    /// The fault is this side's own.
    case internalError = 0x2
    /// The peer sent more than the window allowed.
    case flowControlError = 0x3
    /// SETTINGS were not acknowledged in time.
    case settingsTimeout = 0x4
    /// A frame came for a stream that was closed.
    case streamClosed = 0x5
    /// A frame of a wrong size.
    case frameSizeError = 0x6
    /// Nothing was done with the stream: its request may be sent again.
    case refusedStream = 0x7
    /// The stream is no longer wanted.
    case cancel = 0x8
    /// The state of field compression is lost.
    case compressionError = 0x9
    /// A CONNECT's connection ended.
    case connectError = 0xa
    /// The peer causes too much work.
    case enhanceYourCalm = 0xb
    /// The transport is not secure enough.
    case inadequateSecurity = 0xc
    /// HTTP/1.1 is asked for instead.
    case http11Required = 0xd
}
