import Bytes
import OpenSSL

/// The keys of one issuer, or of one tenant, as a worker uses them, and how they are chosen: by
/// `kid` and family of the algorithm among these alone, never by `kid` alone.
struct IssuerKeys {
    /// How many keys a token without `kid` may be tried with: each costs a signature check.
    private static let maxAttempts = 4

    /// What a token's header leads to.
    enum Choice {
        case candidates(ExaminedToken.Candidates)
        /// There is no such key, but a newer set may have it.
        case lacking(TokenError)
    }

    /// A key and its check. A class, so that going through them copies none of their parts.
    private final class Entry {
        let key: JWK
        let family: KeyFamily
        /// Made when a token is first checked with it: it takes as long as several signatures, and
        /// a set may have 256 keys.
        private(set) lazy var check = try? VerificationKey(key.publicKey)

        init(_ key: JWK) {
            self.key = key
            family = key.publicKey.family
        }
    }

    private enum State {
        case neverObtained
        case published([Entry])
        case secret([UInt8], SecretKey)
    }

    private var state: State
    /// Another one with each change of the keys, and never one that another set of the verifier's
    /// had. A cached token verified under an older one is looked up anew.
    private(set) var generation: UInt64

    /// No keys yet, or the secret, which never changes.
    init(secret: [UInt8]?, generation: UInt64) {
        if let secret, let key = try? SecretKey(secret) {
            state = .secret(secret, key)
        } else {
            state = secret == nil ? .neverObtained : .published([])
        }
        self.generation = generation
    }

    /// Whether there are keys, or a set without a usable one.
    var areAvailable: Bool {
        if case .neverObtained = state { return false }
        return true
    }

    /// Takes a new set, or none any more. Keys that stay keep their prepared checks; a set that
    /// changes nothing leaves the generation alone. A secret is never replaced. Returns whether
    /// anything changed.
    mutating func replace(with set: JWKSet?, generation next: UInt64) -> Bool {
        switch (state, set) {
        case (.secret, _), (.neverObtained, nil): return false
        case (.published, nil): state = .neverObtained
        case (.neverObtained, let set?): state = .published(Self.entries(of: set, keeping: []))
        case (.published(let old), let set?):
            let new = Self.entries(of: set, keeping: old)
            if new.map(\.key) == old.map(\.key) { return false }
            state = .published(new)
        }
        generation = next
        return true
    }

    private static func entries(of set: JWKSet, keeping old: [Entry]) -> [Entry] {
        set.keys.map { key in old.first { $0.key == key } ?? Entry(key) }
    }

    /// Whether a key that a token was verified with is still one of them. Nil stands for the
    /// secret.
    func contains(_ key: JWK?) -> Bool {
        switch state {
        case .neverObtained: false
        case .secret: key == nil
        case .published(let entries): entries.contains { $0.key == key }
        }
    }

    /// Finds the keys that may have signed a token with this header.
    func choose(for header: JOSEHeader) throws(TokenError) -> Choice {
        switch state {
        case .neverObtained: return .lacking(.keysUnavailable)
        case .secret(let octets, _): return .candidates(.secret(octets))
        case .published(let entries):
            let family = header.algorithm.family
            var isKnown = false
            var first: Entry?
            var others: [JWK] = []
            for i in entries.indices where entries[i].family == family {
                let entry = entries[i]
                if let keyID = header.keyID {
                    guard let own = entry.key.keyID, own.isExactly(keyID) else { continue }
                }
                isKnown = true
                guard entry.key.fits(header.algorithm) else { continue }
                if first == nil { first = entry } else { others.append(entry.key) }
            }
            guard let first else {
                // The key is known, so fetching the set again could not help.
                if isKnown, header.keyID != nil { throw .badAlgorithm }
                return .lacking(.unknownKey)
            }
            if others.isEmpty { return .candidates(.key(first.key)) }
            guard others.count < Self.maxAttempts else { throw .unknownKey }
            return .candidates(.keys([first.key] + others))
        }
    }

    /// Checks the signature of a token with those of its candidates that are still held.
    func check(_ examined: ExaminedToken) throws(TokenError) -> VerifiedToken {
        switch (state, examined.candidates) {
        case (.secret(_, let secret), .secret):
            if let verified = examined.verified(under: .secret(secret)) { return verified }
        case (.published(let entries), .key(let key)):
            if let verified = Self.check(examined, key, among: entries) { return verified }
        case (.published(let entries), .keys(let keys)):
            for key in keys {
                if let verified = Self.check(examined, key, among: entries) { return verified }
            }
        case (.neverObtained, _): throw .keysUnavailable
        default: break
        }
        throw .badSignature
    }

    private static func check(
        _ examined: ExaminedToken, _ key: JWK, among entries: [Entry]
    ) -> VerifiedToken? {
        for i in entries.indices where entries[i].key == key {
            return entries[i].check.flatMap { examined.verified(under: .key(key, $0)) }
        }
        return nil
    }
}
