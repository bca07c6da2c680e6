import Authorization
import Bytes
import HTTP

/// What messages say about faulty paths and methods.
enum PatternText {
    static func of(_ fault: PathPattern.Fault) -> (message: String, hint: String?) {
        switch fault {
        case .notAbsolute: ("must begin with \"/\"", nil)
        case .query: ("queries and fragments are never matched", nil)
        case .wildcard:
            (
                "\"*\" stands only in a last \"/**\"",
                "\"{name}\" is one segment, a last \"/**\" is all below"
            )
        case .braces: ("\"{name}\" stands for one whole segment", nil)
        case .tooManySegments: ("more than \(PathPattern.maxSegments) segments", nil)
        case .refused(let fault): ("no request has this path: \(of(fault))", nil)
        case .notCanonical(let path): ("requests are matched in another form", "write \"\(path)\"")
        case .quirks(let quirks):
            (
                "requests with \(of(quirks)) are refused",
                "\"unsafePaths\" can allow them for this route"
            )
        }
    }

    /// Why a route cannot name a method, if it cannot.
    static func faultOfMethod(_ method: String) -> (message: String, hint: String?)? {
        guard method.utf8.allSatisfy({ ASCII.isTokenCharacter($0) }) else {
            return ("\"\(method)\" is no method", nil)
        }
        let upper = method.uppercased()
        if upper == "TRACE" || upper == "CONNECT" {
            return ("\(upper) is never forwarded", nil)
        }
        let standard = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        if method != upper, standard.contains(upper) {
            return ("methods are case-sensitive", "write \"\(upper)\"")
        }
        return nil
    }

    private static func of(_ fault: CanonicalPath.Fault) -> String {
        switch fault {
        case .notAbsolute: "it does not begin with \"/\""
        case .octet: "it has an octet that must be escaped, \"#\" or \"\\\""
        case .brokenEscape: "a \"%\" without two hexadecimal digits"
        case .escapedSeparator: "an escaped \"\\\", \";\" or control"
        case .doubleEscape: "an escape inside an escape"
        case .notUTF8: "decoded it is not UTF-8"
        case .dotSegment: "a segment of dots and spaces"
        }
    }

    private static func of(_ quirks: PathQuirks) -> String {
        var parts: [String] = []
        if quirks.contains(.parameters) { parts.append("\";\"") }
        if quirks.contains(.encodedSlash) { parts.append("\"%2F\"") }
        if quirks.contains(.emptySegments) { parts.append("empty segments") }
        return parts.joined(separator: " and ")
    }
}
