internal import Authorization
internal import Bytes
internal import Configuration
internal import EventLoop
internal import HTTP
internal import JSON
internal import JWT
internal import OpenSSL
internal import Telemetry

/// What became of a request at the door.
enum Verdict: ~Copyable {
    case admitted(UpstreamRequest)
    case refused(Answer)
    /// To be judged again, the same bytes, when it is settled or its time is up.
    case waiting(PendingVerdict)
}

/// The door: from a request's head to a request for the upstream, or a refusal.
///
/// Everything is judged on one canonical form of what was received, and that form is what is
/// forwarded. One worker has one, with keys, cache and routes of its own.
final class Admission {
    private let routeTable: RouteTable
    private let authorizer: Authorizer
    private let tokens: TokenReader
    private let fieldNames: FieldNamePolicy
    private let plans: [RoutePlan]
    private let issuerNames: [[UInt8]]
    private let realm: String
    private let worker: Worker
    private var ids = RequestIDs()
    private var clock = Timestamp()
    /// The canonical path, where it is not the received one.
    private var pathBuffer = ByteBuffer()

    init(_ configuration: Configuration, pools: [UpstreamPool], worker: Worker) {
        let rules = configuration.routes.map(\.rules)
        routeTable = RouteTable(rules.map(\.pattern))
        authorizer = Authorizer(rules)
        tokens = TokenReader(configuration, authorizer, worker: worker)
        fieldNames = FieldNamePolicy(removing: configuration.removedFields)
        plans = configuration.routes.map { route in
            let upstream = configuration.upstreams[route.upstream]
            return RoutePlan(
                route, pool: pools[route.upstream],
                timeouts: StreamTimeouts(upstream.timeouts, route.timeouts))
        }
        issuerNames = configuration.issuers.map { Array($0.name.utf8) }
        realm = configuration.realm
        self.worker = worker
    }

    // MARK: Keys and those who wait for them

    /// Takes a new key set; nil withdraws the keys. Requests that wait for them are judged again.
    func replaceKeys(of place: KeyPlace, with set: JWKSet?) {
        tokens.replaceKeys(of: place, with: set)
    }

    /// A look for keys that was asked for came to its end: see `WorkerMessage.lookEnded`.
    func lookEnded(_ place: KeyPlace, didSucceed: Bool, nextAt: Int64) {
        tokens.lookEnded(place, didSucceed: didSucceed, nextAt: nextAt)
    }

    /// The pool has checked signatures.
    func take(_ results: [VerificationResult]) {
        tokens.take(results)
    }

    /// The pool has made a table that a key asked for.
    func adopt(_ table: PointTable) {
        tokens.adopt(table)
    }

    /// A request has waited as long as it may. It can be judged again at once.
    func expire(_ pending: PendingVerdict) {
        worker.counters.verdictsLate &+= 1
        tokens.endWait(of: pending)
        pending.expire()
    }

    /// A request that waits is not judged any more: its client has gone, or broke its own word.
    func forget(_ pending: PendingVerdict) {
        tokens.endWait(of: pending)
        pending.forget()
        if let head = pending.takeHead() { worker.requestHeads.giveBack(head) }
    }

    /// The end of a request whose client went before there was a verdict.
    func abandon(_ pending: PendingVerdict) {
        forget(pending)
        let record = pending.record
        record.outcome.status = Failure.clientGone.status
        record.outcome.note(.clientGone)
        worker.finish(record, upstream: nil)
    }

    // MARK: Requests

    /// Whether a field of this name may not come from a client, in trailers as in heads.
    func isRemoved(_ name: Span<UInt8>) -> Bool {
        fieldNames.verdict(on: name) != .keep
    }

    /// Judges one request. `framing`: what delimits its body on the client's side. `pending`: the
    /// same request as it waited.
    func judge(
        _ head: RequestHead, _ bytes: Span<UInt8>, framing: BodyFraming, client: Client,
        resuming pending: PendingVerdict? = nil
    ) -> Verdict {
        let record = pending?.record ?? takeRecord(head, bytes)
        var route: RoutePlan?
        do throws(Failure) {
            let target: Target
            if let kept = pending?.target {
                target = kept
            } else {
                target = try find(head, bytes, client)
            }
            let plan = plans[target.route]
            route = plan
            if pending == nil {
                beginLine(record, head, bytes, path: target.path, route: plan.name, client)
            }
            let permit: Permit
            switch try decide(target.route, head.fields, bytes, client, record, pending) {
            case .permitted(let given): permit = given
            case .waiting(let pending):
                pending.target = target.path == .received ? target : nil
                return .waiting(pending)
            }
            if let length = head.fields.contentLength, length > plan.maxBody {
                throw .bodyTooLarge
            }
            let facts = UpstreamRequest.Facts(
                route: plan, client: client, record: record, framing: framing)
            return .admitted(write(permit, head, bytes, target.path, facts))
        } catch {
            if route == nil, pending == nil {
                beginLine(record, head, bytes, path: .received, route: [], client)
            }
            return .refused(answer(error, record, scope: route?.scope))
        }
    }

