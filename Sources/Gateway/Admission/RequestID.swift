internal import Bytes
internal import EventLoop
internal import HTTP

/// Makes and reads the ids by which one request is found again in several logs.
struct RequestIDs {
    private static let maxLength = 128

    /// Tells this worker's run from all others; random, not secret.
    private let run = Process.randomBits()
    private var number: UInt64 = 0

    /// Puts a request's id into `id`: the client's where it is one, else a new one.
    mutating func take(_ fields: FieldSection, _ bytes: Span<UInt8>, into id: inout ByteBuffer) {
        if fields.requestID >= 0 {
            let value = bytes.extracting(fields[fields.requestID].value)
            if RequestIDs.isValid(value) {
                id.removeAll(keepingCapacity: true)
                return id.append(value)
            }
        }
        make(into: &id)
    }

    /// Puts a new id into `id`: 32 hexadecimal digits.
    mutating func make(into id: inout ByteBuffer) {
        number &+= 1
        id.removeAll(keepingCapacity: true)
        append(run, to: &id)
        append(RequestIDs.scrambled(run &+ number), to: &id)
    }

    private static func isValid(_ value: Span<UInt8>) -> Bool {
        guard !value.isEmpty, value.count <= maxLength else { return false }
        for index in 0..<value.count {
            let byte = value[index]
            guard ASCII.isUnreserved(byte), byte != UInt8(ascii: "~") else { return false }
        }
        return true
    }

    /// The finaliser of SplitMix64: one number to one number, neighbours far apart.
    private static func scrambled(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed &>> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed &>> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed &>> 31)
    }

    private func append(_ word: UInt64, to id: inout ByteBuffer) {
        var digits = InlineArray<16, UInt8>(repeating: 0)
        for index in 0..<16 {
            let digit = UInt8(truncatingIfNeeded: word &>> UInt64(60 &- 4 &* index)) & 15
            digits[index] = digit < 10 ? digit &+ 0x30 : digit &+ 0x57
        }
        id.append(digits.span)
    }
}
