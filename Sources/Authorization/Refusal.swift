package import JWT

/// Why a route's rules refuse a request.
package enum Refusal: Error, Equatable, Sendable {
    /// There is no token: 401 and a bare challenge.
    case noToken
    /// The token is not good, here or anywhere.
    case token(TokenError)
    /// A scope is missing: 403.
    case insufficientScope
    /// A claim is not what the route asks: 403.
    case claimMismatch
    /// A claim is too long for the field it should fill: 403.
    case claimTooLong
}

/// What a request shows for itself.
package enum Credential {
    /// No token.
    case none
    /// A token that is refused.
    case refused(TokenError)
    /// A token found right.
    case verified(VerifiedToken)
}

/// What a route's rules say.
package enum Decision: ~Copyable {
    /// It may be forwarded.
    case permitted(Permit)
    /// It may not.
    case refused(Refusal)
}
