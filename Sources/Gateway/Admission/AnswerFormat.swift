internal import Bytes
internal import HTTP

/// In what form a client takes an answer of ours.
enum AnswerFormat {
    /// `application/problem+json` (RFC 9457).
    case problem
    /// `text/plain`, where that is all the client takes.
    case text
    /// gRPC's trailers-only form.
    case grpc

    /// What a request's fields ask for.
    init(_ fields: FieldSection, _ bytes: Span<UInt8>) {
        self = .problem
        if let index = fields.firstIndex(of: .contentType),
            AnswerFormat.isGRPC(bytes.extracting(fields[index].value))
        {
            self = .grpc
        } else if let index = fields.firstIndex(of: .accept),
            AnswerFormat.takesTextOnly(bytes.extracting(fields[index].value))
        {
            self = .text
        }
    }

    /// `application/grpc`, alone or with a `+` or `;` part; not `application/grpc-web`.
    private static func isGRPC(_ value: Span<UInt8>) -> Bool {
        let length = 16
        guard value.count >= length,
            value.extracting(0..<length).isEqualIgnoringCase(to: "application/grpc")
        else { return false }
        guard value.count > length else { return true }
        let next = value[length]
        return next == UInt8(ascii: "+") || next == UInt8(ascii: ";") || ASCII.isBlank(next)
    }

    /// Whether the list has `text/plain` or `text/*` and nothing that JSON would do for.
    private static func takesTextOnly(_ value: Span<UInt8>) -> Bool {
        // What most clients of an API say.
        if value.isEqualIgnoringCase(to: "application/json") { return false }
        var takesText = false
        var list = ListCursor(0..<value.count)
        while let item = list.next(in: value) {
            let type = mediaRange(value.extracting(item))
            switch value.extracting(item).extracting(0..<type) {
            case let name where name.isEqualIgnoringCase(to: "text/plain"): takesText = true
            case let name where name.isEqualIgnoringCase(to: "text/*"): takesText = true
            case let name where name.isEqualIgnoringCase(to: "*/*"): return false
            case let name where name.isEqualIgnoringCase(to: "application/*"): return false
            case let name where name.isEqualIgnoringCase(to: "application/json"): return false
            case let name where name.isEqualIgnoringCase(to: "application/problem+json"):
                return false
            default: break
            }
        }
        return takesText
    }

    private static func mediaRange(_ item: Span<UInt8>) -> Int {
        let end = item.firstIndex(of: UInt8(ascii: ";")) ?? item.count
        return item.trimmingBlanks(0..<end).upperBound
    }
}
