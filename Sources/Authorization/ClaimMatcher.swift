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
    package func accepts(_ claim: JSONNode?, in claims: JSONDocument) -> Bool {
        guard let claim else {
            if case .present(let wanted) = self { return !wanted }
            return false
        }
        switch self {
        case .equals(let value): return claims.isEqual(claim, to: value)
        case .isIn(let list):
            if claims.isContainer(claim) { return false }
            for value in list where claims.isEqual(claim, to: value) { return true }
            return false
        case .contains(let scalar):
            var element = claims.first(in: claim)
            while let member = element {
                if claims.isEqual(member, to: scalar) { return true }
                element = claims.next(after: member, in: claim)
            }
            return false
        case .present(let wanted): return claims.isNull(claim) != wanted
        }
    }
}
