import Bytes
import JWT
import Keys

/// A URL in which `{tenant}` stands once, for a whole segment of the path.
struct TenantPattern: Equatable {
    enum Fault: Error, Equatable {
        case notOnce
        case braces
        case notASegment
        case notAURL
    }

    let prefix: String
    let suffix: String

    init(_ text: String) throws(Fault) {
        let parts = text.split(separator: TenantRules.placeholder, omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw .notOnce }
        guard
            !text.replacing(TenantRules.placeholder, with: "").contains(where: { "{}".contains($0) }
            )
        else { throw .braces }
        prefix = String(parts[0])
        suffix = String(parts[1])
        // Behind `https://` and the host: a host's label is no segment.
        guard prefix.hasSuffix("/"), prefix.utf8.count(where: { $0 == UInt8(ascii: "/") }) >= 3,
            !prefix.contains("?"), suffix.isEmpty || suffix.hasPrefix("/") || suffix.hasPrefix("?")
        else { throw .notASegment }
        guard FetchURL(self.text(for: "a")) != nil else { throw .notAURL }
    }

    /// The text with the tenant in it.
    func text(for tenant: String) -> String { prefix + tenant + suffix }

    /// Whether a text can fit both.
    func overlaps(_ other: TenantPattern) -> Bool {
        let (mine, theirs) = (segments, other.segments)
        return mine.count == theirs.count
            && zip(mine, theirs).allSatisfy { left, right in
                left.utf8.elementsEqual(right.utf8)
                    || left == TenantRules.placeholder && TenantRules.isName(String(right))
                    || right == TenantRules.placeholder && TenantRules.isName(String(left))
            }
    }

    private var segments: [Substring] {
        text(for: TenantRules.placeholder).split(separator: "/", omittingEmptySubsequences: false)
    }
}

/// Whose tokens an issuer's are: the `iss` as the configuration has it.
enum IssuerName {
    case exact(Located<String>)
    case pattern(TenantPattern, Located<String>)

    /// As it is written.
    var text: Located<String> {
        switch self {
        case .exact(let text), .pattern(_, let text): text
        }
    }

    var isPattern: Bool {
        if case .pattern = self { return true }
        return false
    }

    /// Whether nobody could say whose a token of some `iss` is. An exact name beside a pattern that
    /// it fits is not ambiguous: it wins.
    func isAmbiguous(with other: IssuerName) -> Bool {
        switch (self, other) {
        case (.exact(let mine), .exact(let theirs)): mine.value.isExactly(theirs.value)
        case (.pattern(let mine, _), .pattern(let theirs, _)): mine.overlaps(theirs)
        case (.exact, .pattern), (.pattern, .exact): false
        }
    }
}
