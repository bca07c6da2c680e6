package import JWT

/// What a route asks for, as configured: plain data from which each worker builds its own
/// `RouteTable` and `Authorizer`.
package struct RouteRules: Sendable {
    /// Whether a token is needed.
    package enum Access: Sendable {
        /// One is needed.
        case token
        /// None passes without identity; one that is there must be wholly right.
        case optional
        /// None is read.
        case open
    }

    /// What happens on a refusal.
    package enum Mode: Sendable {
        /// It is refused.
        case enforce
        /// It passes, and the log says what would have been refused.
        case audit
    }

    /// What logs call the route.
    package var name: String
    /// Host, path, methods and allowed quirks.
    package var pattern: RoutePattern
    /// Whether a token is needed.
    package var access = Access.token
    /// What happens on a refusal.
    package var mode = Mode.enforce
    /// Whose tokens it takes.
    package var issuers = AdmittedIssuers.all
    /// `aud` must name one of these as well; empty for no such rule.
    package var audiences: [String] = []
    /// Scopes that are needed.
    package var scopes = ScopeRule()
    /// What claims must be.
    package var claims: [ClaimRule] = []
    /// Fields that carry claims.
    package var claimHeaders: [ClaimHeader] = []

    /// Rules of a route that needs a token and nothing more.
    package init(name: String, pattern: RoutePattern) {
        self.name = name
        self.pattern = pattern
    }
}

/// Scopes that a route needs.
package struct ScopeRule: Equatable, Sendable {
    /// All of these.
    package var all: [String]
    /// One of these, where there are any.
    package var any: [String]

    /// A rule; without scopes it asks for nothing.
    package init(all: [String] = [], any: [String] = []) {
        self.all = all
        self.any = any
    }

    /// What a challenge lists (RFC 6750, section 3): `all`, then `any`; nil where nothing is
    /// needed.
    package var challenge: String? {
        all.isEmpty && any.isEmpty ? nil : (all + any).joined(separator: " ")
    }
}

/// What a route asks of one claim.
package struct ClaimRule: Equatable, Sendable {
    /// The claim.
    package let claim: ClaimName
    /// What it must be.
    package let matcher: ClaimMatcher

    /// A rule.
    package init(_ claim: ClaimName, _ matcher: ClaimMatcher) {
        self.claim = claim
        self.matcher = matcher
    }
}

/// A request field that carries a claim.
package struct ClaimHeader: Equatable, Sendable {
    /// The field's name, as configured.
    package let field: String
    /// The claim.
    package let claim: ClaimName

    /// A field.
    package init(field: String, claim: ClaimName) {
        self.field = field
        self.claim = claim
    }
}
