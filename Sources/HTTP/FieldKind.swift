internal import Bytes

/// The fields that the proxy itself acts on; every other field is `other` and judged by policy.
package enum FieldKind: UInt8, Equatable, Sendable, BitwiseCopyable {
    case other
    case accept
    case authorization
    case connection
    case contentLength
    case contentType
    case date
    case expect
    case forwarded
    case host
    case keepAlive
    case proxyAuthenticate
    case proxyAuthorization
    case proxyConnection
    case server
    case te
    case trailer
    case transferEncoding
    case upgrade
    case via
    case xForwardedFor
    case xForwardedHost
    case xForwardedProto
    case xRequestID

    /// The kind of a field by its name, compared without case (RFC 9110, section 5.1).
    package init(name: Span<UInt8>) {
        self = FieldKind.candidate(length: name.count, first: name.isEmpty ? 0 : name[0])
        if self != .other, !name.isEqualIgnoringCase(to: lowercaseName) { self = .other }
    }

    /// Whether the field speaks of one connection only (RFC 9110, section 7.6.1) and so is never
    /// forwarded. `Transfer-Encoding` and `Upgrade` are written anew where they apply.
    package var isHopByHop: Bool {
        switch self {
        case .connection, .keepAlive, .proxyAuthenticate, .proxyAuthorization, .proxyConnection,
            .te, .transferEncoding, .upgrade:
            true
        default: false
        }
    }

    /// Whether a field of this kind may stand in a trailer section (RFC 9110, section 6.5.1:
    /// nothing about framing, routing, authentication or the payload's meaning).
    package var isAllowedInTrailers: Bool {
        switch self {
        case .other, .date, .server, .via: true
        default: false
        }
    }

    /// The only kind a name of this length and first letter can be.
    private static func candidate(length: Int, first: UInt8) -> FieldKind {
        switch (length, ASCII.lowercased(first)) {
        case (2, UInt8(ascii: "t")): .te
        case (3, UInt8(ascii: "v")): .via
        case (4, UInt8(ascii: "h")): .host
        case (4, UInt8(ascii: "d")): .date
        case (6, UInt8(ascii: "a")): .accept
        case (6, UInt8(ascii: "e")): .expect
        case (6, UInt8(ascii: "s")): .server
        case (7, UInt8(ascii: "u")): .upgrade
        case (7, UInt8(ascii: "t")): .trailer
        case (9, UInt8(ascii: "f")): .forwarded
        case (10, UInt8(ascii: "c")): .connection
        case (10, UInt8(ascii: "k")): .keepAlive
        case (12, UInt8(ascii: "c")): .contentType
        case (12, UInt8(ascii: "x")): .xRequestID
        case (13, UInt8(ascii: "a")): .authorization
        case (14, UInt8(ascii: "c")): .contentLength
        case (15, UInt8(ascii: "x")): .xForwardedFor
        case (16, UInt8(ascii: "x")): .xForwardedHost
        case (16, UInt8(ascii: "p")): .proxyConnection
        case (17, UInt8(ascii: "t")): .transferEncoding
        case (17, UInt8(ascii: "x")): .xForwardedProto
        case (18, UInt8(ascii: "p")): .proxyAuthenticate
        case (19, UInt8(ascii: "p")): .proxyAuthorization
        default: .other
        }
    }

    private var lowercaseName: StaticString {
        switch self {
        case .other: ""
        case .accept: "accept"
        case .authorization: "authorization"
        case .connection: "connection"
        case .contentLength: "content-length"
        case .contentType: "content-type"
        case .date: "date"
        case .expect: "expect"
        case .forwarded: "forwarded"
        case .host: "host"
        case .keepAlive: "keep-alive"
        case .proxyAuthenticate: "proxy-authenticate"
        case .proxyAuthorization: "proxy-authorization"
        case .proxyConnection: "proxy-connection"
        case .server: "server"
        case .te: "te"
        case .trailer: "trailer"
        case .transferEncoding: "transfer-encoding"
        case .upgrade: "upgrade"
        case .via: "via"
        case .xForwardedFor: "x-forwarded-for"
        case .xForwardedHost: "x-forwarded-host"
        case .xForwardedProto: "x-forwarded-proto"
        case .xRequestID: "x-request-id"
        }
    }
}
