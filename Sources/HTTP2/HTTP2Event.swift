package import HTTP

/// One stream of a session.
package struct HTTP2StreamHandle: Equatable, Sendable, BitwiseCopyable {
    /// The stream's number on the wire (RFC 9113, section 5.1.1).
    package let id: Int32
    /// A small index, used again after `.closed`; callers keep arrays indexed by it.
    package let slot: Int

    /// A handle of these two.
    package init(id: Int32, slot: Int) {
        self.id = id
        self.slot = slot
    }
}

/// What a session found in its input, or what sending brought about. Arena ranges hold until the
/// next `receive`.
package enum HTTP2Event: Equatable, Sendable {
    /// A request's head (server), or a response's, interim ones included (client): its range in the
    /// arena, and that of its field lines among the arena's.
    case head(HTTP2StreamHandle, Range<Int>, lines: Range<Int>, isEnd: Bool)
    /// A block that cannot be a request of ours (server): to be answered 400 or 431. Or a response
    /// that is none (client): the stream's end follows.
    case badHead(HTTP2StreamHandle, MessageError, isEnd: Bool)
    /// Body bytes: their range in the input of this `receive`. Their windows are to be given back.
    case data(HTTP2StreamHandle, Range<Int>)
    /// Trailer lines: their range in the arena. The stream's input ends with them; no `.end`
    /// follows.
    case trailers(HTTP2StreamHandle, Range<Int>)
    /// The stream's input ended with the data before.
    case end(HTTP2StreamHandle)
    /// The stream is gone; its slot may be used again from now on.
    case closed(HTTP2StreamHandle, code: UInt32)
    /// What is buffered for the stream fell to the low-water mark after it had been above the
    /// high-water mark.
    case writable(HTTP2StreamHandle)
    /// The peer ends the connection: streams above the last one were not processed.
    case goAway(lastStreamID: Int32, code: UInt32)
    /// The peer's settings came or changed.
    case settings
    /// The peer answered a PING.
    case pong
}
