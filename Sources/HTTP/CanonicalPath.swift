package import Bytes

/// What a back end may take a path for although we would not: each is refused unless the matched
/// route allows it by name (`unsafePaths`).
package struct PathQuirks: OptionSet, Sendable {
    /// The quirks as bits.
    package let rawValue: UInt8

    /// Quirks from bits.
    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// A `;`, which some servers cut off with what follows it.
    package static let parameters = PathQuirks(rawValue: 1)
    /// An escaped `/`, which some servers take for a real one.
    package static let encodedSlash = PathQuirks(rawValue: 2)
    /// A segment of nothing, which some servers drop.
    package static let emptySegments = PathQuirks(rawValue: 4)
}

/// The one form of a request's path that is matched, logged and forwarded (RFC 3986, section
/// 6.2.2).
///
/// Ambiguous paths are refused, never repaired: nothing is merged or resolved.
package enum CanonicalPath: Equatable, Sendable {
    /// The path is to be taken as received. With quirks it is matched undecoded and needs the
    /// matched route's leave.
    case asReceived(PathQuirks)
    /// The canonical form is in the buffer given.
    case rewritten
    /// The path is refused: 400.
    case refused(Fault)

    /// Why a path is refused.
    package enum Fault: Equatable, Sendable {
        /// It does not begin with `/`.
        case notAbsolute
        /// An octet outside of `!`–`~`, or `#` or `\`.
        case octet
        /// A `%` without two hexadecimal digits.
        case brokenEscape
        /// An escaped `\`, `;` or control.
        case escapedSeparator
        /// An escaped `%` that makes another escape once decoded.
        case doubleEscape
        /// Decoded, it is not UTF-8.
        case notUTF8
        /// A segment of dots and spaces only.
        case dotSegment
    }

    /// Judges the path of a request target, without its query.
    ///
    /// The usual path is only looked at; `buffer` is emptied and filled where something is decoded.
    package init(of path: Span<UInt8>, rewritingInto buffer: inout ByteBuffer) {
        guard !path.isEmpty, path[0] == UInt8(ascii: "/") else {
            self = .refused(.notAbsolute)
            return
        }
        if path.isPlainPath {
            self = .asReceived([])
            return
        }
        var judge = PathJudge()
        buffer.removeAll(keepingCapacity: true)
        if let fault = judge.read(path, into: &buffer) {
            self = .refused(fault)
        } else if !judge.quirks.isEmpty {
            self = .asReceived(judge.quirks)
        } else {
            let isSame = buffer.withBytes { $0.isEqual(to: path) }
            self = isSame ? .asReceived([]) : .rewritten
        }
    }
}

/// The slow look at a path that is not plain.
private struct PathJudge {
    var quirks: PathQuirks = []
    /// The path with every escape decoded, to check that it is UTF-8.
    private var decoded: [UInt8] = []
    private var segment = Segment()
    /// How many hexadecimal digits followed a decoded `%`; nil where none was just before.
    private var digitsAfterPercent: Int?

    /// What was seen of a segment before its parameters. Escaped slashes end segments too, since to
    /// the server that needs them they do: `..%2f` must not become a way out.
    private struct Segment {
        var isEmpty = true
        var hasOther = false
        var isInParameters = false

        var isDots: Bool { !isEmpty && !hasOther }
    }

    /// Reads the path, writing its canonical form; returns why it is refused, if it is.
    mutating func read(
        _ path: Span<UInt8>, into output: inout ByteBuffer
    ) -> CanonicalPath.Fault? {
        decoded.reserveCapacity(path.count)
        output.append(byte: UInt8(ascii: "/"))
        var i = 1
        while i < path.count {
            let byte = path[i]
            if byte == UInt8(ascii: "%") {
                guard i &+ 2 < path.count, let high = ASCII.hexadecimalValue(path[i &+ 1]),
                    let low = ASCII.hexadecimalValue(path[i &+ 2])
                else { return .brokenEscape }
                let fault = readEscaped(high &<< 4 | low, into: &output)
                if let fault { return fault }
                i &+= 3
            } else {
                if let fault = readRaw(byte) { return fault }
                output.append(byte: byte)
                i &+= 1
            }
        }
        if segment.isDots { return .dotSegment }
        return (try? UTF8Span(validating: decoded.span)) == nil ? .notUTF8 : nil
    }

    private mutating func readRaw(_ byte: UInt8) -> CanonicalPath.Fault? {
        guard ASCII.isVisible(byte), byte != UInt8(ascii: "#"), byte != UInt8(ascii: "\\") else {
            return .octet
        }
        if byte == UInt8(ascii: ";") {
            quirks.insert(.parameters)
            segment.isInParameters = true
        } else if byte == UInt8(ascii: "/") {
            if let fault = endSegment() { return fault }
        }
        return take(byte)
    }

    private mutating func readEscaped(
        _ byte: UInt8, into output: inout ByteBuffer
    ) -> CanonicalPath.Fault? {
        switch byte {
        case 0..<0x20, 0x7f, UInt8(ascii: "\\"), UInt8(ascii: ";"):
            return .escapedSeparator
        case UInt8(ascii: "/"):
            quirks.insert(.encodedSlash)
            if let fault = endSegment() { return fault }
        default:
            break
        }
        if ASCII.isUnreserved(byte) {
            output.append(byte: byte)
        } else {
            output.append(byte: UInt8(ascii: "%"))
            output.append(byte: upperCaseDigit(byte &>> 4))
            output.append(byte: upperCaseDigit(byte & 15))
        }
        let fault = take(byte)
        if byte == UInt8(ascii: "%") { digitsAfterPercent = 0 }
        return fault
    }

    /// Notes one octet of the decoded path.
    private mutating func take(_ byte: UInt8) -> CanonicalPath.Fault? {
        decoded.append(byte)
        if byte != UInt8(ascii: "/"), !segment.isInParameters {
            segment.isEmpty = false
            if byte != UInt8(ascii: "."), byte != UInt8(ascii: " ") { segment.hasOther = true }
        }
        guard let digits = digitsAfterPercent else { return nil }
        guard ASCII.hexadecimalValue(byte) != nil else {
            digitsAfterPercent = nil
            return nil
        }
        digitsAfterPercent = digits &+ 1
        return digits == 1 ? .doubleEscape : nil
    }

    /// Ends a segment that is not the last one.
    private mutating func endSegment() -> CanonicalPath.Fault? {
        if segment.isDots { return .dotSegment }
        if segment.isEmpty { quirks.insert(.emptySegments) }
        segment = Segment()
        return nil
    }
}

private func upperCaseDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? value &+ 0x30 : value &+ 0x37
}
