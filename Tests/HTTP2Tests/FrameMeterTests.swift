import Bytes
import Testing

@testable import HTTP2

/// The budgets, frame by frame, without nghttp2.
@Suite struct FrameMeterTests {
    private static func meter(isServer: Bool = true) -> FrameMeter {
        var meter = FrameMeter(isServer: isServer)
        meter.refill(nowMilliseconds: 0)
        if isServer { _ = takes(&meter, preface) }
        return meter
    }

    /// How many of a frame are taken before the budget is spent, `most` at most.
    private static func taken(
        _ meter: inout FrameMeter, _ frame: RawFrame, most: Int = 5000
    ) -> Int {
        let bytes = frame.bytes
        for count in 0..<most where !takes(&meter, bytes) { return count }
        return most
    }

    private static func takes(_ meter: inout FrameMeter, _ bytes: [UInt8]) -> Bool {
        meter.read(bytes.span)
    }

    private static let eight = [UInt8](repeating: 0, count: 8)

    static let charged: [(String, RawFrame, Int)] = [
        ("RST_STREAM", RawFrame(.reset, 0, 1, octets(8)), 200),
        ("SETTINGS", RawFrame(.settings), 200),
        ("SETTINGS with a value", RawFrame(.settings, 0, 0, [0, 4] + octets(1)), 200),
        ("PING", RawFrame(.ping, 0, 0, eight), 200),
        ("PING ACK nobody waits for", RawFrame(.ping, RawFrame.ack, 0, eight), 200),
        ("PRIORITY", RawFrame(.priority, 0, 1, [0, 0, 0, 0, 1]), 200),
        ("PRIORITY_UPDATE", RawFrame(type: 0x10, 0, 0, octets(1) + [0x75]), 200),
        ("unknown", RawFrame(type: 0xfe, 0xff, 7, [1, 2, 3]), 200),
        ("unknown without payload", RawFrame(type: 0xfe), 200),
        ("GOAWAY", RawFrame(.goAway, 0, 0, eight), 200),
        ("empty DATA", RawFrame(.data, 0, 1), 200),
        ("DATA of padding", RawFrame(.data, RawFrame.padded, 1, [3, 0, 0, 0]), 200),
        ("DATA of a pad length", RawFrame(.data, RawFrame.padded, 1, [0]), 200),
        ("WINDOW_UPDATE", RawFrame(.windowUpdate, 0, 0, octets(1)), 1000),
        // The first opens the stream and earns two.
        ("HEADERS of one stream", headers(1, get()), 201),
    ]

    @Test(arguments: charged.indices, [true, false])
    func eachKindHasItsBurst(row: Int, isServer: Bool) {
        let (name, frame, burst) = Self.charged[row]
        if name.hasPrefix("HEADERS"), !isServer { return }
        var meter = Self.meter(isServer: isServer)
        // An upstream, which the operator chose, may ask more.
        let factor = isServer ? 1 : FloodBudget.upstreamFactor
        #expect(Self.taken(&meter, frame, most: 20_000) == burst * factor, "\(name)")
        // Time brings some back.
        meter.refill(nowMilliseconds: 1000)
        #expect(Self.taken(&meter, frame) == 20 * factor)
        // Never more than the burst.
        meter.refill(nowMilliseconds: 1_000_000_000)
        let most = burst * factor - (burst == 201 ? 1 : 0)
        #expect(Self.taken(&meter, frame, most: 20_000) == most)
    }

