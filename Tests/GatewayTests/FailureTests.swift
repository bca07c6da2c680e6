import Authorization
import Bytes
import EventLoop
import HTTP
import JWT
import Telemetry
import Testing

@testable import Gateway

/// Every failure's status, reason, challenge and form: the table of answers in CONFIG.md.
@Suite struct FailureTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let failure: Failure
        let status: Int
        let reason: Reason
        /// What stands behind the realm; nil for no challenge.
        var challenge: String?
        var isRefusal = true
        var testDescription: String { "\(failure)" }
    }

    private static func message(_ error: MessageError, _ status: Int, _ reason: Reason) -> Row {
        Row(failure: .message(error), status: status, reason: reason)
    }

    private static func token(_ error: TokenError, _ reason: Reason, _ detail: String) -> Row {
        Row(
            failure: .denied(.token(error)), status: 401, reason: reason,
            challenge: #", error="invalid_token", error_description="\#(detail)""#)
    }

    private static func upstream(_ fault: UpstreamFault, _ status: Int, _ reason: Reason) -> Row {
        Row(failure: .upstream(fault), status: status, reason: reason, isRefusal: false)
    }

    private static func scope(_ refusal: Refusal, _ reason: Reason, _ detail: String) -> Row {
        Row(
            failure: .denied(refusal), status: 403, reason: reason,
            challenge: #", error="insufficient_scope", error_description="\#(detail)", scope="a b""#
        )
    }

    private static let broken = SystemError(.connect, code: 111)

    static let rows: [Row] = [
        message(.startLine, 400, .badRequest), message(.fieldLine, 400, .badRequest),
        message(.host, 400, .badRequest), message(.contentLength, 400, .badRequest),
        message(.transferEncoding, 400, .badRequest), message(.connection, 400, .badRequest),
        message(.chunk, 400, .badRequest), message(.trailers, 400, .badRequest),
        message(.headTooLarge, 431, .tooLarge), message(.tooManyFields, 431, .tooLarge),
        message(.unknownTransferCoding, 501, .unsupported),
        message(.expectation, 417, .unsupported),
        Row(failure: .lookAlikeField, status: 400, reason: .badRequest),
        Row(failure: .path, status: 400, reason: .badPath),
        Row(failure: .noRoute, status: 404, reason: .noRoute),
        Row(failure: .methodNotAllowed(allow: "GET, HEAD"), status: 405, reason: .methodNotAllowed),
        Row(
            failure: .authorizationField, status: 400, reason: .badAuthorization,
            challenge: #", error="invalid_request", error_description="the Authorization field "#
                + #"is malformed or repeated""#),
        Row(failure: .denied(.noToken), status: 401, reason: .noToken, challenge: ""),
        token(.badToken, .badToken, "the token is malformed"),
        token(.badAlgorithm, .badAlgorithm, "the token's algorithm is not accepted"),
        token(.unknownIssuer, .unknownIssuer, "the token's issuer is not accepted"),
        token(.unknownKey, .unknownKey, "the token's key is not known"),
        token(.badSignature, .badSignature, "the token's signature is not valid"),
        token(.expired, .expired, "the token has expired"),
        token(.notYetValid, .notYetValid, "the token is not valid yet"),
        token(.wrongAudience, .wrongAudience, "the token is not meant for this API"),
        token(.wrongType, .wrongType, "the token is of another type"),
        token(.missingClaim("x"), .missingClaim, "the token lacks a claim that is needed"),
        Row(failure: .denied(.token(.keysUnavailable)), status: 503, reason: .keysUnavailable),
        Row(failure: .denied(.token(.tooLarge)), status: 431, reason: .tooLarge),
        scope(
            .insufficientScope, .insufficientScope,
            "the token lacks a scope that is needed here"),
        scope(.claimMismatch, .claimMismatch, "the token's claims do not allow this"),
        scope(.claimTooLong, .tooLarge, "a claim of the token is too long to be passed on"),
        Row(failure: .bodyTooLarge, status: 413, reason: .tooLarge),
        Row(failure: .headTimeout, status: 408, reason: .requestTimeout),
        Row(failure: .bodyTimeout, status: 408, reason: .requestTimeout),
        upstream(.unresolved, 503, .upstreamUnreachable),
        upstream(.unreachable(broken), 502, .upstreamUnreachable),
        upstream(.connectTimeout, 504, .upstreamTimeout), upstream(.noSlot, 503, .overloaded),
        upstream(.closed, 502, .upstreamIncomplete),
        upstream(.invalid(.chunk), 502, .upstreamInvalid),
        upstream(.unexpectedUpgrade, 502, .upstreamInvalid),
        upstream(.responseTimeout, 504, .upstreamTimeout),
        upstream(.bodyStalled, 504, .upstreamTimeout),
        upstream(.streamSilent, 504, .upstreamTimeout),
        Row(failure: .clientGone, status: 499, reason: .clientClosed, isRefusal: false),
    ]

    private func written(
        _ failure: Failure, _ format: AnswerFormat = .problem, isHead: Bool = false,
        _ next: Answer.Next = .stays, scope: String? = "a b"
    ) -> String {
        let record = RequestRecord()
        record.id.append("id-1")
        record.format = format
        record.isHead = isHead
        var date = DateField()
        date.update(unixSeconds: 784_111_777)
        var output = ByteBuffer()
        Answer(failure: failure, record: record, realm: "my api", scope: scope)
            .write(to: &output, next, date: date)
        return output.text
    }

    @Test("Each failure has its status, reason, challenge, and one sentence", arguments: rows)
    func table(_ row: Row) throws {
        #expect(row.failure.status == row.status)
        #expect(row.failure.reason == row.reason)
        #expect(row.failure.isRefusal == row.isRefusal)
        let answer = written(row.failure)
        #expect(answer.hasPrefix("HTTP/1.1 \(row.status) "))
        let challenge = row.challenge.map { #"Bearer realm="my api""# + $0 }
        #expect(answer.value(of: "WWW-Authenticate") == challenge)
        #expect(answer.value(of: "Retry-After") == (row.status == 503 ? "5" : nil))
        #expect(answer.value(of: "Allow") == (row.status == 405 ? "GET, HEAD" : nil))
        #expect(
            answer.hasSuffix(
                #""status":\#(row.status),"detail":"\#(row.failure.detail)","requestId":"id-1"}"#
                    + "\n"))
        #expect(answer.contains(#"{"type":"urn:bearward:problem:\#(row.reason.code)","title":""#))
        #expect(!"\(row.failure.detail)".contains { $0 == "\"" || $0 == "\\" || !$0.isASCII })
    }

    @Test("The table has every reason that is not told elsewhere")
    func everyReason() {
        let covered = Set(Self.rows.map(\.reason.rawValue))
        let missing = Reason.allCases.filter { !covered.contains($0.rawValue) }
        #expect(missing == [.upstreamTLS])
    }

    @Test("An answer is whole, byte for byte, in each form")
    func forms() {
        let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        let common = "X-Request-Id: id-1\r\nCache-Control: no-store\r\n"
        #expect(
            written(.noRoute) == "HTTP/1.1 404 Not Found\r\n\(date)\(common)"
                + "Content-Type: application/problem+json\r\nContent-Length: 144\r\n\r\n"
                + #"{"type":"urn:bearward:problem:no_route","title":"Not Found","status":404,"#
                + #""detail":"nothing is served at this host and path","requestId":"id-1"}"# + "\n")
        #expect(
            written(.noRoute, .text) == "HTTP/1.1 404 Not Found\r\n\(date)\(common)"
                + "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 65\r\n\r\n"
                + "Not Found: nothing is served at this host and path\nrequest: id-1\n")
        #expect(
            written(.noRoute, .grpc) == "HTTP/1.1 200 OK\r\n\(date)\(common)"
                + "Content-Type: application/grpc\r\ngrpc-status: 12\r\n"
                + "grpc-message: nothing is served at this host and path\r\n"
                + "Content-Length: 0\r\n\r\n")
        #expect(written(.noRoute, isHead: true).hasSuffix("Content-Length: 144\r\n\r\n"))
        #expect(written(.noRoute, .problem, .ends).contains("\r\nConnection: close\r\n"))
        #expect(written(.noRoute, .grpc, .keepsAlive).contains("\r\nConnection: keep-alive\r\n"))
    }

    @Test("A challenge without scopes to list lists none")
    func noScope() {
        let answer = written(.denied(.claimMismatch), scope: nil)
        #expect(answer.value(of: "WWW-Authenticate")?.contains("scope=") == false)
    }

    @Test(
        "gRPC's callers get gRPC's status",
        arguments: [
            (Failure.denied(.noToken), 16), (.denied(.token(.expired)), 16),
            (.denied(.insufficientScope), 7), (.noRoute, 12), (.methodNotAllowed(allow: "GET"), 12),
            (.path, 13), (.bodyTooLarge, 8), (.message(.headTooLarge), 8), (.headTimeout, 4),
            (.upstream(.closed), 14), (.upstream(.noSlot), 14), (.upstream(.responseTimeout), 14),
            (.denied(.token(.keysUnavailable)), 14),
        ])
    func grpc(_ failure: Failure, _ status: Int) {
        #expect(written(failure, .grpc).value(of: "grpc-status") == "\(status)")
    }

    @Test(
        "The form follows Content-Type and Accept",
        arguments: [
            ("", AnswerFormat.problem), ("Accept: */*", .problem), ("Accept: text/plain", .text),
            ("Accept: TEXT/PLAIN;q=0.5", .text), ("Accept: text/*", .text),
            ("Accept: text/plain, */*;q=0.1", .problem), ("Accept: text/html", .problem),
            ("Accept: text/html, text/plain", .text),
            ("Accept: text/plain, application/json", .problem),
            ("Accept: application/problem+json, text/plain", .problem),
            ("Accept: text/plain, application/*", .problem), ("Accept: text/plainx", .problem),
            ("Accept:", .problem), ("Accept: ,,", .problem), ("Accept: ;", .problem),
            ("Content-Type: application/grpc", .grpc),
            ("Content-Type: Application/gRPC+proto", .grpc),
            ("Content-Type: application/grpc;x=y", .grpc),
            ("Content-Type: application/grpc ;x", .grpc),
            ("Content-Type: application/grpc-web", .problem),
            ("Content-Type: application/grp", .problem),
            ("Content-Type: application/json", .problem),
            ("Content-Type: application/grpc\r\nAccept: text/plain", .grpc),
            ("Content-Type: text/plain\r\nAccept: text/plain", .text),
        ])
    func answerFormat(_ fields: String, _ expected: AnswerFormat) throws {
        let lines = fields.isEmpty ? "" : fields + "\r\n"
        try withFields(lines) { section, bytes in
            #expect(AnswerFormat(section, bytes) == expected)
        }
    }
}

extension ByteBuffer {
    /// The contents as text.
    var text: String {
        withBytes { bytes in
            var copy: [UInt8] = []
            for index in bytes.indices { copy.append(bytes[index]) }
            return String(decoding: copy, as: UTF8.self)
        }
    }
}

/// The fields of a request with these lines.
func withFields(_ lines: String, _ body: (FieldSection, Span<UInt8>) throws -> Void) throws {
    let head = RequestHead(maxFields: 100)
    let bytes = Array(get("/", lines).utf8)
    try #require(try head.parse(bytes.span))
    try body(head.fields, bytes.span)
}
