internal import Bytes
internal import HTTP

/// Carries one message's body from the HTTP/1 connection it arrives on to wherever it goes: decoded
/// by the framing it came with, coded anew for the way it goes.
///
/// Nothing of the received framing is copied, so the two sides cannot read it differently.
struct BodyRelay: ~Copyable {
    private var decoder: BodyDecoder
    private var countBeforeDiscarding: Int64 = 0
    /// Bytes of data carried so far, framing not counted.
    private(set) var count: Int64 = 0

    init(_ framing: BodyFraming) {
        decoder = BodyDecoder(framing)
    }

    /// Nothing to carry.
    static var none: BodyRelay { BodyRelay(.none) }

    var isComplete: Bool { decoder.isComplete }

    /// Bytes of a body of known length still to come; nil for other framings.
    var remainingLength: Int64? { decoder.remainingLength }

    /// Whether trailers came behind the body.
    var hasTrailers: Bool { !decoder.trailers.isEmpty }

    /// Whether the end of the connection it comes from completes the body.
    var endsWithConnection: Bool { decoder.endsWithConnection }

    /// Carries what `bytes` hold from `offset` on. Returns the offset behind the body's last byte
    /// seen. What was gathered and not sent is left in `output`.
    mutating func relay(
        _ bytes: Span<UInt8>, from start: Int, gatheringIn output: inout ByteBuffer,
        to target: BodyTarget
    ) throws(MessageError) -> Int {
        var offset = start
        while true {
            switch try decoder.next(bytes, from: offset) {
            case .needsMore: return bytes.count
            case .complete(let end): return end
            case .data(let range):
                count &+= Int64(range.count)
                target.append(bytes.extracting(range), gatheringIn: &output)
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

    /// Ends the body on its way out, with the trailers that may go on.
    func end(
        gatheringIn output: inout ByteBuffer, to target: BodyTarget, maxTrailers: Int,
        isRemoved: (Span<UInt8>) -> Bool
    ) throws(MessageError) {
        if decoder.trailers.isEmpty { return target.end(trailers: Span(), gatheringIn: &output) }
        var trailers = ByteBuffer()
        try decoder.trailers.withBytes { (lines) throws(MessageError) in
            try TrailerSection.appendForwardable(
                lines, maxFields: maxTrailers, to: &trailers, isRemoved: isRemoved)
        }
        trailers.withBytes { target.end(trailers: $0, gatheringIn: &output) }
    }
}
