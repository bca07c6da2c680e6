internal import HTTP

/// Why a request to the admin listener is refused.
enum AdminFault: Error, Equatable {
    /// The message is no request as HTTP/1.1 has it.
    case malformed(MessageError)
    /// The head was not whole in time.
    case timeout
    /// A browser's page asks, or someone who reached us by another's name.
    case foreign
    /// Nothing is there.
    case notFound
    /// Another method than GET or HEAD, at a path that is read.
    case readOnly
    /// Another method than POST, at a path that does something.
    case postOnly
    /// A query that the path does not understand.
    case query
    /// A body, for which nothing here has a use, of more than a few bytes.
    case bodyTooLarge
    /// All places are taken by others who just came.
    case busy
    /// No issuer of the configuration has this name.
    case unknownIssuer

    /// The status that answers it.
    var status: Int {
        switch self {
        case .malformed(.headTooLarge), .malformed(.tooManyFields): 431
        case .malformed(.unknownTransferCoding): 501
        case .malformed(.expectation): 417
        case .malformed, .query: 400
        case .timeout: 408
        case .foreign: 403
        case .notFound, .unknownIssuer: 404
        case .readOnly, .postOnly: 405
        case .bodyTooLarge: 413
        case .busy: 503
        }
    }

    /// The problem's type, as in the data plane's answers where they have the same.
    var code: StaticString {
        switch self {
        case .malformed(.headTooLarge), .malformed(.tooManyFields), .bodyTooLarge: "too_large"
        case .malformed(.unknownTransferCoding), .malformed(.expectation): "unsupported"
        case .malformed, .query: "bad_request"
        case .timeout: "request_timeout"
        case .busy: "overloaded"
        case .foreign: "foreign_origin"
        case .notFound: "not_found"
        case .unknownIssuer: "unknown_issuer"
        case .readOnly, .postOnly: "method_not_allowed"
        }
    }

    /// What to tell the caller; no word of the request is in it.
    var detail: StaticString {
        switch self {
        case .malformed(.headTooLarge): "The request's head is too large."
        case .malformed(.tooManyFields): "The request has too many fields."
        case .malformed(.unknownTransferCoding): "The transfer coding is not known."
        case .malformed(.expectation): "The expectation is not known."
        case .malformed(.host): "The Host field is missing, doubled or not a host."
        case .malformed: "The request is malformed."
        case .timeout: "The request did not arrive in time."
        case .foreign:
            """
            Web pages are refused; Host has to be an address, localhost or the configured name.
            """
        case .notFound: "Nothing is served at this path."
        case .unknownIssuer: "The configuration has no issuer of this name."
        case .readOnly, .postOnly: "The method is not served at this path; see Allow."
        case .query: "The query is not understood: only issuer, once, is."
        case .busy: "Too many ask at the same time."
        case .bodyTooLarge: "The request's body is too large."
        }
    }

    /// The methods to name, where another was used.
    var allow: StaticString? {
        switch self {
        case .readOnly: "GET, HEAD"
        case .postOnly: "POST"
        default: nil
        }
    }
}
