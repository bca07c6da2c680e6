package import JSON

/// What a route asks of one claim. Matching is typed: 1 is not `"1"`, 1 is 1.0.
package enum ClaimMatcher: Equatable, Sendable {
    /// The whole claim is this value.
    case equals(JSONValue)
    /// The claim is a scalar of this list.
    case isIn([JSONValue])
    /// The claim is an array that holds this scalar.
    case contains(JSONValue)
    /// The claim is there (and not null), or is not.
    case present(Bool)

    /// Whether a claim passes; nil where the token has none.
    package func accepts(_ claim: JSONValue?) -> Bool {
        switch self {
        case .equals(let value): claim == value
        case .isIn(let list): claim.map { $0.isScalar && list.contains($0) } ?? false
        case .contains(let scalar): claim?.array?.contains(scalar) ?? false
        case .present(let wanted): (claim.map { !$0.isNull } ?? false) == wanted
        }
    }
}
