import Bytes
import JSON
import OpenSSL

/// When a token is valid: whole seconds since 1970.
package struct TokenLifetime: Sendable, Equatable {
    /// The later of `nbf` and `iat`, if there is any.
    package let begins: Int64?
    /// `exp`, if there is one.
    package let expires: Int64?
    /// Seconds by which clocks may differ; at both ends.
    package let leeway: Int64

    /// A lifetime of dates within 2^53.
    package init(begins: Int64?, expires: Int64?, leeway: Int64) {
        self.begins = begins
        self.expires = expires
        self.leeway = leeway
    }

    /// Valid while `now` is below `exp` and leeway, and not before the beginning less leeway. Dates
    /// are within 2^53, so the sums cannot overflow.
    package func check(at now: Int64) throws(TokenError) {
        if let expires, now &- leeway >= expires { throw .expired }
        if let begins, now &+ leeway < begins { throw .notYetValid }
    }

    /// The same check as a question.
    package func contains(_ now: Int64) -> Bool {
        if let expires, now &- leeway >= expires { return false }
        if let begins, now &+ leeway < begins { return false }
        return true
    }
}

/// The checks of a claims set that need no key (RFC 7519, section 4.1). They come before the
/// signature, which costs a hundred times as much.
///
/// A class, since a struct of as many parts would be copied, each part counted, by each call.
final class ClaimChecks: Sendable {
    private let rules: IssuerRules
    /// Admitted types without `application/`; an absent `typ` by the flag.
    private let types: [[UInt8]]
    private let admitsNoType: Bool
    private let audiences: [[UInt8]]
    private let requiredClaims: [ClaimName]

    init(_ rules: IssuerRules) {
        self.rules = rules
        types = rules.types.compactMap { type in
            type.map { Array($0.utf8.dropFirst(Self.prefixCount($0.utf8Span.span))) }
        }
        admitsNoType = rules.types.contains { $0 == nil }
        audiences = rules.audiences.map { Array($0.utf8) }
        requiredClaims = rules.requiredClaims
    }

    /// Whether the algorithm may be used at all.
    func admits(_ algorithm: SignatureAlgorithm) -> Bool {
        rules.admits(algorithm)
    }

    /// Whether the header's `typ` is of an admitted kind: RFC 7515, section 4.1.9 leaves out
    /// `application/`, and media types are compared without case.
    func check(type: String?) throws(TokenError) {
        guard let type else {
            if admitsNoType { return }
            throw .wrongType
        }
        let text = type.utf8Span
        let bytes = text.span.extracting(droppingFirst: Self.prefixCount(text.span))
        for admitted in types where bytes.isEqualIgnoringCase(to: admitted.span) { return }
        throw .wrongType
    }

    /// Checks times, required claims and the audience; gives the times.
    func check(
        _ claims: JSONDocument, _ registered: RegisteredClaims, at now: Int64
    ) throws(TokenError) -> TokenLifetime {
        let lifetime = try lifetime(of: claims, registered)
        try lifetime.check(at: now)
        try checkAudience(registered.audience, in: claims)
        for name in requiredClaims {
            guard let node = name.value(in: claims), !claims.isNull(node) else {
                throw .missingClaim(name.text)
            }
        }
        return lifetime
    }

    private func lifetime(
        of claims: JSONDocument, _ registered: RegisteredClaims
    ) throws(TokenError) -> TokenLifetime {
        let expires = try end(registered.expires, in: claims)
        let notBefore = try beginning(registered.notBefore, in: claims)
        let issued = try beginning(registered.issuedAt, in: claims)
        if expires == nil, !rules.allowsNoExpiry || rules.maxLifetime != nil {
            throw .missingClaim("exp")
        }
        if let maxLifetime = rules.maxLifetime, let expires {
            guard let issued else { throw .missingClaim("iat") }
            guard expires &- issued <= maxLifetime else { throw .badToken }
        }
        let begins = notBefore.map { max($0, issued ?? $0) } ?? issued
        return TokenLifetime(begins: begins, expires: expires, leeway: rules.leeway)
    }

    /// Null, text and numbers out of bounds are bad, not absent.
    private func end(_ node: JSONNode?, in claims: JSONDocument) throws(TokenError) -> Int64? {
        guard let node else { return nil }
        guard let seconds = NumericDate.floor(node, in: claims) else { throw .badToken }
        return seconds
    }

    private func beginning(
        _ node: JSONNode?, in claims: JSONDocument
    ) throws(TokenError) -> Int64? {
        guard let node else { return nil }
        guard let seconds = NumericDate.ceiling(node, in: claims) else { throw .badToken }
        return seconds
    }

    private func checkAudience(
        _ claim: JSONNode?, in claims: JSONDocument
    ) throws(TokenError) {
        if rules.allowsNoAudience, audiences.isEmpty { return }
        for audience in audiences where AudienceClaim.names(audience.span, claim, in: claims) {
            return
        }
        if claim != nil { throw .wrongAudience }
        if !rules.allowsNoAudience { throw .missingClaim("aud") }
    }

    private static func prefixCount(_ type: Span<UInt8>) -> Int {
        let prefix: StaticString = "application/"
        let count = prefix.utf8CodeUnitCount
        guard type.count >= count,
            type.extracting(first: count).isEqualIgnoringCase(to: prefix)
        else { return 0 }
        return count
    }
}
