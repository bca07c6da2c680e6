internal import Authorization
internal import HTTP
internal import JWT
internal import Telemetry

/// Everything that can come of a request other than a response. Whose fault it is shows in the
/// status; this file alone says which.
enum Failure: Error, Equatable {
    /// The message is malformed, or says what is not understood.
    case message(MessageError)
    /// A field that looks like another one which decides about framing or rights.
    case lookAlikeField
    /// The path is refused.
    case path
    case noRoute
    case methodNotAllowed(allow: String)
    /// `Authorization` is malformed, or there are two.
    case authorizationField
    /// The route's rules refuse it.
    case denied(Authorization.Refusal)
    /// The token's signature did not get its turn: too many tokens are being verified.
    case overloaded
    /// The body is longer than the route's `maxBody`.
    case bodyTooLarge
    /// The head did not come whole in time.
    case headTimeout
    /// The body stood still for too long, by the client's fault.
    case bodyTimeout
    case upstream(UpstreamFault)
    /// The client went before it had its response; only the log hears of it.
    case clientGone

    var status: Int {
        switch self {
        case .message(let error): Failure.status(of: error)
        case .lookAlikeField, .path, .authorizationField: 400
        case .noRoute: 404
        case .methodNotAllowed: 405
        case .denied(let refusal): Failure.status(of: refusal)
        case .overloaded: 503
        case .bodyTooLarge: 413
        case .headTimeout, .bodyTimeout: 408
        case .upstream(let fault): Failure.status(of: fault)
        case .clientGone: 499
        }
    }

    var reason: Reason {
        switch self {
        case .message(let error): Failure.reason(of: error)
        case .lookAlikeField: .badRequest
        case .path: .badPath
        case .noRoute: .noRoute
        case .methodNotAllowed: .methodNotAllowed
        case .authorizationField: .badAuthorization
        case .denied(let refusal): Failure.reason(of: refusal)
        case .overloaded: .overloaded
        case .bodyTooLarge: .tooLarge
        case .headTimeout, .bodyTimeout: .requestTimeout
        case .upstream(let fault): Failure.reason(of: fault)
        case .clientGone: .clientClosed
        }
    }

    /// Whether it is not sure where the request ends, so that nothing may follow it.
    var isAboutFraming: Bool {
        switch self {
        case .message, .lookAlikeField, .headTimeout: true
        default: false
        }
    }

    /// Whether policy refused, rather than an upstream or the network failing.
    var isRefusal: Bool {
        switch self {
        case .upstream, .clientGone: false
        default: true
        }
    }

    /// Whether a later try may succeed without any change on the client's side.
    var hasRetryAfter: Bool { status == 503 }

    private static func status(of error: MessageError) -> Int {
        switch error {
        case .headTooLarge, .tooManyFields: 431
        case .unknownTransferCoding: 501
        case .expectation: 417
        case .startLine, .fieldLine, .host, .contentLength, .transferEncoding, .connection, .chunk,
            .trailers:
            400
        }
    }

    private static func reason(of error: MessageError) -> Reason {
        switch error {
        case .headTooLarge, .tooManyFields: .tooLarge
        case .unknownTransferCoding, .expectation: .unsupported
        case .startLine, .fieldLine, .host, .contentLength, .transferEncoding, .connection, .chunk,
            .trailers:
            .badRequest
        }
    }

    private static func status(of refusal: Authorization.Refusal) -> Int {
        switch refusal {
        case .noToken: 401
        case .token(.keysUnavailable): 503
        case .token(.tooLarge): 431
        case .token: 401
        case .insufficientScope, .claimMismatch, .claimTooLong: 403
        }
    }

    private static func reason(of refusal: Authorization.Refusal) -> Reason {
        switch refusal {
        case .noToken: .noToken
        case .insufficientScope: .insufficientScope
        case .claimMismatch: .claimMismatch
        case .claimTooLong: .tooLarge
        case .token(let error): reason(of: error)
        }
    }

    private static func reason(of error: TokenError) -> Reason {
        switch error {
        case .badToken: .badToken
        case .badAlgorithm: .badAlgorithm
        case .unknownIssuer: .unknownIssuer
        case .unknownKey: .unknownKey
        case .badSignature: .badSignature
        case .expired: .expired
        case .notYetValid: .notYetValid
        case .wrongAudience: .wrongAudience
        case .wrongType: .wrongType
        case .missingClaim: .missingClaim
        case .keysUnavailable: .keysUnavailable
        case .tooLarge: .tooLarge
        }
    }

