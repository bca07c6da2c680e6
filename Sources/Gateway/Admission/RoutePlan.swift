internal import Authorization
internal import Configuration
internal import JWT

/// What happens to a request that a route lets pass: one worker's copy, in the form in which it is
/// written out.
final class RoutePlan {
    /// Which Host the upstream sees.
    enum Host {
        case preserve
        case endpoint
        case name([UInt8])
    }

    /// Where a claim goes. A class, so that going through them copies none of their parts.
    final class ClaimField {
        /// The field's name with its colon.
        let name: [UInt8]
        let claim: ClaimName

        init(name: [UInt8], claim: ClaimName) {
            self.name = name
            self.claim = claim
        }
    }

    let name: [UInt8]
    let pool: UpstreamPool
    let timeouts: StreamTimeouts
    /// Most bytes of a request's body.
    let maxBody: Int64
    /// The scopes that a challenge lists.
    let scope: String?
    let host: Host
    let forwardsToken: Bool
    /// Whether either of the prefixes changes the path.
    let rewritesPath: Bool
    let stripPrefix: [UInt8]
    let addPrefix: [UInt8]
    let claimFields: [ClaimField]
    let requestEdits: FieldEdits
    let responseEdits: FieldEdits

    init(_ route: Configuration.Route, pool: UpstreamPool, timeouts: StreamTimeouts) {
        name = Array(route.rules.name.utf8)
        self.pool = pool
        self.timeouts = timeouts
        maxBody = route.maxBody.map(Int64.init) ?? .max
        scope = route.rules.scopes.challenge
        host =
            switch route.upstreamHost {
            case .preserve: .preserve
            case .endpoint: .endpoint
            case .name(let name): .name(Array(name.utf8))
            }
        forwardsToken = route.forwardToken
        stripPrefix = Array(route.rewrite.stripPrefix.utf8)
        addPrefix = Array(route.rewrite.addPrefix.utf8)
        rewritesPath = !stripPrefix.isEmpty || !addPrefix.isEmpty
        claimFields = route.rules.claimHeaders.map {
            ClaimField(name: Array("\($0.field): ".utf8), claim: $0.claim)
        }
        requestEdits = FieldEdits(route.requestFields)
        responseEdits = FieldEdits(route.responseFields)
    }
}
