/// When one set of keys is looked for, and for how long it is believed. Times are milliseconds.
package struct KeyFetchPolicy: Sendable, Equatable {
    /// Where the set is to be had.
    package var location: KeyLocation
    /// The most time between two looks, and the time where the issuer names none; nil where the
    /// configuration is silent.
    package var refresh: Int64?
    /// How long one look may take, from the name's look-up to the last byte.
    package var timeout: Int64 = 5_000
    /// How long keys are used after the last look that succeeded.
    package var maxStale: Int64 = 86_400_000
    /// The least time between the starts of two looks that unknown keys caused.
    package var unknownKeyCooldown: Int64 = 30_000
    /// Whether a set of which there are no keys is looked for only when tokens ask for it: those of
    /// tenants are, whose names come from tokens that nobody has verified.
    package var isOnDemand = false

    /// The time between two looks where neither the issuer nor the configuration names one.
    package static let defaultRefresh: Int64 = 600_000

    /// The defaults of the configuration.
    package init(location: KeyLocation) {
        self.location = location
    }

    /// The same policy for one tenant; nil where the tenant's name gives no URL.
    package func forTenant(_ tenant: String) -> KeyFetchPolicy? {
        guard let location = location.forTenant(tenant) else { return nil }
        var policy = self
        policy.location = location
        policy.isOnDemand = true
        return policy
    }

    /// How long a set is fresh for which the issuer asked for this time, if it asked: never longer
    /// than it is believed, or keys would be withdrawn while the issuer is well.
    package func lifetime(freshFor: Int64?) -> Int64 {
        let wanted = freshFor ?? refresh ?? Self.defaultRefresh
        return max(1, min(wanted, refresh ?? .max, maxStale))
    }
}
