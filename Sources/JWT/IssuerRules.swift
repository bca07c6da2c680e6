package import OpenSSL

/// What a token of one issuer must be like: plain data, built by the configuration.
package struct IssuerRules: Sendable, Equatable {
    /// The name in the configuration.
    package var name: String
    /// The exact `iss`, or the pattern that `tenants` stand for.
    package var issuer: String
    /// A token's `aud` must name one of them.
    package var audiences: [String]
    /// Admitted algorithms; nil for all that fit the issuer's keys.
    package var algorithms: [SignatureAlgorithm]?
    /// Seconds by which clocks may differ.
    package var leeway: Int64 = 60
    /// Most seconds between `iat` and `exp`; nil for no limit.
    package var maxLifetime: Int64?
    /// Admitted `typ`; nil among them stands for an absent one.
    package var types: [String?] = Self.defaultTypes
    /// Claims that must be there and not be null, besides `exp`.
    package var requiredClaims: [ClaimName] = []
    /// Claims that carry scopes.
    package var scopeClaims: [ClaimName] = Self.defaultScopeClaims
    /// Takes tokens without `aud`, and any `aud` where `audiences` is empty.
    package var allowsNoAudience = false
    /// Takes tokens without `exp`.
    package var allowsNoExpiry = false
    /// The secret for HMAC. With one the issuer has no other key, without one no HMAC is admitted.
    package var secret: [UInt8]?
    /// Where `issuer` is a pattern: its tenants, each with keys of its own.
    package var tenants: TenantRules?

    /// Rules with the defaults of the configuration.
    package init(name: String, issuer: String, audiences: [String]) {
        self.name = name
        self.issuer = issuer
        self.audiences = audiences
    }

    /// `[null, "JWT", "at+jwt"]`
    package static let defaultTypes: [String?] = [nil, "JWT", "at+jwt"]
    /// `["scope", "scp"]`
    package static let defaultScopeClaims = ["scope", "scp"].compactMap { ClaimName($0) }

    /// Whether the algorithm may be used at all, before any key is looked at.
    func admits(_ algorithm: SignatureAlgorithm) -> Bool {
        if algorithm.family == .hmac {
            guard let secret, let hash = algorithm.hash, secret.count >= hash.byteCount else {
                return false
            }
        } else if secret != nil {
            return false
        }
        return algorithms?.contains(algorithm) ?? true
    }
}

/// The issuers whose tokens a route takes, by their place in the configuration.
package enum AdmittedIssuers: Sendable, Equatable {
    /// Every configured one.
    case all
    /// These alone.
    case only([Int])

    /// Whether the issuer is among them.
    package func admits(_ index: Int) -> Bool {
        switch self {
        case .all: true
        case .only(let indexes): indexes.contains(index)
        }
    }
}
