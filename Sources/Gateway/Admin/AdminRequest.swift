internal import Bytes
internal import HTTP

/// What is asked of the admin listener.
enum AdminRequest: Equatable {
    /// Whether the process serves at all.
    case health
    /// Whether it can decide about requests.
    case readiness
    /// Everything that is to be told, as JSON.
    case status
    /// The same in numbers, for Prometheus.
    case metrics
    /// To fetch keys now: of the issuer of this name in the configuration, or of all.
    case refresh(issuer: String?)

    /// Reads a request's head.
    init(
        _ head: RequestHead, _ bytes: Span<UInt8>, hosts: AdminHosts
    ) throws(AdminFault) {
        guard AdminRequest.isOurs(head, bytes, hosts) else { throw .foreign }
        let path = bytes.extracting(head.path)
        let isRead = AdminRequest.isRead(bytes.extracting(head.method))
        switch path {
        case _ where path.isEqual(to: "/healthz"): self = .health
        case _ where path.isEqual(to: "/readyz"): self = .readiness
        case _ where path.isEqual(to: "/status"): self = .status
        case _ where path.isEqual(to: "/metrics"): self = .metrics
        case _ where path.isEqual(to: "/keys/refresh"):
            guard bytes.extracting(head.method).isEqual(to: "POST") else {
                throw .postOnly
            }
            self = .refresh(issuer: try AdminRequest.issuer(bytes.extracting(head.query)))
            return
        default: throw .notFound
        }
        guard isRead else { throw .readOnly }
    }

    /// Whether no web page asks: its browser would send `Origin` with whatever may change
    /// something, and its own name in `Host`. HTTP/1.0, which needs no `Host`, is no browser's.
    private static func isOurs(
        _ head: RequestHead, _ bytes: Span<UInt8>, _ hosts: AdminHosts
    ) -> Bool {
        for index in 0..<head.fields.count {
            let name = bytes.extracting(head.fields[index].name)
            if name.isEqualIgnoringCase(to: "origin") { return false }
        }
        return head.authority.isEmpty || hosts.admits(bytes.extracting(head.authority))
    }

    private static func isRead(_ method: Span<UInt8>) -> Bool {
        method.isEqual(to: "GET") || method.isEqual(to: "HEAD")
    }

    /// `?issuer=NAME` or nothing. The name is percent-encoded UTF-8, a plus is a space as in forms.
    private static func issuer(_ query: Span<UInt8>) throws(AdminFault) -> String? {
        if query.count <= 1 { return nil }
        let key: StaticString = "?issuer="
        let length = key.utf8CodeUnitCount
        guard query.count > length, query.extracting(0..<length).isEqual(to: key),
            let name = decoded(query.extracting(length..<query.count))
        else { throw .query }
        return name
    }

    private static func decoded(_ text: Span<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var index = 0
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "%"):
                guard text.count &- index > 2,
                    let high = ASCII.hexadecimalValue(text[index &+ 1]),
                    let low = ASCII.hexadecimalValue(text[index &+ 2])
                else { return nil }
                bytes.append(high &<< 4 | low)
                index &+= 2
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "&"), UInt8(ascii: "="), UInt8(ascii: "#"): return nil
            case let byte: bytes.append(byte)
            }
            index &+= 1
        }
        return String(validating: bytes.span)
    }
}
