internal import Bytes
internal import HTTP

/// Carries one message's body from the connection it arrives on to the one it leaves by: decoded by
/// the framing it came with, coded anew for the way it goes.
///
/// Nothing of the received framing is copied, so the two sides cannot read it differently. Small
/// pieces are gathered in the caller's buffer and leave with whatever is there already; large ones
/// are sent from where they were received.
struct BodyRelay: ~Copyable {
    /// How the body is delimited on its way out.
    enum Coding {
        /// By a `Content-Length` that was forwarded, or by the connection's end.
        case identity
        /// In chunks.
        case chunked
    }

    /// Pieces up to this size are copied to spare a system call.
    private static let copyLimit = 16384

    private var decoder: BodyDecoder
    private var countBeforeDiscarding: Int64 = 0
    private let coding: Coding
    /// Bytes of data carried so far, framing not counted.
    private(set) var count: Int64 = 0

    init(_ framing: BodyFraming, as coding: Coding) {
        decoder = BodyDecoder(framing)
        self.coding = coding
    }

    /// Nothing to carry.
    static var none: BodyRelay { BodyRelay(.none, as: .identity) }

    var isComplete: Bool { decoder.isComplete }

    /// Bytes of a body of known length still to come; nil for other framings.
    var remainingLength: Int64? { decoder.remainingLength }

    /// Whether the end of the connection it comes from completes the body.
    var endsWithConnection: Bool { decoder.endsWithConnection }

    /// Carries what `bytes` hold from `offset` on. Returns the offset behind the body's last byte
    /// seen. What was gathered and not sent is left in `output`.
    mutating func relay(
        _ bytes: Span<UInt8>, from start: Int, gatheringIn output: inout ByteBuffer,
        to target: Transport
    ) throws(MessageError) -> Int {
        var offset = start
        while true {
            switch try decoder.next(bytes, from: offset) {
            case .needsMore: return bytes.count
            case .complete(let end): return end
            case .data(let range):
                count &+= Int64(range.count)
                forward(bytes.extracting(range), gatheringIn: &output, to: target)
                offset = range.upperBound
            }
        }
    }

    /// From now on the body goes nowhere.
    mutating func beginDiscarding() {
        countBeforeDiscarding = count
    }

    /// Reads past what `bytes` hold from `offset` on. Returns the offset behind the body's last
    /// byte seen, nil where the body is malformed or more than `max` bytes were dropped.
    mutating func discard(_ bytes: Span<UInt8>, from start: Int, max: Int64) -> Int? {
        var offset = start
        while true {
            guard let step = try? decoder.next(bytes, from: offset) else { return nil }
            switch step {
            case .needsMore: return bytes.count
            case .complete(let end): return end
            case .data(let range):
                count &+= Int64(range.count)
                if count &- countBeforeDiscarding > max { return nil }
                offset = range.upperBound
            }
        }
    }

    /// Ends the body on its way out: the last chunk and the trailers that may go on.
    func end(
        gatheringIn output: inout ByteBuffer, maxTrailers: Int,
        isRemoved: (Span<UInt8>) -> Bool
    ) throws(MessageError) {
        guard coding == .chunked else {
            if decoder.trailers.isEmpty { return }
            var ignored = ByteBuffer()
            return try appendTrailers(to: &ignored, max: maxTrailers, isRemoved: isRemoved)
        }
        output.append("0\r\n")
        try appendTrailers(to: &output, max: maxTrailers, isRemoved: isRemoved)
        output.append("\r\n")
    }

    private func appendTrailers(
        to output: inout ByteBuffer, max: Int, isRemoved: (Span<UInt8>) -> Bool
    ) throws(MessageError) {
        try decoder.trailers.withBytes { (lines) throws(MessageError) in
            try TrailerSection.appendForwardable(
                lines, maxFields: max, to: &output, isRemoved: isRemoved)
        }
    }

    private func forward(
        _ data: Span<UInt8>, gatheringIn output: inout ByteBuffer, to target: Transport
    ) {
        if coding == .chunked {
            output.append(hexadecimal: data.count)
            output.append("\r\n")
        }
        if data.count <= BodyRelay.copyLimit {
            output.append(data)
        } else {
            target.send(output, data)
            output.removeAll(keepingCapacity: true)
        }
        if coding == .chunked { output.append("\r\n") }
    }
}
