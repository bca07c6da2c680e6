internal import Bytes
internal import HTTP

/// Bytes of a connection that wait for their turn: the beginning of a head, or what came before it
/// was wanted. Without memory while nothing waits.
struct HeldInput: ~Copyable {
    private var bytes = ByteBuffer()
    private var scanner = HeadScanner()

    var isEmpty: Bool { bytes.isEmpty }
    var count: Int { bytes.count }

    /// Adds bytes that belong behind those held.
    mutating func append(_ more: Span<UInt8>) {
        bytes.append(more)
    }

    /// Whether a parser should look at what is held, as the beginning of a head. Each byte is
    /// looked at once, however often this is asked.
    mutating func isWorthParsing() -> Bool {
        bytes.withBytes { scanner.isWorthParsing($0) }
    }

    /// What is held is the beginning of a head that a parser found unfinished.
    mutating func startHead() {
        scanner = HeadScanner()
        _ = isWorthParsing()
    }

    /// Takes everything out. What is not used goes back with `putBack`.
    mutating func take() -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &bytes)
        return taken
    }

    /// Puts back what was taken out and not used.
    mutating func putBack(_ rest: consuming ByteBuffer) {
        bytes = rest
    }

    mutating func removeAll() {
        bytes.removeAll()
    }
}
