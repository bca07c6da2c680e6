internal import Authorization
internal import Bytes
internal import HTTP
internal import JWT
internal import Telemetry

/// A request as the upstream gets it. Making one consumes a permit, and nothing else makes one:
/// code that forwards what policy did not allow does not compile.
struct UpstreamRequest: ~Copyable {
    /// What the admission knows of a request besides its head.
    struct Facts {
        let route: RoutePlan
        let client: Client
        let record: RequestRecord
        let framing: BodyFraming
    }

    /// Memory that a record keeps for the next head.
    private static let maxKeptHead = 8192

    let record: RequestRecord
    let route: RoutePlan
    let isHead: Bool
    let hasBody: Bool
    /// Whether nothing in the head says how long the body is.
    let isOpenEnded: Bool
    /// Whether sending it twice does what sending it once does (RFC 9110, section 9.2.2).
    let isIdempotent: Bool
    /// Whether the client asks for a WebSocket. No other upgrade is passed on: one to HTTP/2 would
    /// be a way past every check.
    let wantsUpgrade: Bool
    /// Where `Host` has to be put in once the endpoint is known; nil where it is there.
    let hostOffset: Int?

    /// Writes the head, once. `path` is the canonical one, which policy saw.
    init(
        _ permit: consuming Permit, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
        path: Span<UInt8>, _ facts: borrowing Facts
    ) {
        record = facts.record
        route = facts.route
        isHead = facts.record.isHead
        hasBody = facts.framing != .none
        isOpenEnded = facts.framing == .chunked
        isIdempotent = UpstreamRequest.isIdempotent(bytes.extracting(head.method))
        wantsUpgrade = !hasBody && UpstreamRequest.asksForWebSocket(head, bytes)
        UpstreamRequest.dropFields(head.fields, bytes, facts)

        hostOffset = UpstreamRequest.write(
            permit, head, bytes, path: path, facts, wantsUpgrade: wantsUpgrade, to: &record.head)
    }