    private static func status(of fault: UpstreamFault) -> Int {
        switch fault {
        case .unreachable, .tls, .tlsBroken, .closed, .reset, .invalid, .unexpectedUpgrade: 502
        case .connectTimeout, .responseTimeout, .bodyStalled, .streamSilent: 504
        case .unresolved, .noSlot, .refused: 503
        }
    }

    private static func reason(of fault: UpstreamFault) -> Reason {
        switch fault {
        case .unresolved, .unreachable: .upstreamUnreachable
        case .connectTimeout, .responseTimeout, .bodyStalled, .streamSilent: .upstreamTimeout
        case .closed, .reset: .upstreamIncomplete
        case .tls, .tlsBroken: .upstreamTLS
        case .invalid, .unexpectedUpgrade: .upstreamInvalid
        case .noSlot, .refused: .overloaded
        }
    }
}

extension Failure {
    /// What the client may know, in a sentence without anything that it sent or we hold.
    var detail: StaticString {
        switch self {
        case .message(let error): Failure.detail(of: error)
        case .lookAlikeField: "a field's name looks like one that the proxy acts on"
        case .path: "the path is malformed or ambiguous"
        case .noRoute: "nothing is served at this host and path"
        case .methodNotAllowed: "the method is not allowed here"
        case .authorizationField: "the Authorization field is malformed or repeated"
        case .denied(let refusal): Failure.detail(of: refusal)
        case .overloaded: "too many tokens are being verified at the moment"
        case .bodyTooLarge: "the body is longer than allowed here"
        case .headTimeout: "the request did not arrive in time"
        case .bodyTimeout: "the request's body did not arrive in time"
        case .upstream(let fault): Failure.detail(of: fault)
        case .clientGone: "the client closed the connection"
        }
    }

    private static func detail(of error: MessageError) -> StaticString {
        switch error {
        case .headTooLarge: "the request's head is too large"
        case .tooManyFields: "the request has too many fields"
        case .unknownTransferCoding: "only the chunked transfer coding is understood"
        case .expectation: "only the expectation 100-continue is understood"
        case .startLine: "the request line is malformed"
        case .fieldLine: "a field line is malformed"
        case .host: "the Host field is missing, repeated or not that of the request"
        case .contentLength: "Content-Length is malformed or ambiguous"
        case .transferEncoding: "Transfer-Encoding is malformed or ambiguous"
        case .connection: "Connection names a field that is not its own"
        case .chunk: "the chunked body is malformed"
        case .trailers: "the trailer section is malformed"
        }
    }

    private static func detail(of refusal: Authorization.Refusal) -> StaticString {
        switch refusal {
        case .noToken: "a bearer token is needed"
        case .insufficientScope: "the token lacks a scope that is needed here"
        case .claimMismatch: "the token's claims do not allow this"
        case .claimTooLong: "a claim of the token is too long to be passed on"
        case .token(let error): detail(of: error)
        }
    }

    private static func detail(of error: TokenError) -> StaticString {
        switch error {
        case .badToken: "the token is malformed"
        case .badAlgorithm: "the token's algorithm is not accepted"
        case .unknownIssuer: "the token's issuer is not accepted"
        case .unknownKey: "the token's key is not known"
        case .badSignature: "the token's signature is not valid"
        case .expired: "the token has expired"
        case .notYetValid: "the token is not valid yet"
        case .wrongAudience: "the token is not meant for this API"
        case .wrongType: "the token is of another type"
        case .missingClaim: "the token lacks a claim that is needed"
        case .keysUnavailable: "tokens cannot be verified at the moment"
        case .tooLarge: "the token is too large"
        }
    }

    private static func detail(of fault: UpstreamFault) -> StaticString {
        switch fault {
        case .unresolved, .unreachable: "the upstream cannot be reached"
        case .tls, .tlsBroken: "no secure connection to the upstream could be made"
        case .connectTimeout, .responseTimeout, .bodyStalled, .streamSilent:
            "the upstream did not answer in time"
        case .closed: "the upstream closed the connection before it had answered"
        case .reset: "the upstream gave the request up before it had answered"
        case .invalid, .unexpectedUpgrade: "the upstream's response was not valid"
        case .noSlot, .refused: "the upstream is busy"
        }
    }
}

extension ExchangeOutcome {
    /// Notes why the exchange failed.
    mutating func note(_ failure: Failure) {
        reason = failure.reason
        if case .upstream(let fault) = failure { detail = fault.detail }
    }
}
