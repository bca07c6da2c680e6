internal import Bytes

/// Counts frames in the raw input before nghttp2 acts on them, and says when a peer asked too much.
///
/// Reads the 9-octet frame headers (RFC 9113, section 4.1) and skips payloads, across any split of
/// the input:
///
///     preface ─▶ header ─▶ payload ─▶ header …
///                   └─ padded DATA ─▶ pad length ─▶ payload
///
/// Whether a frame is allowed where it stands is nghttp2's business.
struct FrameMeter {
    private enum Phase: Equatable {
        /// Octets of the client's preface to come (RFC 9113, section 3.4).
        case preface(Int)
        /// Octets of a frame header seen.
        case header(Int)
        case padLength
        /// Octets of payload to come, at least one.
        case payload(Int)
    }

    private struct Frame {
        var length = 0
        var type: UInt8 = 0
        var flags: UInt8 = 0
        var stream: UInt32 = 0

        init() {}

        init(length: Int) { self.length = length }

        /// A header that came in one piece.
        init(header: Span<UInt8>) {
            length = Int(header[0]) &<< 16 | Int(header[1]) &<< 8 | Int(header[2])
            type = header[3]
            flags = header[4]
            // The first bit is reserved.
            stream = UInt32(header[5] & 0x7f) &<< 24 | UInt32(header[6]) &<< 16
            stream |= UInt32(header[7]) &<< 8 | UInt32(header[8])
        }

        func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
    }

    /// RFC 9113, section 3.4.
    private static let prefaceLength = 24
    /// What SETTINGS_MAX_FRAME_SIZE is where nobody says anything else.
    private static let maxFrameSize = 16384
    /// RFC 9113, section 4.1.
    private static let headerLength = 9
    private static let endStream: UInt8 = 0x1
    private static let acknowledgement: UInt8 = 0x1
    private static let endHeaders: UInt8 = 0x4
    private static let padded: UInt8 = 0x8

    private let isServer: Bool
    private var phase: Phase
    private var frame = Frame()
    private var resets: TokenBucket
    private var control: TokenBucket
    private var updates: TokenBucket
    /// Whether the frame that ended reading was longer than a frame may be.
    private(set) var isOversized = false
    /// Whether a GOAWAY came: nghttp2 starts no stream after it.
    private(set) var hasGoAway = false
    private var lastRefill: Int64?
    private var highestStream: UInt32 = 0
    private var isInBlock = false
    private var continuations = 0
    private var emptyContinuations = 0
    private var pingsUnderWay = 0
    private var sentTowardsUpdate = 0
    private var sentTowardsControl = 0
    private var receivedTowardsControl = 0

    init(isServer: Bool) {
        self.isServer = isServer
        let factor = isServer ? 1 : FloodBudget.upstreamFactor
        resets = TokenBucket(FloodBudget.resets, times: factor)
        control = TokenBucket(FloodBudget.control, times: factor)
        updates = TokenBucket(FloodBudget.windowUpdates, times: factor)
        phase = isServer ? .preface(FrameMeter.prefaceLength) : .header(0)
    }

    /// Whether a frame, a header block or the preface has begun and not ended.
    var isMidFrame: Bool {
        isInBlock || (phase != .header(0) && phase != .preface(FrameMeter.prefaceLength))
    }

    /// The same, but for DATA, whose pace is a body's.
    var isMidHead: Bool {
        switch phase {
        case .padLength, .payload: isInBlock || frame.type != 0
        case .header, .preface: isMidFrame
        }
    }

    /// Lets time fill the buckets. A clock that goes back brings nothing.
    mutating func refill(nowMilliseconds now: Int64) {
        guard let last = lastRefill else {
            lastRefill = now
            return
        }
        guard now > last else { return }
        lastRefill = now
        // An hour fills every bucket.
        let elapsed = now.subtractingReportingOverflow(last)
        let milliseconds = elapsed.overflow ? 3_600_000 : Int(min(elapsed.partialValue, 3_600_000))
        resets.refill(milliseconds)
        control.refill(milliseconds)
        updates.refill(milliseconds)
    }

    /// Reads the next input, all of it. False where a budget is spent.
    mutating func read(_ input: Span<UInt8>) -> Bool {
        var isWithinBudget = true
        var index = 0
        while index < input.count {
            switch phase {
            case .preface(let left):
                let skipped = min(left, input.count &- index)
                phase = left == skipped ? .header(0) : .preface(left &- skipped)
                index &+= skipped
            case .header(0) where input.count &- index >= FrameMeter.headerLength:
                frame = Frame(header: input.extracting(index..<index &+ FrameMeter.headerLength))
                if !endHeader() { isWithinBudget = false }
                index &+= FrameMeter.headerLength
            case .header(let seen):
                if !take(input[index], at: seen) { isWithinBudget = false }
                index &+= 1
            case .padLength:
                let isEmpty = Int(input[index]) &+ 1 >= frame.length
                if isEmpty, !frame.has(FrameMeter.endStream), !control.take() {
                    isWithinBudget = false
                }
                phase = frame.length > 1 ? .payload(frame.length &- 1) : .header(0)
                index &+= 1
            case .payload(let left):
                let skipped = min(left, input.count &- index)
                phase = left == skipped ? .header(0) : .payload(left &- skipped)
                index &+= skipped
            }
        }
        return isWithinBudget
    }

