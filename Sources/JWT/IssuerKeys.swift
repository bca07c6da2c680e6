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
        private(set) var made: VerificationKey?
        private let askForTable: VerificationKey.TableRequest

        init(_ key: JWK, _ askForTable: @escaping VerificationKey.TableRequest) {
            self.key = key
            family = key.publicKey.family
            self.askForTable = askForTable
        }

        var check: VerificationKey? {
            if let made { return made }
            made = try? VerificationKey(key.publicKey, askForTable: askForTable)
            return made
        }
    }

    /// The keys of a set. A class, so that a look at the state counts one reference.
    private final class Published {
        let entries: [Entry]
        /// The header that last led to one key, and that key: an issuer's tokens share a header
        /// until it signs with another key.
        private var last: (header: JOSEHeader, key: JWK)?

        init(_ entries: [Entry]) {
            self.entries = entries
        }

        /// The key that the header led to, if it was the last one.
        func recall(_ header: JOSEHeader) -> JWK? {
            guard let last, last.header === header else { return nil }
            return last.key
        }

        func remember(_ header: JOSEHeader, _ key: JWK) {
            last = (header, key)
        }
    }

    private final class Secret {
        let octets: [UInt8]
        let check: SecretKey

        init(_ octets: [UInt8], _ check: SecretKey) {
            self.octets = octets
            self.check = check
        }
    }

    private enum State {
        case neverObtained
        case published(Published)
        case secret(Secret)
    }

    private var state: State
    /// Another one with each change of the keys, and never one that another set of the verifier's
    /// had. A cached token verified under an older one is looked up anew.
    private(set) var generation: UInt64
    private let askForTable: VerificationKey.TableRequest

    /// No keys yet, or the secret, which never changes.
    init(
        secret: [UInt8]?, generation: UInt64, askForTable: @escaping VerificationKey.TableRequest
    ) {
        if let secret, let key = try? SecretKey(secret) {
            state = .secret(Secret(secret, key))
        } else {
            state = secret == nil ? .neverObtained : .published(Published([]))
        }
        self.generation = generation
        self.askForTable = askForTable
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
        case (.neverObtained, let set?):
            state = .published(Published(entries(of: set, keeping: [])))
        case (.published(let old), let set?):
            let new = entries(of: set, keeping: old.entries)
            if new.map(\.key) == old.entries.map(\.key) { return false }
            state = .published(Published(new))
        }
        generation = next
        return true
    }

    private func entries(of set: JWKSet, keeping old: [Entry]) -> [Entry] {
        set.keys.map { key in old.first { $0.key == key } ?? Entry(key, askForTable) }
    }

    /// Takes a table that one of these keys asked for. Keys that have checked nothing yet ask for
    /// themselves, should it come to that.
    func adopt(_ table: PointTable) {
        guard case .published(let published) = state else { return }
        for entry in published.entries { entry.made?.adopt(table) }
    }

    /// Whether a key that a token was verified with is still one of them. Nil stands for the
    /// secret.
    func contains(_ key: JWK?) -> Bool {
        switch state {
        case .neverObtained: false
        case .secret: key == nil
        case .published(let published): published.entries.contains { $0.key == key }
        }
    }

    /// Finds the keys that may have signed a token with this header.
    func choose(for header: JOSEHeader) throws(TokenError) -> Choice {
        switch state {
        case .neverObtained: return .lacking(.keysUnavailable)
        case .secret(let secret): return .candidates(.secret(secret.octets))
        case .published(let published):
            if let key = published.recall(header) { return .candidates(.key(key)) }
            let entries = published.entries
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
            if others.isEmpty {
                published.remember(header, first.key)
                return .candidates(.key(first.key))
            }
            guard others.count < Self.maxAttempts else { throw .unknownKey }
            return .candidates(.keys([first.key] + others))
        }
    }

    /// Checks the signature of a token with those of its candidates that are still held.
    func check(_ examined: ExaminedToken) throws(TokenError) -> VerifiedToken {
        switch (state, examined.candidates) {
        case (.secret(let secret), .secret):
            if let verified = examined.verified(under: .secret(secret.check)) { return verified }
        case (.published(let published), .key(let key)):
            if let verified = check(examined, key, among: published) { return verified }
        case (.published(let published), .keys(let keys)):
            for key in keys {
                if let verified = check(examined, key, among: published) { return verified }
            }
        case (.neverObtained, _): throw .keysUnavailable
        default: break
        }
        throw .badSignature
    }

    private func check(
        _ examined: ExaminedToken, _ key: JWK, among published: Published
    ) -> VerifiedToken? {
        for entry in published.entries where entry.key == key {
            return entry.check.flatMap { examined.verified(under: .key(key, $0)) }
        }
        return nil
    }
}
