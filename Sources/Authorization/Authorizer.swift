import Bytes
import JSON
package import JWT

/// The leave to forward one request. Only `Authorizer` makes one, and writing the upstream's head
/// consumes it, so code that forwards what policy did not allow does not compile.
package struct Permit: ~Copyable {
    /// On what grounds it was given.
    package enum Grounds: Equatable, Sendable {
        /// A verified token that fits the route.
        case token
        /// A route that reads no token.
        case open
        /// No token, where one is optional.
        case anonymous
        /// Nothing: an audited route lets pass what it would refuse for this.
        case audited(Refusal)
    }

    /// The route's place in the configuration.
    package let route: Int
    /// On what grounds it was given.
    package let grounds: Grounds
    /// Who asks: never anything but a verified token.
    package let identity: VerifiedToken?

    fileprivate init(route: Int, grounds: Grounds, identity: VerifiedToken? = nil) {
        self.route = route
        self.grounds = grounds
        self.identity = identity
    }
}

/// Decides about requests by their routes' rules. A worker has its own, with its own copies of what
/// the rules compare, so that a decision counts no references shared between threads.
package final class Authorizer {
    private let routes: [RoutePolicy]

    /// An authorizer for routes in the order of the configuration.
    package init(_ rules: [RouteRules]) {
        routes = rules.map { RoutePolicy($0) }
    }

    /// Whether the route reads tokens at all.
    package func readsToken(route: Int) -> Bool {
        routes[route].access != .open
    }

    /// Whose tokens the route takes, for the verifier.
    package func issuers(ofRoute route: Int) -> AdmittedIssuers {
        routes[route].issuers
    }

    /// Decides about a request for a route.
    package func decide(route: Int, _ credential: Credential) -> Decision {
        let policy = routes[route]
        switch (policy.access, credential) {
        case (.open, _):
            return .permitted(Permit(route: route, grounds: .open))
        case (.optional, .none):
            return .permitted(Permit(route: route, grounds: .anonymous))
        case (.token, .none):
            return refuse(.noToken, route, nil)
        case (_, .refused(let error)):
            return refuse(.token(error), route, nil)
        case (_, .verified(let token)):
            if let refusal = policy.refusal(of: token) { return refuse(refusal, route, token) }
            return .permitted(Permit(route: route, grounds: .token, identity: token))
        }
    }

    private func refuse(_ refusal: Refusal, _ route: Int, _ token: VerifiedToken?) -> Decision {
        // Limits hold in audit too.
        guard routes[route].mode == .audit, refusal != .token(.tooLarge) else {
            return .refused(refusal)
        }
        // A token of an issuer the route does not admit is right, but proves nothing here.
        let identity = refusal == .token(.unknownIssuer) ? nil : token
        return .permitted(Permit(route: route, grounds: .audited(refusal), identity: identity))
    }
}

/// A route's rules in the form that a request is held against.
private final class RoutePolicy {
    let access: RouteRules.Access
    let mode: RouteRules.Mode
    let issuers: AdmittedIssuers
    private let audiences: [[UInt8]]
    private let allScopes: [[UInt8]]
    private let anyScopes: [[UInt8]]
    private let claims: [ClaimRule]
    private let claimHeaders: [ClaimHeader]

    init(_ rules: RouteRules) {
        access = rules.access
        mode = rules.mode
        issuers = rules.issuers.copied
        audiences = rules.audiences.map { Array($0.utf8) }
        allScopes = rules.scopes.all.map { Array($0.utf8) }
        anyScopes = rules.scopes.any.map { Array($0.utf8) }
        claims = rules.claims.map { ClaimRule($0.claim.copied, $0.matcher) }
        claimHeaders = rules.claimHeaders.map {
            ClaimHeader(field: $0.field, claim: $0.claim.copied)
        }
    }

    /// The first rule that the token does not meet; the cheap and the telling ones first.
    func refusal(of token: VerifiedToken) -> Refusal? {
        guard issuers.admits(token.issuerIndex) else { return .token(.unknownIssuer) }
        guard meetsAudiences(token) else { return .token(.wrongAudience) }
        guard meetsScopes(token) else { return .insufficientScope }
        for rule in claims {
            let claim = rule.claim.value(in: token.claims)
            guard rule.matcher.accepts(claim, in: token.claims) else { return .claimMismatch }
        }
        for header in claimHeaders {
            let claim = header.claim.value(in: token.claims)
            if ClaimFieldValue.isTooLong(claim, in: token.claims) { return .claimTooLong }
        }
        return nil
    }

    private func meetsAudiences(_ token: VerifiedToken) -> Bool {
        if audiences.isEmpty { return true }
        return audiences.contains { token.hasAudience($0.span) }
    }

    private func meetsScopes(_ token: VerifiedToken) -> Bool {
        for scope in allScopes where !token.hasScope(scope.span) { return false }
        if anyScopes.isEmpty { return true }
        return anyScopes.contains { token.hasScope($0.span) }
    }
}

extension AdmittedIssuers {
    /// The same in memory of its own.
    fileprivate var copied: AdmittedIssuers {
        switch self {
        case .all: .all
        case .only(let indexes): .only(indexes.map { $0 })
        }
    }
}

extension ClaimName {
    /// The same in memory of its own.
    fileprivate var copied: ClaimName {
        ClaimName(String(decoding: Array(text.utf8), as: UTF8.self)) ?? self
    }
}