    /// A reset was sent because of what the peer did. False where the budget is spent.
    mutating func chargeReset() -> Bool { resets.take() }

    /// A PING was sent: one answer is expected.
    mutating func notePing() { pingsUnderWay = min(pingsUnderWay &+ 1, 1000) }

    /// DATA was sent; `isLast`: nothing of its stream is left in the buffer.
    mutating func noteData(_ count: Int, isLast: Bool) {
        sentTowardsUpdate &+= count
        sentTowardsControl &+= count
        let updated = isLast ? FloodBudget.updatesPerLastFrame : 0
        let controlled = isLast ? FloodBudget.controlPerLastFrame : 0
        updates.credit(updated &+ sentTowardsUpdate / FloodBudget.bytesPerWindowUpdate)
        control.credit(controlled &+ sentTowardsControl / FloodBudget.bytesPerControl)
        sentTowardsUpdate %= FloodBudget.bytesPerWindowUpdate
        sentTowardsControl %= FloodBudget.bytesPerControl
    }

    /// Takes one octet of a frame header.
    private mutating func take(_ byte: UInt8, at position: Int) -> Bool {
        switch position {
        case 0: frame = Frame(length: Int(byte))
        case 1, 2: frame.length = frame.length &<< 8 | Int(byte)
        case 3: frame.type = byte
        case 4: frame.flags = byte
        // The first bit is reserved.
        case 5: frame.stream = UInt32(byte & 0x7f)
        default: frame.stream = frame.stream &<< 8 | UInt32(byte)
        }
        guard position == FrameMeter.headerLength &- 1 else {
            phase = .header(position &+ 1)
            return true
        }
        return endHeader()
    }

    private mutating func endHeader() -> Bool {
        phase = frame.length > 0 ? .payload(frame.length) : .header(0)
        // nghttp2 looks at the other types itself (RFC 9113, section 4.2).
        if frame.type == 0x9, frame.length > FrameMeter.maxFrameSize {
            isOversized = true
            return false
        }
        return judge()
    }

    /// Charges the frame whose header is complete (RFC 9113, section 6).
    private mutating func judge() -> Bool {
        switch frame.type {
        case 0x0: return judgeData()
        case 0x1: return judgeHeaders()
        case 0x3: return resets.take()
        case 0x4: return frame.has(FrameMeter.acknowledgement) || control.take()
        case 0x6: return judgePing()
        case 0x7:
            hasGoAway = true
            return control.take()
        case 0x8: return updates.take()
        case 0x9: return judgeContinuation()
        default: return control.take()
        }
    }

    private mutating func judgeData() -> Bool {
        if frame.length > 0 {
            // It may be nothing but padding.
            if frame.has(FrameMeter.padded) {
                phase = .padLength
            } else {
                noteReceived(frame.length)
            }
            return true
        }
        return frame.has(FrameMeter.endStream) || control.take()
    }

    /// DATA came. From a client it earns by its length, or frames of one octet would pay for a
    /// control frame each.
    private mutating func noteReceived(_ count: Int) {
        receivedTowardsControl &+= isServer ? count : FloodBudget.bytesPerControl
        let earned = receivedTowardsControl / FloodBudget.bytesPerControl
        receivedTowardsControl %= FloodBudget.bytesPerControl
        control.credit(earned)
        updates.credit(earned)
    }

    private mutating func judgeHeaders() -> Bool {
        isInBlock = !frame.has(FrameMeter.endHeaders)
        continuations = 0
        emptyContinuations = 0
        // A server's HEADERS answer what we asked for.
        if !isServer { return true }
        guard frame.stream > highestStream else { return control.take() }
        highestStream = frame.stream
        control.credit(FloodBudget.controlPerStream)
        return true
    }

    private mutating func judgeContinuation() -> Bool {
        continuations &+= 1
        if frame.length == 0 { emptyContinuations &+= 1 }
        if frame.has(FrameMeter.endHeaders) { isInBlock = false }
        return continuations <= FloodBudget.continuations
            && emptyContinuations <= FloodBudget.emptyContinuations
    }

    private mutating func judgePing() -> Bool {
        guard frame.has(FrameMeter.acknowledgement), pingsUnderWay > 0 else {
            return control.take()
        }
        pingsUnderWay &-= 1
        return true
    }
}