    /// The answer to what is not even a request.
    func refusal(_ failure: Failure, client: Client) -> Answer {
        let record = worker.takeRecord()
        ids.make(into: &record.id)
        if worker.isLogging {
            let none: [UInt8] = []
            let clientText = client.text
            record.id.withBytes { id in
                record.line.begin(
                    atUnixMilliseconds: worker.unixMilliseconds, clock: &clock, requestID: id,
                    client: clientText.span, method: none.span, host: none.span, path: none.span,
                    route: none.span)
            }
        }
        return answer(failure, record, scope: nil)
    }

    /// The answer to a request that was admitted and failed later.
    func answer(_ failure: Failure, _ record: RequestRecord, scope: String?) -> Answer {
        record.outcome.status = failure.status
        record.outcome.reason = failure.reason
        if failure.isRefusal { record.outcome.decision = .refused }
        return Answer(failure: failure, record: record, realm: realm, scope: scope)
    }

    // MARK: The steps

    /// Where the canonical path stands.
    enum Path {
        case received
        case rewritten
    }

    /// What a head by itself says: where it is to go.
    struct Target {
        let route: Int
        let path: Path
    }

    private func takeRecord(_ head: RequestHead, _ bytes: Span<UInt8>) -> RequestRecord {
        let record = worker.takeRecord()
        record.format = AnswerFormat(head.fields, bytes)
        record.isHead = head.isHead(bytes)
        ids.take(head.fields, bytes, into: &record.id)
        return record
    }

    private func find(
        _ head: RequestHead, _ bytes: Span<UInt8>, _ client: Client
    ) throws(Failure) -> Target {
        try checkFields(head.fields, bytes, isTrusted: client.isTrusted)
        let path = try canonicalPath(head, bytes)
        return Target(route: try matchRoute(head, bytes, path), path: path.0)
    }

    /// Drops every field that clients may not send, and refuses those that only look like one that
    /// matters.
    private func checkFields(
        _ fields: FieldSection, _ bytes: Span<UInt8>, isTrusted: Bool
    ) throws(Failure) {
        if fields.authorizationCount > 1 { throw .authorizationField }
        for index in 0..<fields.count where fields[index].kind == .other {
            switch fieldNames.verdict(on: bytes.extracting(fields[index].name)) {
            case .keep: break
            case .remove: fields.drop(index)
            case .forwarding: if !isTrusted { fields.drop(index) }
            case .refuse: throw .lookAlikeField
            }
        }
    }

    private func canonicalPath(
        _ head: RequestHead, _ bytes: Span<UInt8>
    ) throws(Failure) -> (Path, PathQuirks) {
        // No request target has a fragment (RFC 9112, section 3.2): `?x#/admin` means two things.
        if bytes.extracting(head.query).firstIndex(of: UInt8(ascii: "#")) != nil { throw .path }
        switch head.form {
        case .origin: break
        case .absolute where !head.path.isEmpty: break
        case .absolute:
            pathBuffer.removeAll(keepingCapacity: true)
            pathBuffer.append("/")
            return (.rewritten, [])
        case .authority: throw .methodNotAllowed(allow: "")
        case .asterisk: throw .path
        }
        switch CanonicalPath(of: bytes.extracting(head.path), rewritingInto: &pathBuffer) {
        case .asReceived(let quirks): return (.received, quirks)
        case .rewritten: return (.rewritten, [])
        case .refused: throw .path
        }
    }

