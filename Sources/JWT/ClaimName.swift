import Bytes
package import JSON

/// Where in a token's claims a value stands: a top-level name as it is written, or a JSON Pointer
/// (RFC 6901) where the text begins with `/`. A class, since it is looked for in every token.
package final class ClaimName: Sendable, Equatable {
    /// As configured; what errors and logs say.
    package let text: String
    /// The names on the way; one for a top-level claim.
    private let path: [JSONName]

    /// Nil for a JSON Pointer with a `~` that is followed by neither 0 nor 1.
    package init?(_ text: String) {
        self.text = text
        guard text.utf8.first == UInt8(ascii: "/") else {
            path = [JSONName(text)]
            return
        }
        var path: [JSONName] = []
        let tokens = text.utf8.split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for token in tokens.dropFirst() {
            guard let name = Self.unescape(token) else { return nil }
            path.append(JSONName(name))
        }
        self.path = path
    }

    /// Whether both mean the same text.
    package static func == (left: ClaimName, right: ClaimName) -> Bool {
        left.text.isExactly(right.text)
    }

    /// The value there, which may be `null`; nil where there is none.
    package func value(in claims: JSONDocument) -> JSONNode? {
        var node = JSONNode.root
        for i in path.indices {
            guard let next = Self.step(from: node, path[i], in: claims) else { return nil }
            node = next
        }
        return node
    }

    private static func step(
        from node: JSONNode, _ name: JSONName, in claims: JSONDocument
    ) -> JSONNode? {
        if let member = claims.member(name, of: node) { return member }
        guard case .array = claims.kind(of: node), let index = arrayIndex(name.bytes),
            index < claims.count(in: node)
        else { return nil }
        var element = claims.first(in: node)
        for _ in 0..<index {
            guard let passed = element else { return nil }
            element = claims.next(after: passed, in: node)
        }
        return element
    }

    /// An array index of RFC 6901, section 4: digits without a leading zero, bounded.
    private static func arrayIndex(_ digits: [UInt8]) -> Int? {
        guard let first = digits.first, digits.count <= 6, digits.allSatisfy(ASCII.isDigit),
            first != UInt8(ascii: "0") || digits.count == 1
        else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private static func unescape(_ token: Substring.UTF8View) -> String? {
        var bytes: [UInt8] = []
        var rest = token[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "~") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "0"): bytes.append(UInt8(ascii: "~"))
            case UInt8(ascii: "1"): bytes.append(UInt8(ascii: "/"))
            default: return nil
            }
        }
        return String(validating: bytes.span)
    }
}