    @Test func dataReceivedEarnsUpdatesAndControlFrames() {
        var meter = Self.meter()
        let update = RawFrame(.windowUpdate, 0, 1, octets(1))
        let ping = RawFrame(.ping, 0, 0, Self.eight)
        _ = Self.taken(&meter, update)
        _ = Self.taken(&meter, ping)
        let body = [UInt8](repeating: 0, count: 1536)
        for _ in 0..<2 { #expect(Self.takes(&meter, RawFrame(.data, 0, 1, body).bytes)) }
        #expect(Self.taken(&meter, update) == 3)
        #expect(Self.taken(&meter, ping) == 3)
        for _ in 0..<3 { #expect(Self.takes(&meter, RawFrame(.data, 0, 1, [1]).bytes)) }
        #expect(Self.taken(&meter, ping) == 0)
        #expect(Self.takes(&meter, RawFrame(.data, RawFrame.padded, 1, [1, 7, 0]).bytes))
        #expect(Self.taken(&meter, ping) == 0)
    }

    @Test func aContinuationLongerThanAFrameMayBeEndsReading() {
        var meter = Self.meter()
        let long = [UInt8](repeating: 0, count: 16385)
        #expect(Self.takes(&meter, RawFrame(.headers, 0, 1, [0x82]).bytes))
        #expect(!Self.takes(&meter, RawFrame(.continuation, 0, 1, long).bytes))
        #expect(meter.isOversized)
    }

    static let free: [RawFrame] = [
        RawFrame(.data, 0, 1, [1]), RawFrame(.data, RawFrame.endStream, 1),
        RawFrame(.data, RawFrame.padded, 1, [1, 7, 0]),
        RawFrame(.data, RawFrame.padded | RawFrame.endStream, 1, [1, 0]),
        RawFrame(.settings, RawFrame.ack),
    ]

    @Test(arguments: free)
    func whatMovesMessagesIsFree(frame: RawFrame) {
        var meter = Self.meter()
        #expect(Self.taken(&meter, frame) == 5000)
    }

    @Test func aClockThatGoesBackBringsNothing() {
        var meter = Self.meter()
        let ping = RawFrame(.ping, 0, 0, Self.eight)
        meter.refill(nowMilliseconds: 5000)
        _ = Self.taken(&meter, ping)
        meter.refill(nowMilliseconds: -5000)
        meter.refill(nowMilliseconds: .min)
        meter.refill(nowMilliseconds: 5000)
        #expect(Self.taken(&meter, ping) == 0)
        meter.refill(nowMilliseconds: .max)
        #expect(Self.taken(&meter, ping) == 200)
    }

    @Test func streamsEarnControlFrames() {
        var meter = Self.meter()
        let ping = RawFrame(.ping, 0, 0, Self.eight)
        _ = Self.taken(&meter, ping)
        for id in 0..<50 {
            let frame = headers(UInt32(id * 2 + 1), get())
            #expect(Self.takes(&meter, frame.bytes))
            #expect(Self.taken(&meter, ping) == 2)
        }
    }

    @Test func dataSentEarnsWindowUpdatesAndControlFrames() {
        var meter = Self.meter()
        let update = RawFrame(.windowUpdate, 0, 1, octets(1))
        let ping = RawFrame(.ping, 0, 0, Self.eight)
        _ = Self.taken(&meter, update)
        _ = Self.taken(&meter, ping)
        meter.noteData(16384, isLast: false)
        #expect(Self.taken(&meter, update) == 64)
        #expect(Self.taken(&meter, ping) == 16)
        // Small ones add up.
        for _ in 0..<255 { meter.noteData(1, isLast: false) }
        #expect(Self.taken(&meter, update) == 0)
        meter.noteData(1, isLast: false)
        #expect(Self.taken(&meter, update) == 1)
        // A message that is sent whole.
        meter.noteData(5, isLast: true)
        #expect(Self.taken(&meter, update) == 4)
        #expect(Self.taken(&meter, ping) == 2)
    }

    @Test func pingsOfOursMayBeAnswered() {
        var meter = Self.meter()
        let ping = RawFrame(.ping, 0, 0, Self.eight)
        _ = Self.taken(&meter, ping)
        meter.notePing()
        #expect(Self.taken(&meter, RawFrame(.ping, RawFrame.ack, 0, Self.eight)) == 1)
    }

    @Test func aHeaderBlockHasSixteenContinuations() {
        for (payload, most) in [([UInt8(0)], 16), ([], 4)] as [([UInt8], Int)] {
            var meter = Self.meter()
            #expect(Self.takes(&meter, RawFrame(.headers, 0, 1, [0]).bytes))
            #expect(Self.taken(&meter, RawFrame(.continuation, 0, 1, payload)) == most)
            var next = Self.meter()
            for id in 0..<10 {
                let stream = UInt32(id * 2 + 1)
                #expect(Self.takes(&next, RawFrame(.headers, 0, stream, [0]).bytes))
                for index in 1...most {
                    let flags = index == most ? RawFrame.endHeaders : 0
                    let frame = RawFrame(.continuation, flags, stream, payload)
                    #expect(Self.takes(&next, frame.bytes))
                }
            }
        }
    }

    @Test func framesAreReadAcrossAnySplit() {
        let frames = [
            headers(1, get()), RawFrame(.data, RawFrame.padded, 1, [2, 9, 0, 0]),
            RawFrame(.settings), RawFrame(type: 0xfe, 0, 0, [1, 2, 3]),
            RawFrame(.windowUpdate, 0, 0, octets(1)),
            RawFrame(.data, 0, 1, [UInt8](repeating: 9, count: 300)),
            RawFrame(.reset, 0, 1, octets(8)),
        ]
        let bytes = frames.flatMap(\.bytes)
        var random = SplitMix(seed: 7)
        for _ in 0..<50 {
            var meter = FrameMeter(isServer: true)
            #expect(!meter.isMidFrame)
            var rest = (preface + bytes)[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...min(40, rest.count), using: &random)
                #expect(Self.takes(&meter, Array(rest.prefix(count))))
                rest = rest.dropFirst(count)
            }
            #expect(!meter.isMidFrame)
            #expect(Self.taken(&meter, RawFrame(.settings)) == 198)
            #expect(Self.taken(&meter, RawFrame(.reset, 0, 1, octets(8))) == 199)
        }
    }

    @Test func aBucketHoldsItsBurst() {
        var bucket = TokenBucket(.init(burst: 3, perSecond: 10))
        func takeAll() -> Int {
            var count = 0
            while bucket.take() { count += 1 }
            return count
        }
        #expect(takeAll() == 3)
        bucket.refill(99)
        #expect(takeAll() == 0)
        bucket.refill(1)
        #expect(takeAll() == 1)
        bucket.credit(100)
        #expect(takeAll() == 3)
    }
}
