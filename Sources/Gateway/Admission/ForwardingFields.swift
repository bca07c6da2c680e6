internal import Bytes
internal import HTTP

/// The fields that tell an upstream who asked and by which way: `Via`, `X-Forwarded-*` and
/// `Forwarded` (RFC 9110, section 7.6.3; RFC 7239).
///
/// What a client says of itself is worth nothing, so these are written anew; only what a trusted
/// proxy says is kept, and extended by what we see.
enum ForwardingFields {
    /// Appends the fields for one request. The lines they replace were dropped by `dropReplaced`.
    static func append(
        _ head: RequestHead, _ bytes: Span<UInt8>, client: Client,
        to output: inout ByteBuffer
    ) {
        let fields = head.fields
        appendVia(head, bytes, client: client, to: &output)
        if client.isTrusted, fields.hasForwardingFields {
            appendExtended(head, bytes, client: client, to: &output)
            return
        }
        output.append("X-Forwarded-For: ")
        output.append(client.text)
        output.append(
            client.isSecure
                ? "\r\nX-Forwarded-Proto: https\r\n" : "\r\nX-Forwarded-Proto: http\r\n")
        appendHost(head, bytes, to: &output)
        output.append("Forwarded: ")
        appendElement(head, bytes, client: client, to: &output)
    }

    /// Drops the lines that are joined or written anew.
    static func dropReplaced(_ fields: FieldSection) {
        guard fields.hasForwardingFields else { return }
        for index in 0..<fields.count {
            switch fields[index].kind {
            case .via, .forwarded, .xForwardedFor, .xForwardedHost, .xForwardedProto:
                fields.drop(index)
            default: break
            }
        }
    }

    private static func appendVia(
        _ head: RequestHead, _ bytes: Span<UInt8>, client: Client, to output: inout ByteBuffer
    ) {
        guard head.fields.hasForwardingFields else {
            if client.speaksHTTP2 { return output.append("Via: 2.0 bearward\r\n") }
            return output.append(
                head.minorVersion == 1 ? "Via: 1.1 bearward\r\n" : "Via: 1.0 bearward\r\n")
        }
        output.append("Via: ")
        _ = appendValues(of: .via, head.fields, bytes, separator: true, to: &output)
        if client.speaksHTTP2 { return output.append("2.0 bearward\r\n") }
        output.append(head.minorVersion == 1 ? "1.1 bearward\r\n" : "1.0 bearward\r\n")
    }

    private static func appendExtended(
        _ head: RequestHead, _ bytes: Span<UInt8>, client: Client,
        to output: inout ByteBuffer
    ) {
        let fields = head.fields
        output.append("X-Forwarded-For: ")
        _ = appendValues(of: .xForwardedFor, fields, bytes, separator: true, to: &output)
        output.append(client.text)
        output.append("\r\nX-Forwarded-Proto: ")
        if !appendValues(of: .xForwardedProto, fields, bytes, separator: false, to: &output) {
            output.append(client.isSecure ? "https" : "http")
        }
        output.append("\r\n")
        if fields.firstIndex(of: .xForwardedHost) != nil {
            output.append("X-Forwarded-Host: ")
            _ = appendValues(of: .xForwardedHost, fields, bytes, separator: false, to: &output)
            output.append("\r\n")
        } else {
            appendHost(head, bytes, to: &output)
        }
        output.append("Forwarded: ")
        _ = appendValues(of: .forwarded, fields, bytes, separator: true, to: &output)
        appendElement(head, bytes, client: client, to: &output)
    }

    private static func appendHost(
        _ head: RequestHead, _ bytes: Span<UInt8>, to output: inout ByteBuffer
    ) {
        if head.authority.isEmpty { return }
        output.append("X-Forwarded-Host: ")
        output.append(bytes, head.authority)
        output.append("\r\n")
    }

    /// `for=192.0.2.1;host="api.example.com";proto=http`, and the line's end. A valid authority
    /// needs no escape in quotes.
    private static func appendElement(
        _ head: RequestHead, _ bytes: Span<UInt8>, client: Client,
        to output: inout ByteBuffer
    ) {
        output.append(client.forwardedFor)
        if !head.authority.isEmpty {
            output.append(";host=\"")
            output.append(bytes, head.authority)
            output.append(client.isSecure ? "\";proto=https\r\n" : "\";proto=http\r\n")
        } else {
            output.append(client.isSecure ? ";proto=https\r\n" : ";proto=http\r\n")
        }
    }

    /// Appends the values of all lines of a kind as one list. Returns whether there were any.
    private static func appendValues(
        of kind: FieldKind, _ fields: FieldSection, _ bytes: Span<UInt8>, separator: Bool,
        to output: inout ByteBuffer
    ) -> Bool {
        guard fields.hasForwardingFields else { return false }
        var isFirst = true
        for index in 0..<fields.count where fields[index].kind == kind {
            let value = fields[index].value
            if value.isEmpty { continue }
            if !isFirst { output.append(", ") }
            output.append(bytes, value)
            isFirst = false
        }
        if !isFirst, separator { output.append(", ") }
        return !isFirst
    }
}