    /// Writes the head in place of what is there. Returns where `Host` has to be put in.
    private static func write(
        _ permit: borrowing Permit, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
        path: Span<UInt8>, _ facts: borrowing Facts, wantsUpgrade: Bool,
        to output: inout ByteBuffer
    ) -> Int? {
        let route = facts.route
        output.removeAll(keepingCapacity: output.capacity <= maxKeptHead)
        output.append(bytes, head.method)
        output.append(" ")
        UpstreamRequest.appendTarget(path, bytes.extracting(head.query), route, to: &output)
        output.append(" HTTP/1.1\r\n")
        let hostOffset = UpstreamRequest.appendHost(head, bytes, route, to: &output)
        head.fields.appendKept(bytes, to: &output)
        ForwardingFields.append(head, bytes, client: facts.client, to: &output)
        output.append("X-Request-Id: ")
        output.append(facts.record.id)
        output.append("\r\n")
        if route.requestEdits.writesLines { output.append(route.requestEdits.lines) }
        if facts.client.hasCertificateLines { output.append(facts.client.certificateLines) }
        if let identity = permit.identity {
            UpstreamRequest.appendClaims(identity, route, to: &output)
        }
        UpstreamRequest.appendFraming(
            facts.framing, announcedLength: head.fields.contentLength, to: &output)
        if wantsUpgrade {
            output.append("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        } else if head.fields.takesTrailers {
            // Said of our own connection, as the client said it of its own (RFC 9110, section
            // 10.1.4): gRPC servers insist.
            output.append("TE: trailers\r\nConnection: TE\r\n")
        }
        output.append("\r\n")
        return hostOffset
    }

    /// Appends the head as it goes to an endpoint whose name is its `Host`.
    func appendHead(for endpoint: Endpoint, hostOffset: Int, to output: inout ByteBuffer) {
        record.head.withBytes { bytes in
            output.append(bytes, 0..<hostOffset)
            output.append("Host: ")
            output.append(endpoint.authority)
            output.append("\r\n")
            output.append(bytes, hostOffset..<bytes.count)
        }
    }

    /// The path, rewritten by the route, and the query byte for byte.
    private static func appendTarget(
        _ path: Span<UInt8>, _ query: Span<UInt8>, _ route: RoutePlan,
        to output: inout ByteBuffer
    ) {
        guard route.rewritesPath else {
            output.append(path)
            output.append(query)
            return
        }
        output.append(route.addPrefix)
        // The configuration checked that every path of the route begins with the prefix.
        let rest = path.extracting(min(route.stripPrefix.count, path.count)..<path.count)
        if rest.isEmpty, route.addPrefix.isEmpty { output.append("/") }
        output.append(rest)
        output.append(query)
    }

    private static func appendHost(
        _ head: RequestHead, _ bytes: Span<UInt8>, _ route: RoutePlan,
        to output: inout ByteBuffer
    ) -> Int? {
        switch route.host {
        case .preserve:
            // HTTP/1.0 may come without one.
            if head.authority.isEmpty { return output.count }
            output.append("Host: ")
            output.append(bytes, head.authority)
            output.append("\r\n")
            return nil
        case .name(let name):
            output.append("Host: ")
            output.append(name)
            output.append("\r\n")
            return nil
        case .endpoint: return output.count
        }
    }

    /// Leaves out what is the connection's, what is written anew, and what the route removes. What
    /// clients may never send was dropped already, by the admission.
    private static func dropFields(
        _ fields: FieldSection, _ bytes: Span<UInt8>, _ facts: Facts
    ) {
        for index in 0..<fields.count {
            let kind = fields[index].kind
            let isDropped =
                switch kind {
                case .authorization: !facts.route.forwardsToken
                case .host, .contentLength, .xRequestID: true
                case .expect: !fields.expectsContinue || facts.framing == .none
                default: kind.isHopByHop
                }
            if isDropped { fields.drop(index) }
        }
        ForwardingFields.dropReplaced(fields)
        facts.route.requestEdits.drop(from: fields, bytes)
    }

    /// The fields that carry claims. A claim too long for one was refused; one that has no value
    /// for a field sends none.
    private static func appendClaims(
        _ identity: VerifiedToken, _ route: RoutePlan, to output: inout ByteBuffer
    ) {
        for field in route.claimFields {
            let start = output.count
            output.append(field.name)
            let claim = field.claim.value(in: identity.claims)
            if ClaimFieldValue.append(claim, in: identity.claims, to: &output) == .written {
                output.append("\r\n")
            } else {
                output.truncate(to: start)
            }
        }
    }

    /// The framing, in our words. A length of 0 is said where the client said it: a POST without
    /// any would make some servers ask for one (411).
    private static func appendFraming(
        _ framing: BodyFraming, announcedLength: Int64?, to output: inout ByteBuffer
    ) {
        switch framing {
        case .none, .untilClose:
            if announcedLength != nil { output.append("Content-Length: 0\r\n") }
        case .length(let length):
            output.append("Content-Length: ")
            output.append(decimal: Int(length))
            output.append("\r\n")
        case .chunked: output.append("Transfer-Encoding: chunked\r\n")
        }
    }

    private static func asksForWebSocket(_ head: RequestHead, _ bytes: Span<UInt8>) -> Bool {
        let fields = head.fields
        guard fields.saysUpgrade, fields.upgrade >= 0, head.minorVersion == 1,
            bytes.extracting(head.method).isEqual(to: "GET")
        else { return false }
        return bytes.extracting(fields[fields.upgrade].value).isEqualIgnoringCase(to: "websocket")
    }

    private static func isIdempotent(_ method: Span<UInt8>) -> Bool {
        switch method.count {
        case 3: method.isEqual(to: "GET") || method.isEqual(to: "PUT")
        case 4: method.isEqual(to: "HEAD")
        case 6: method.isEqual(to: "DELETE")
        case 7: method.isEqual(to: "OPTIONS")
        default: false
        }
    }
}