    private func matchRoute(
        _ head: RequestHead, _ bytes: Span<UInt8>, _ path: (Path, PathQuirks)
    ) throws(Failure) -> Int {
        let method = bytes.extracting(head.method)
        let host = bytes.extracting(head.authority)
        let match =
            switch path.0 {
            case .received:
                routeTable.match(
                    host: host, path: bytes.extracting(head.path), quirks: path.1, method: method)
            case .rewritten:
                pathBuffer.withBytes {
                    routeTable.match(host: host, path: $0, quirks: path.1, method: method)
                }
            }
        switch match {
        case .route(let index): return index
        case .methodNotAllowed(let endpoint):
            throw .methodNotAllowed(allow: routeTable.allowedMethods(endpoint))
        case .noRoute: throw .noRoute
        case .badPath: throw .path
        }
    }

    /// What the rules say, if it can be said yet.
    private enum Ruling: ~Copyable {
        case permitted(Permit)
        case waiting(PendingVerdict)
    }

    private func decide(
        _ route: Int, _ fields: FieldSection, _ bytes: Span<UInt8>, _ client: Client,
        _ record: RequestRecord, _ pending: PendingVerdict?
    ) throws(Failure) -> Ruling {
        let credential: Credential
        switch try self.credential(route, fields, bytes, client, record, pending) {
        case .credential(let found): credential = found
        case .waiting(let pending): return .waiting(pending)
        }
        if case .verified(let token) = credential { identify(record, token) }
        switch authorizer.decide(route: route, credential) {
        case .permitted(let permit):
            if case .audited(let refusal) = permit.grounds {
                record.outcome.decision = .wouldRefuse
                record.outcome.reason = Failure.denied(refusal).reason
            }
            return .permitted(permit)
        case .refused(let refusal): throw .denied(refusal)
        }
    }

    private func credential(
        _ route: Int, _ fields: FieldSection, _ bytes: Span<UInt8>, _ client: Client,
        _ record: RequestRecord, _ pending: PendingVerdict?
    ) throws(Failure) -> TokenReader.Finding {
        guard authorizer.readsToken(route: route), fields.authorization >= 0 else {
            return .credential(.none)
        }
        let value = bytes.extracting(fields[fields.authorization].value)
        switch BearerToken.read(value) {
        case .otherScheme: return .credential(.none)
        case .malformed: throw .authorizationField
        case .bearer(let token):
            return try tokens.read(
                value.extracting(token.range), route: route, from: client, record, pending)
        }
    }

    private func write(
        _ permit: consuming Permit, _ head: RequestHead, _ bytes: Span<UInt8>,
        _ path: Path, _ facts: UpstreamRequest.Facts
    ) -> UpstreamRequest {
        switch path {
        case .received:
            return UpstreamRequest(
                permit, head, bytes, path: bytes.extracting(head.path), facts)
        case .rewritten:
            var canonical = ByteBuffer()
            swap(&canonical, &pathBuffer)
            defer { swap(&canonical, &pathBuffer) }
            var request: UpstreamRequest?
            var unused: Permit? = permit
            canonical.withBytes { path in
                if let permit = unused.take() {
                    request = UpstreamRequest(permit, head, bytes, path: path, facts)
                }
            }
            guard let request else { preconditionFailure("the closure runs exactly once") }
            return request
        }
    }

    // MARK: The log line

    private func beginLine(
        _ record: RequestRecord, _ head: RequestHead, _ bytes: Span<UInt8>, path: Path,
        route: [UInt8], _ client: Client
    ) {
        guard worker.isLogging else { return }
        record.id.withBytes { id in
            switch path {
            case .received:
                begin(record, id, head, bytes, bytes.extracting(head.path), route, client)
            case .rewritten:
                pathBuffer.withBytes { begin(record, id, head, bytes, $0, route, client) }
            }
        }
    }

    private func begin(
        _ record: RequestRecord, _ id: Span<UInt8>, _ head: RequestHead, _ bytes: Span<UInt8>,
        _ path: Span<UInt8>, _ route: [UInt8], _ client: Client
    ) {
        let clientText = client.text
        record.line.begin(
            atUnixMilliseconds: worker.unixMilliseconds, clock: &clock, requestID: id,
            client: clientText.span, method: bytes.extracting(head.method),
            host: bytes.extracting(head.authority), path: path, route: route.span)
    }

    private func identify(_ record: RequestRecord, _ token: VerifiedToken) {
        guard worker.isLogging else { return }
        let issuer = issuerNames[token.issuerIndex]
        let claims = token.claims.text
        record.line.identify(
            subject: claims.span.extracting(token.subjectRange), issuer: issuer.span,
            tokenID: claims.span.extracting(token.tokenIDRange))
    }
}
