/// Why a request was refused or failed: the same code in the log, in metrics and in the answer's
/// problem type. The codes are a contract: new ones are added, none is renamed.
package enum Reason: UInt8, CaseIterable, Equatable, Sendable {
    // The token.
    case noToken
    case badAuthorization
    case badToken
    case badAlgorithm
    case unknownIssuer
    case unknownKey
    case badSignature
    case expired
    case notYetValid
    case wrongAudience
    case wrongType
    case missingClaim
    case insufficientScope
    case claimMismatch
    case keysUnavailable
    // The request.
    case noRoute
    case methodNotAllowed
    case badPath
    case badRequest
    case tooLarge
    case unsupported
    case requestTimeout
    case clientClosed
    case overloaded
    // The upstream.
    case upstreamUnreachable
    case upstreamTimeout
    case upstreamInvalid
    case upstreamIncomplete
    case upstreamTLS

    /// The code as it is written.
    package var code: StaticString {
        switch self {
        case .noToken: "no_token"
        case .badAuthorization: "bad_authorization"
        case .badToken: "bad_token"
        case .badAlgorithm: "bad_algorithm"
        case .unknownIssuer: "unknown_issuer"
        case .unknownKey: "unknown_key"
        case .badSignature: "bad_signature"
        case .expired: "expired"
        case .notYetValid: "not_yet_valid"
        case .wrongAudience: "wrong_audience"
        case .wrongType: "wrong_type"
        case .missingClaim: "missing_claim"
        case .insufficientScope: "insufficient_scope"
        case .claimMismatch: "claim_mismatch"
        case .keysUnavailable: "keys_unavailable"
        case .noRoute: "no_route"
        case .methodNotAllowed: "method_not_allowed"
        case .badPath: "bad_path"
        case .badRequest: "bad_request"
        case .tooLarge: "too_large"
        case .unsupported: "unsupported"
        case .requestTimeout: "request_timeout"
        case .clientClosed: "client_closed"
        case .overloaded: "overloaded"
        case .upstreamUnreachable: "upstream_unreachable"
        case .upstreamTimeout: "upstream_timeout"
        case .upstreamInvalid: "upstream_invalid"
        case .upstreamIncomplete: "upstream_incomplete"
        case .upstreamTLS: "upstream_tls"
        }
    }
}
