/// What was decided about a request.
package enum Decision: Equatable, Sendable {
    /// It was forwarded, or would have been had the upstream been there.
    case allowed
    /// It was answered here.
    case refused
    /// It was forwarded by a route in audit mode; enforced, it would have been refused.
    case wouldRefuse

    /// The word as it is written.
    package var code: StaticString {
        switch self {
        case .allowed: "allowed"
        case .refused: "refused"
        case .wouldRefuse: "would_refuse"
        }
    }
}
