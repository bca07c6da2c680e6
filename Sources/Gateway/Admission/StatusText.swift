/// Words and numbers that go with the status codes this proxy answers with by itself.
enum StatusText {
    /// The reason phrase (RFC 9110, section 15).
    static func phrase(_ status: Int) -> StaticString {
        switch status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 417: "Expectation Failed"
        case 431: "Request Header Fields Too Large"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        default: "Error"
        }
    }

    /// The gRPC status that a client would make of the HTTP status (gRPC's
    /// `http-grpc-status-mapping`), sharper where we know more: 7 for 403, 8 for what is too large.
    static func grpcStatus(_ status: Int) -> Int {
        switch status {
        case 401: 16
        case 403: 7
        case 404, 405, 501: 12
        case 413, 431: 8
        case 502, 503, 504: 14
        case 408: 4
        default: 13
        }
    }
}
