internal import Authorization
internal import Bytes
internal import JWT

/// The value of `WWW-Authenticate` in a refusal (RFC 6750, section 3).
struct Challenge {
    private let error: StaticString?
    private let isScopeListed: Bool

    /// The challenge that a failure asks for; nil where it is not about rights.
    init?(_ failure: Failure) {
        switch failure {
        case .denied(.noToken):
            (error, isScopeListed) = (nil, false)
        case .authorizationField:
            (error, isScopeListed) = ("invalid_request", false)
        case .denied(.insufficientScope), .denied(.claimMismatch), .denied(.claimTooLong):
            (error, isScopeListed) = ("insufficient_scope", true)
        case .denied(.token(.keysUnavailable)), .denied(.token(.tooLarge)): return nil
        case .denied(.token): (error, isScopeListed) = ("invalid_token", false)
        default: return nil
        }
    }

    /// Appends the field. `realm` and `scope` were checked by the configuration: they need no
    /// escape that is not there already.
    func append(realm: String, scope: String?, detail: StaticString, to output: inout ByteBuffer) {
        output.append("WWW-Authenticate: Bearer realm=\"")
        output.append(quoted: realm)
        output.append("\"")
        if let error {
            output.append(", error=\"")
            output.append(error)
            output.append("\", error_description=\"")
            output.append(detail)
            output.append("\"")
        }
        if isScopeListed, let scope {
            output.append(", scope=\"")
            output.append(quoted: scope)
            output.append("\"")
        }
        output.append("\r\n")
    }
}

extension ByteBuffer {
    /// The inside of a quoted string (RFC 9110, section 5.6.4).
    fileprivate mutating func append(quoted text: String) {
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                append(byte: UInt8(ascii: "\\"))
            }
            append(byte: byte)
        }
    }
}
