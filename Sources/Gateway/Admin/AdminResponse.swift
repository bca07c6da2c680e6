internal import Bytes
internal import JSON

/// An answer of the admin listener.
struct AdminResponse: ~Copyable {
    let status: Int
    let contentType: StaticString
    /// The methods to name, where another was used.
    private var allow: StaticString?
    private var hasRetryAfter = false
    var body = ByteBuffer()

    init(_ status: Int, contentType: StaticString) {
        self.status = status
        self.contentType = contentType
    }

    /// A JSON document.
    init(_ status: Int = 200, json write: (inout ByteBuffer) -> Void) {
        self.init(status, contentType: "application/json")
        write(&body)
        body.append("\n")
    }

    /// A problem document (RFC 9457).
    init(_ fault: AdminFault) {
        self.init(fault.status, contentType: "application/problem+json")
        allow = fault.allow
        hasRetryAfter = fault == .busy
        body.append("{\"type\":\"urn:bearward:problem:")
        body.append(fault.code)
        body.append("\"")
        body.appendJSONMember("title", literal: StatusText.phrase(fault.status))
        body.appendJSONMember("status", fault.status)
        body.appendJSONMember("detail", literal: fault.detail)
        body.append("}\n")
    }

    /// Appends the message; to HEAD without its body. Each connection has one.
    func write(to output: inout ByteBuffer, isHead: Bool, date: DateField) {
        output.append("HTTP/1.1 ")
        output.append(decimal: status)
        output.append(" ")
        output.append(StatusText.phrase(status))
        output.append("\r\n")
        date.append(to: &output)
        if let allow {
            output.append("Allow: ")
            output.append(allow)
            output.append("\r\n")
        }
        if hasRetryAfter { output.append("Retry-After: 1\r\n") }
        output.append("Content-Type: ")
        output.append(contentType)
        output.append("\r\nContent-Length: ")
        output.append(decimal: body.count)
        output.append("\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n")
        output.append("Connection: close\r\n\r\n")
        if !isHead { output.append(body) }
    }
}
