import Bytes

@testable import HTTP2

/// One frame as it stands on the wire (RFC 9113, section 4.1).
struct RawFrame: Equatable, CustomStringConvertible {
    enum Kind: UInt8 {
        case data, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate
        case continuation
    }

    static let endStream: UInt8 = 0x1
    static let ack: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8
    static let withPriority: UInt8 = 0x20

    var type: UInt8
    var flags: UInt8
    var stream: UInt32
    var payload: [UInt8]

    init(_ kind: Kind, _ flags: UInt8 = 0, _ stream: UInt32 = 0, _ payload: [UInt8] = []) {
        self.init(type: kind.rawValue, flags, stream, payload)
    }

    init(type: UInt8, _ flags: UInt8 = 0, _ stream: UInt32 = 0, _ payload: [UInt8] = []) {
        self.type = type
        self.flags = flags
        self.stream = stream
        self.payload = payload
    }

    var kind: Kind? { Kind(rawValue: type) }

    /// The error code of RST_STREAM or GOAWAY.
    var code: HTTP2ErrorCode? {
        let start = kind == .goAway ? 4 : 0
        guard payload.count >= start + 4 else { return nil }
        return HTTP2ErrorCode(rawValue: number(payload[start..<start + 4]))
    }

    /// The last stream of a GOAWAY.
    var lastStream: UInt32 { number(payload[0..<4]) }

    var bytes: [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
            + octets(stream) + payload
    }

    var description: String {
        let name = kind.map { "\($0)" } ?? "type \(type)"
        return "\(name) \(flags) on \(stream): \(payload.count) bytes \(payload.prefix(16))"
    }

    /// The whole frames of a stream of bytes.
    static func all(in bytes: [UInt8]) -> [RawFrame] {
        var frames: [RawFrame] = []
        var rest = bytes[...]
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let count = Int(number(head[0..<3]))
            guard rest.count >= 9 + count else { break }
            frames.append(
                RawFrame(
                    type: head[3], head[4], number(head[5..<9]) & 0x7fff_ffff,
                    Array(rest.dropFirst(9).prefix(count))))
            rest = rest.dropFirst(9 + count)
        }
        return frames
    }
}

func octets(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
}

func number(_ octets: some Sequence<UInt8>) -> UInt32 {
    octets.reduce(0) { $0 << 8 | UInt32($1) }
}

/// Field blocks of literals without indexing or Huffman coding (RFC 7541, section 6.2.2).
enum HPACK {
    static func literal(_ name: [UInt8], _ value: [UInt8]) -> [UInt8] {
        [0] + string(name) + string(value)
    }

    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { literal(Array($0.0.utf8), Array($0.1.utf8)) }
    }

    private static func string(_ bytes: [UInt8]) -> [UInt8] {
        integer(bytes.count, prefix: 7) + bytes
    }

    static func integer(_ value: Int, prefix bits: Int, _ first: UInt8 = 0) -> [UInt8] {
        let most = 1 << bits - 1
        if value < most { return [first | UInt8(value)] }
        var bytes = [first | UInt8(most)]
        var rest = value - most
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}

let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

/// The fields of a plain GET, and what is put behind or in place of them.
func get(_ path: String = "/", _ more: [(String, String)] = []) -> [(String, String)] {
    [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", path)] + more
}

func headers(
    _ stream: UInt32, _ fields: [(String, String)], isEnd: Bool = true
) -> RawFrame {
    let flags = RawFrame.endHeaders | (isEnd ? RawFrame.endStream : 0)
    return RawFrame(.headers, flags, stream, HPACK.block(fields))
}

/// A header block in as few frames as it takes.
func block(
    _ stream: UInt32, _ fields: [(String, String)], isEnd: Bool = true
) -> [UInt8] {
    let bytes = HPACK.block(fields)
    let count = max(1, (bytes.count + 16383) / 16384)
    return (0..<count).flatMap { index in
        let part = Array(bytes.dropFirst(index * 16384).prefix(16384))
        let flags = index == count - 1 ? RawFrame.endHeaders : 0
        let isFirst = index == 0
        return RawFrame(
            isFirst ? .headers : .continuation,
            flags | (isFirst && isEnd ? RawFrame.endStream : 0), stream, part
        ).bytes
    }
}
