package import Bytes

/// Follows one message's body through the bytes of its connection and says which of them are data.
///
///     length      ── n bytes of data ──▶ complete
///     untilClose  ── data … ──▶ (complete when the connection ends)
///     chunked     size ─▶ data ─▶ size … size 0 ─▶ trailer lines ─▶ complete
///
/// Chunk extensions are read and left out (RFC 9112, section 7.1.1). Trailer lines are collected
/// for the caller, who decides whether they go on.
package struct BodyDecoder: ~Copyable {
    /// What one call found.
    package enum Step: Equatable, Sendable {
        /// These bytes are data; call again from behind them.
        case data(Range<Int>)
        /// Everything given was used and the body goes on.
        case needsMore
        /// The body ended before the offset given.
        case complete(Int)
    }

    private enum State: Equatable {
        case length(Int64)
        case untilClose
        case chunkSize(digits: UInt8, size: Int64)
        case chunkExtension(size: Int64, length: UInt16)
        case chunkSizeNewline(size: Int64)
        case chunkData(remaining: Int64)
        case chunkDataReturn
        case chunkDataNewline
        case trailerLine
        case complete
    }

    /// Extension bytes allowed behind one chunk size; peers that send more mean to burn time.
    private static let maxExtension: UInt16 = 4096
    /// Bytes of a whole trailer section allowed.
    private static let maxTrailers = 16384

    private var state: State
    /// The trailer section as received, complete lines with their CRLF; empty where there was none.
    package private(set) var trailers = ByteBuffer()

    /// A decoder at the start of a body with this framing.
    package init(_ framing: BodyFraming) {
        switch framing {
        case .none: state = .complete
        case .length(let length): state = length > 0 ? .length(length) : .complete
        case .untilClose: state = .untilClose
        case .chunked: state = .chunkSize(digits: 0, size: 0)
        }
    }

    /// Whether the whole body was seen.
    package var isComplete: Bool { state == .complete }

    /// Whether the connection's end completes the body.
    package var endsWithConnection: Bool { state == .untilClose }

    /// Bytes of a `Content-Length` body still to come, nil for other framings.
    package var remainingLength: Int64? {
        if case .length(let remaining) = state { return remaining }
        return nil
    }

    /// Looks at the bytes from `offset` on and returns the next thing found there.
    package mutating func next(
        _ bytes: Span<UInt8>, from offset: Int
    ) throws(MessageError) -> Step {
        switch state {
        case .complete: return .complete(offset)
        case .untilClose:
            return offset < bytes.count ? .data(offset..<bytes.count) : .needsMore
        case .length(let remaining):
            guard offset < bytes.count else { return .needsMore }
            let length = Int(min(remaining, Int64(bytes.count &- offset)))
            let rest = remaining &- Int64(length)
            state = rest == 0 ? .complete : .length(rest)
            return .data(offset..<offset &+ length)
        default:
            return try nextChunked(bytes, from: offset)
        }
    }

    private mutating func nextChunked(
        _ bytes: Span<UInt8>, from start: Int
    ) throws(MessageError) -> Step {
        var offset = start
        while offset < bytes.count {
            if case .chunkData(let remaining) = state {
                let length = Int(min(remaining, Int64(bytes.count &- offset)))
                let rest = remaining &- Int64(length)
                state = rest == 0 ? .chunkDataReturn : .chunkData(remaining: rest)
                return .data(offset..<offset &+ length)
            }
            let byte = bytes[offset]
            offset &+= 1
            if state == .trailerLine {
                try takeTrailer(byte)
            } else {
                state = try stateAfter(byte)
            }
            if state == .complete { return .complete(offset) }
        }
        return .needsMore
    }

    private func stateAfter(_ byte: UInt8) throws(MessageError) -> State {
        let isReturn = byte == UInt8(ascii: "\r")
        let isNewline = byte == UInt8(ascii: "\n")
        switch state {
        case .chunkSize(let digits, let size):
            if let digit = ASCII.hexadecimalValue(byte) {
                // 15 digits keep the size below 2^60.
                guard digits < 15 else { throw .chunk }
                return .chunkSize(digits: digits &+ 1, size: size &<< 4 | Int64(digit))
            }
            guard digits > 0 else { throw .chunk }
            if isReturn { return .chunkSizeNewline(size: size) }
            guard byte == UInt8(ascii: ";") else { throw .chunk }
            return .chunkExtension(size: size, length: 0)
        case .chunkExtension(let size, let length):
            if isReturn { return .chunkSizeNewline(size: size) }
            guard byte >= 0x20 || byte == 0x09, byte != 0x7f, length < BodyDecoder.maxExtension
            else { throw .chunk }
            return .chunkExtension(size: size, length: length &+ 1)
        case .chunkSizeNewline(let size):
            guard isNewline else { throw .chunk }
            return size == 0 ? .trailerLine : .chunkData(remaining: size)
        case .chunkDataReturn:
            guard isReturn else { throw .chunk }
            return .chunkDataNewline
        case .chunkDataNewline:
            guard isNewline else { throw .chunk }
            return .chunkSize(digits: 0, size: 0)
        case .length, .untilClose, .chunkData, .trailerLine, .complete:
            preconditionFailure("states without a transition for a byte of their own")
        }
    }

    /// Collects the trailer section; its empty line completes the body.
    private mutating func takeTrailer(_ byte: UInt8) throws(MessageError) {
        guard trailers.count < BodyDecoder.maxTrailers else { throw .trailers }
        trailers.append(byte: byte)
        guard byte == UInt8(ascii: "\n") else { return }
        let length = trailers.count
        guard length >= 2, trailers[length &- 2] == UInt8(ascii: "\r") else { throw .trailers }
        if length == 2 || trailers[length &- 3] == UInt8(ascii: "\n") {
            trailers.truncate(to: length &- 2)
            if trailers.isEmpty { trailers.removeAll() }
            state = .complete
        }
    }
}
