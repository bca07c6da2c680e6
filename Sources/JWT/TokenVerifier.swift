import Bytes
import JSON
package import OpenSSL

/// Verifies tokens for one worker: holds every issuer's rules and keys. Not shared between threads.
///
/// In two steps, `examine` and `complete`, so that a token may wait for keys or be checked in
/// another thread; `verify` is both.
package final class TokenVerifier {
    /// A class, so that a look at the rules copies none of their parts.
    private final class Issuer {
        let rules: IssuerRules
        let checks: ClaimChecks
        let scopeClaims: [ClaimName]
        let isPattern: Bool
        /// The header that was last found right: most tokens of an issuer have one and the same.
        private var lastHeader: JOSEHeader?

        init(_ rules: IssuerRules) {
            self.rules = rules
            checks = ClaimChecks(rules)
            scopeClaims = rules.scopeClaims
            isPattern = rules.tenants != nil
        }

        /// Whether algorithm and type of tokens with this header are admitted.
        func check(_ header: JOSEHeader) throws(TokenError) {
            if header === lastHeader { return }
            guard checks.admits(header.algorithm) else { throw .badAlgorithm }
            try checks.check(type: header.type)
            lastHeader = header
        }
    }

    /// The number of the policy it follows; tokens verified under another do not count.
    package let policyNumber: UInt64
    private let issuers: [Issuer]
    private let maxTokenBytes: Int
    /// The issuers' keys in their order, then those of tenants.
    private var keys: [IssuerKeys]
    /// Where the keys of each tenant are, that has any.
    private var tenantSlots: [KeyPlace: Int] = [:]
    private var freeSlots: [Int] = []
    /// The latest generation of any keys.
    private var generation: UInt64 = 0
    private let headers = RecentHeaders()
    private let askForTable: VerificationKey.TableRequest
    /// Of the hashes that name missing keys.
    private let seed = UInt64.random(in: .min ... .max)

    /// A verifier for issuers in the order of the configuration. Keys come later; only secrets are
    /// there from the start.
    ///
    /// `askForTable`: asked for what makes checks with a busy key faster, to be passed to `adopt`.
    package init(
        _ rules: [IssuerRules], policyNumber: UInt64 = 0, maxTokenBytes: Int = 16 << 10,
        askForTable: @escaping VerificationKey.TableRequest = { _ in }
    ) {
        issuers = rules.map { Issuer($0) }
        keys = rules.map { IssuerKeys(secret: $0.secret, generation: 0, askForTable: askForTable) }
        self.askForTable = askForTable
        self.policyNumber = policyNumber
        self.maxTokenBytes = maxTokenBytes
    }

    // MARK: Keys

    /// Takes a new key set; nil withdraws the keys, as if they had never been obtained. Tokens
    /// verified with a key that is gone end with it. Returns whether anything changed.
    @discardableResult
    package func replaceKeys(of place: KeyPlace, with set: JWKSet?) -> Bool {
        guard place.issuer < issuers.count else { return false }
        generation &+= 1
        if place.tenant == nil {
            return keys[place.issuer].replace(with: set, generation: generation)
        }
        guard issuers[place.issuer].rules.tenants != nil else { return false }
        if let slot = tenantSlots[place] {
            if set == nil {
                tenantSlots[place] = nil
                freeSlots.append(slot)
            }
            return keys[slot].replace(with: set, generation: generation)
        }
        guard let set else { return false }
        let slot = freeSlots.popLast() ?? keys.count
        if slot == keys.count {
            keys.append(
                IssuerKeys(secret: nil, generation: generation, askForTable: askForTable))
        }
        tenantSlots[place] = slot
        return keys[slot].replace(with: set, generation: generation)
    }

    /// Whether there are keys, or a set without a usable one.
    package func hasKeys(of place: KeyPlace) -> Bool {
        slot(of: place).map { keys[$0].areAvailable } ?? false
    }

    /// Takes a table that was asked for, for each issuer that has its key.
    package func adopt(_ table: PointTable) {
        for keys in keys { keys.adopt(table) }
    }

    private func slot(of place: KeyPlace) -> Int? {
        place.tenant == nil ? place.issuer : tenantSlots[place]
    }

    // MARK: Tokens

    /// Verifies what follows `Bearer ` in the field, here and now.
    ///
    /// - Parameters:
    ///   - admitted: the issuers that the route takes.
    ///   - now: seconds since 1970.
    package func verify(
        _ token: Span<UInt8>, admitting admitted: AdmittedIssuers = .all, now: Int64
    ) throws(TokenError) -> VerifiedToken {
        switch try examine(token, admitting: admitted, now: now) {
        case .ready(let examined): return try complete(examined)
        case .lacksKey(let need): throw need.refusal
        }
    }

    /// Checks everything but the signature, which costs a hundred times as much. Parameters as for
    /// `verify`.
    package func examine(
        _ token: Span<UInt8>, admitting admitted: AdmittedIssuers = .all, now: Int64
    ) throws(TokenError) -> Examination {
        guard token.count <= maxTokenBytes else { throw .tooLarge }
        let parsed = try UnverifiedToken(parsing: token, remembering: headers)
        let place = try place(of: parsed, admitted)
        let issuer = issuers[place.issuer]
        try issuer.check(parsed.header)
        let lifetime = try issuer.checks.check(parsed.claims, parsed.registered, at: now)
        guard let slot = slot(of: place) else {
            return .lacksKey(need(place, parsed.header, .keysUnavailable))
        }
        switch try keys[slot].choose(for: parsed.header) {
        case .lacking(let refusal): return .lacksKey(need(place, parsed.header, refusal))
        case .candidates(let candidates):
            return .ready(
                ExaminedToken(
                    place: place, token: parsed, bytes: [UInt8](copying: token),
                    lifetime: lifetime, scopeClaims: issuer.scopeClaims, candidates: candidates,
                    keySlot: slot, keyGeneration: keys[slot].generation,
                    policyNumber: policyNumber))
        }
    }

    /// Checks the signature of a token that this verifier has examined.
    package func complete(_ examined: ExaminedToken) throws(TokenError) -> VerifiedToken {
        guard examined.policyNumber == policyNumber, let slot = slot(of: examined.place) else {
            throw .keysUnavailable
        }
        return try keys[slot].check(examined)
    }

    /// Whether a token that was verified elsewhere, or a while ago, would still be: same policy,
    /// time not over, key still trusted.
    package func stillTrusts(_ token: VerifiedToken, now: Int64) -> Bool {
        var generation = token.keyGeneration
        return stillTrusts(token, generation: &generation, now: now)
    }

    /// The same. `generation` is the one of the issuer's keys at which the key was last seen among
    /// them; it moves on with each look.
    func stillTrusts(_ token: VerifiedToken, generation: inout UInt64, now: Int64) -> Bool {
        guard token.policyNumber == policyNumber, token.keySlot < keys.count,
            token.lifetime.contains(now)
        else { return false }
        // A generation belongs to one set alone, so another's in the same slot is never taken for
        // it.
        if generation == keys[token.keySlot].generation { return true }
        guard let slot = slot(of: token.place), keys[slot].contains(token.key) else {
            return false
        }
        generation = keys[slot].generation
        return true
    }

    // MARK: Parts

    /// The issuer by its exact `iss`; where there is none, by a pattern with tenants.
    private func place(
        of token: borrowing UnverifiedToken, _ admitted: AdmittedIssuers
    ) throws(TokenError) -> KeyPlace {
        let claims = token.claims
        guard let range = claims.string(at: token.registered.issuer) else { throw .unknownIssuer }
        let text = claims.text
        let name = text.span.extracting(range)
        for index in issuers.indices
        where !issuers[index].isPattern && issuers[index].rules.issuer.isExactly(name) {
            guard admitted.admits(index) else { throw .unknownIssuer }
            return KeyPlace(issuer: index)
        }
        for index in issuers.indices where issuers[index].isPattern {
            guard let rules = issuers[index].rules.tenants, let tenant = rules.tenant(of: name)
            else { continue }
            guard admitted.admits(index) else { throw .unknownIssuer }
            if let claim = rules.claim {
                guard let range = claims.string(at: claim.value(in: claims)),
                    tenant.isExactly(text.span.extracting(range))
                else { throw .unknownIssuer }
            }
            return KeyPlace(issuer: index, tenant: rules.sharesKeys ? nil : tenant)
        }
        throw .unknownIssuer
    }

    private func need(
        _ place: KeyPlace, _ header: JOSEHeader, _ refusal: TokenError
    ) -> KeyNeed {
        let family: UInt64 =
            switch header.algorithm.family {
            case .rsa: 0
            case .ec: 2
            case .okp: 4
            case .hmac: 6
            }
        // A token without `kid` needs another key than one whose `kid` is empty.
        let keyID = header.keyID ?? ""
        let hash = keyID.utf8Span.span.hash(
            seed: seed &+ family &+ (header.keyID == nil ? 0 : 1))
        return KeyNeed(place: place, hash: hash, refusal: refusal)
    }
}
