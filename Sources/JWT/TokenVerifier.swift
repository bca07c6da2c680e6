import Bytes
package import JSON

/// A token whose signature and claims were found right under the rules of its issuer. Holding one
/// shows that: nothing but the verifier below makes it.
package final class VerifiedToken: Sendable {
    /// The issuer's place in the configuration. A route that does not admit it must refuse the
    /// token.
    package let issuerIndex: Int
    /// All claims.
    package let claims: JSONObject
    /// The scopes of all claims that carry them.
    package let scopes: ScopeSet
    /// `aud`, as strings.
    package let audiences: [String]
    /// `sub`, if it is a string.
    package let subject: String?
    /// `jti`, if it is a string: the token's name in logs.
    package let tokenID: String?
    /// From when to when it is valid.
    package let lifetime: TokenLifetime
    /// The key it was verified with; nil for the issuer's secret.
    package let key: JWK?
    /// The generation of the issuer's keys at that time.
    package let keyGeneration: UInt64
    /// The verifier's policy number.
    package let policyNumber: UInt64

    fileprivate init(
        _ token: UnverifiedToken, _ issuer: TokenVerifier.Issuer, at issuerIndex: Int,
        lifetime: TokenLifetime, audiences: [String], key: JWK?, policyNumber: UInt64
    ) {
        self.issuerIndex = issuerIndex
        // Without the room to grow that the reader's array may have: cached tokens are many.
        claims = JSONObject(members: token.claims.members.map { $0 })
        scopes = ScopeSet(issuer.rules.scopeClaims, in: token.claims)
        self.audiences = audiences
        subject = token.claims["sub"]?.string
        tokenID = token.claims["jti"]?.string
        self.lifetime = lifetime
        self.key = key
        keyGeneration = issuer.keys.generation
        self.policyNumber = policyNumber
    }
}

/// Verifies tokens for one worker: holds every issuer's rules and keys. Not shared between threads.
package final class TokenVerifier {
    fileprivate struct Issuer {
        let rules: IssuerRules
        let checks: ClaimChecks
        var keys: IssuerKeys
    }

    /// The number of the policy it follows; tokens verified under another do not count.
    package let policyNumber: UInt64
    private var issuers: [Issuer]
    private let maxTokenBytes: Int

    /// A verifier for issuers in the order of the configuration. Keys come later; only secrets are
    /// there from the start.
    package init(_ rules: [IssuerRules], policyNumber: UInt64 = 0, maxTokenBytes: Int = 16 << 10) {
        issuers = rules.map { rules in
            Issuer(
                rules: rules, checks: ClaimChecks(rules), keys: IssuerKeys(secret: rules.secret))
        }
        self.policyNumber = policyNumber
        self.maxTokenBytes = maxTokenBytes
    }

    /// Takes a new key set for an issuer. Tokens verified with a key that is gone end with it.
    package func replaceKeys(ofIssuer index: Int, with set: JWKSet) {
        issuers[index].keys.replace(with: set)
    }

    /// Whether the issuer's keys were ever obtained.
    package func hasKeys(ofIssuer index: Int) -> Bool {
        issuers[index].keys.areAvailable
    }

    /// Verifies what follows `Bearer ` in the field. The signature comes last: whatever is cheaper
    /// to find wrong is found first.
    ///
    /// - Parameters:
    ///   - admitted: the issuers that the route takes.
    ///   - now: seconds since 1970.
    package func verify(
        _ token: Span<UInt8>, admitting admitted: AdmittedIssuers = .all, now: Int64
    ) throws(TokenError) -> VerifiedToken {
        guard token.count <= maxTokenBytes else { throw .tooLarge }
        let parsed = try UnverifiedToken(parsing: token)
        let index = try issuerIndex(of: parsed.claims, admitted)
        let issuer = issuers[index]
        guard issuer.rules.admits(parsed.header.algorithm) else { throw .badAlgorithm }
        try issuer.checks.check(type: parsed.header.type)
        let (lifetime, audiences) = try issuer.checks.check(parsed.claims, at: now)
        let key = try issuer.keys.keyVerifying(
            parsed, signed: token.extracting(first: parsed.signedCount))
        return VerifiedToken(
            parsed, issuer, at: index, lifetime: lifetime, audiences: audiences, key: key,
            policyNumber: policyNumber)
    }

    /// Whether a token verified earlier would still be: same policy, time not over, key still
    /// trusted. `generation` is the one of the issuer's keys at which the key was last seen among
    /// them; it moves on with each look.
    func stillTrusts(_ token: VerifiedToken, generation: inout UInt64, now: Int64) -> Bool {
        let index = token.issuerIndex
        guard token.policyNumber == policyNumber, index < issuers.count,
            token.lifetime.contains(now)
        else { return false }
        let current = issuers[index].keys.generation
        if generation == current { return true }
        guard issuers[index].keys.contains(token.key) else { return false }
        generation = current
        return true
    }

    private func issuerIndex(
        of claims: JSONObject, _ admitted: AdmittedIssuers
    ) throws(TokenError) -> Int {
        guard let name = claims["iss"]?.string,
            let index = issuers.firstIndex(where: { $0.rules.issuer.isExactly(name) }),
            admitted.admits(index)
        else { throw .unknownIssuer }
        return index
    }
}
