/// Whose keys: an issuer's, or one tenant's of an issuer with a pattern. What crosses threads to
/// name a key set.
package struct KeyPlace: Hashable, Sendable {
    /// The issuer's place in the configuration.
    package let issuer: Int
    /// The tenant; nil for an issuer without tenants. Its form was checked: TenantRules.swift.
    package let tenant: String?

    /// A place.
    package init(issuer: Int, tenant: String? = nil) {
        self.issuer = issuer
        self.tenant = tenant
    }
}

/// A key that a token needs and nobody here has: what a look at the issuer may bring.
package struct KeyNeed: Equatable, Sendable {
    /// Whose keys.
    package let place: KeyPlace
    /// Names the key's family and `kid` among those that are missed: keyed, so that collisions
    /// cannot be written down.
    package let hash: UInt64
    /// The refusal where nobody waits: `unknownKey`, or `keysUnavailable` where there never was a
    /// set.
    package let refusal: TokenError

    /// A need.
    package init(place: KeyPlace, hash: UInt64, refusal: TokenError) {
        self.place = place
        self.hash = hash
        self.refusal = refusal
    }
}
