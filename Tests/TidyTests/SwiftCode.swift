/// A Swift file's code: comments and texts replaced by spaces, so that a rule about code does not
/// stumble over prose. Lines stay where they are.
struct SwiftCode {
    private let source: [UInt8]
    private var offset = 0
    private var output: [UInt8] = []

    var text: String { String(decoding: output, as: UTF8.self) }

    init(_ text: String) {
        source = Array(text.utf8)
        output.reserveCapacity(source.count)
        while offset < source.count {
            switch source[offset] {
            case UInt8(ascii: "/") where isNext("//"): blank(to: lineEnd())
            case UInt8(ascii: "/") where isNext("/*"): blankComment()
            case UInt8(ascii: "\""): blankString()
            case UInt8(ascii: "#") where isNext("#\"") || isNext("##\""): blankString()
            default:
                output.append(source[offset])
                offset += 1
            }
        }
    }

    private func isNext(_ word: String) -> Bool {
        let bytes = word.utf8
        return offset + bytes.count <= source.count
            && source[offset..<offset + bytes.count].elementsEqual(bytes)
    }

    private func lineEnd() -> Int {
        source[offset...].firstIndex(of: UInt8(ascii: "\n")) ?? source.count
    }

    private mutating func blank(to end: Int) {
        while offset < min(end, source.count) {
            let isNewline = source[offset] == UInt8(ascii: "\n")
            output.append(isNewline ? source[offset] : UInt8(ascii: " "))
            offset += 1
        }
    }

    private mutating func blank(_ count: Int) { blank(to: offset + count) }

    /// Block comments nest.
    private mutating func blankComment() {
        var depth = 0
        repeat {
            if isNext("/*") {
                depth += 1
                blank(2)
            } else if isNext("*/") {
                depth -= 1
                blank(2)
            } else {
                blank(1)
            }
        } while depth > 0 && offset < source.count
    }

    private mutating func blankString() {
        let hashes = String(
            repeating: "#", count: source[offset...].prefix { $0 == UInt8(ascii: "#") }.count)
        blank(hashes.utf8.count)
        let quote = isNext("\"\"\"") ? "\"\"\"" : "\""
        blank(quote.utf8.count)
        let end = quote + hashes
        let escape = "\\" + hashes
        while offset < source.count, !isNext(end) {
            // An escape's next character never ends the text; an interpolation is left unread.
            if isNext(escape) {
                blank(escape.utf8.count)
                if isNext("(") { blankInterpolation() } else { blank(1) }
            } else {
                blank(1)
            }
        }
        blank(end.utf8.count)
    }

    private mutating func blankInterpolation() {
        var depth = 0
        repeat {
            if isNext("\"") {
                blankString()
            } else {
                depth += isNext("(") ? 1 : isNext(")") ? -1 : 0
                blank(1)
            }
        } while depth > 0 && offset < source.count
    }
}
