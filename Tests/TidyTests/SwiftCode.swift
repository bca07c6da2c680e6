/// A Swift file's code: comments and the contents of string literals replaced by spaces, so that a
/// rule about code does not stumble over prose. Lines stay where they are.
struct SwiftCode {
    private var rest: Substring
    private(set) var text = ""

    init(_ source: String) {
        rest = source[...]
        while let character = rest.first {
            if rest.hasPrefix("//") {
                blank { $0.first == "\n" }
            } else if rest.hasPrefix("/*") {
                blankComment()
            } else if character == "\"" || rest.hasPrefix("#\"") || rest.hasPrefix("##\"") {
                blankString()
            } else {
                let plain = rest.dropFirst().prefix { !"/\"#".contains($0) }
                text.append(character)
                text += plain
                rest = rest[plain.endIndex...]
            }
        }
    }

    /// Blanks up to where `isEnd` holds, which is kept.
    private mutating func blank(until isEnd: (Substring) -> Bool) {
        while !rest.isEmpty, !isEnd(rest) { blank(1) }
    }

    private mutating func blank(_ count: Int) {
        for _ in 0..<count {
            guard let character = rest.popFirst() else { return }
            text.append(character == "\n" ? "\n" : " ")
        }
    }

    /// Block comments nest.
    private mutating func blankComment() {
        var depth = 0
        repeat {
            if rest.hasPrefix("/*") {
                depth += 1
                blank(2)
            } else if rest.hasPrefix("*/") {
                depth -= 1
                blank(2)
            } else {
                blank(1)
            }
        } while depth > 0 && !rest.isEmpty
    }

    private mutating func blankString() {
        let hashes = String(rest.prefix { $0 == "#" })
        let quote = rest.dropFirst(hashes.count).hasPrefix("\"\"\"") ? "\"\"\"" : "\""
        blank(hashes.count + quote.count)
        let end = quote + hashes
        let escape = "\\" + hashes
        while !rest.isEmpty, !rest.hasPrefix(end) {
            // An escape's next character never ends the string; an interpolation is left unread.
            if rest.hasPrefix(escape) {
                blank(escape.count)
                if rest.first == "(" { blankInterpolation() } else { blank(1) }
            } else {
                blank(1)
            }
        }
        blank(end.count)
    }

    private mutating func blankInterpolation() {
        var depth = 0
        repeat {
            switch rest.first {
            case "(":
                depth += 1
                blank(1)
            case ")":
                depth -= 1
                blank(1)
            case "\"": blankString()
            default: blank(1)
            }
        } while depth > 0 && !rest.isEmpty
    }
}
