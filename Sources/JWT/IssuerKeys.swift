import Bytes
import OpenSSL

/// One issuer's keys as a worker uses them, and how they are chosen: by `kid` and family of the
/// algorithm among this issuer's alone, never by `kid` alone.
struct IssuerKeys {
    /// How many keys a token without `kid` may be tried with: each costs a signature check.
    private static let maxAttempts = 4

    /// A key and its check; the identity is what a cached token remembers.
    private struct Entry {
        let key: JWK
        let check: VerificationKey
    }

    private enum State {
        case neverObtained
        case published([Entry])
        case secret(SecretKey)
    }

    private var state: State
    /// Rises with each change of the keys. A cached token verified under an older one is looked up
    /// anew.
    private(set) var generation: UInt64 = 0

    /// No keys yet, or the secret, which never changes.
    init(secret: [UInt8]?) {
        if let secret, let key = try? SecretKey(secret) {
            state = .secret(key)
        } else {
            state = secret == nil ? .neverObtained : .published([])
        }
    }

    /// Whether keys were ever obtained.
    var areAvailable: Bool {
        if case .neverObtained = state { return false }
        return true
    }

    /// Takes a new set. Keys that stay keep their prepared checks; a set that changes nothing
    /// leaves the generation alone. A secret is never replaced by a set.
    mutating func replace(with set: JWKSet) {
        var old: [Entry] = []
        switch state {
        case .secret: return
        case .neverObtained: break
        case .published(let entries): old = entries
        }
        let new = set.keys.compactMap { key -> Entry? in
            if let entry = old.first(where: { $0.key == key }) { return entry }
            return (try? VerificationKey(key.publicKey)).map { Entry(key: key, check: $0) }
        }
        if case .published = state, new.map(\.key) == old.map(\.key) { return }
        state = .published(new)
        generation &+= 1
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

    /// Finds the key under which the token's signature is right; nil stands for the secret.
    func keyVerifying(
        _ token: UnverifiedToken, signed: Span<UInt8>
    ) throws(TokenError) -> JWK? {
        let algorithm = token.header.algorithm
        switch state {
        case .neverObtained:
            throw .keysUnavailable
        case .secret(let secret):
            guard
                secret.isValid(
                    signature: token.signature.span, over: signed, algorithm: algorithm)
            else { throw .badSignature }
            return nil
        case .published(let entries):
            for entry in try Self.candidates(entries, token.header) {
                if entry.check.isValid(
                    signature: token.signature.span, over: signed, algorithm: algorithm)
                {
                    return entry.key
                }
            }
            throw .badSignature
        }
    }

    private static func candidates(
        _ entries: [Entry], _ header: JOSEHeader
    ) throws(TokenError) -> [Entry] {
        let family = header.algorithm.family
        var named = entries.filter { $0.key.publicKey.family == family }
        if let keyID = header.keyID {
            named.removeAll { $0.key.keyID.map { !$0.isExactly(keyID) } ?? true }
        }
        guard !named.isEmpty else { throw .unknownKey }
        let fitting = named.filter { $0.key.fits(header.algorithm) }
        // The key is known, so fetching the set again could not help.
        guard !fitting.isEmpty else { throw header.keyID == nil ? .unknownKey : .badAlgorithm }
        guard fitting.count <= maxAttempts else { throw .unknownKey }
        return fitting
    }
}
