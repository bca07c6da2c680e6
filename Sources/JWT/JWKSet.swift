import Bytes
package import JSON
import OpenSSL

/// The usable keys of a JWK Set (RFC 7517, section 5): plain data that crosses threads.
///
/// A key that cannot be used is skipped with a reason; the others live. `oct` keys are never taken
/// from a set: whoever may read the set could sign.
package struct JWKSet: Sendable, Equatable {
    /// Why a text gives no set at all.
    package enum Failure: Error, Equatable, Sendable {
        /// Longer than `maxBytes`.
        case tooLarge
        /// Not the JSON we take.
        case invalidJSON(JSONError)
        /// JSON, but no object with an array `keys`.
        case notAKeySet
        /// More than `maxKeys` keys.
        case tooManyKeys
    }

    /// Most bytes of a set; real ones have 1 to 20 KiB.
    package static let maxBytes = 512 << 10
    /// Most keys of a set.
    package static let maxKeys = 256
    /// How deep a set's JSON may be: a key of its own may carry whatever else it likes.
    private static let maxDepth = 256

    /// The usable keys, in the order of the set.
    package let keys: [JWK]
    /// The others.
    package let skipped: [SkippedKey]

    /// Reads a set's text. A key whose own JSON is ambiguous is skipped; outside of the keys
    /// nothing is taken that RFC 7493 does not.
    package init(parsing text: Span<UInt8>) throws(Failure) {
        guard text.count <= Self.maxBytes else { throw .tooLarge }
        let document: JSONDocument
        do {
            document = try JSONDocument(
                parsing: [UInt8](copying: text), maxDepth: Self.maxDepth, maxBytes: Self.maxBytes,
                keepsFaults: true)
        } catch {
            throw .invalidJSON(error)
        }
        var faultsLeft = document.faults.count
        var members: [(value: JSONValue, isAmbiguous: Bool)]?
        if let array = document.member(JSONName("keys")), document.kind(of: array) == .array {
            members = []
            var next = document.first(in: array)
            while let member = next {
                let faults = document.countFaults(in: member)
                faultsLeft -= faults
                members?.append((document.value(of: member), faults > 0))
                next = document.next(after: member, in: array)
            }
        }
        if faultsLeft > 0, let fault = document.faults.first { throw .invalidJSON(fault) }
        guard let members else { throw .notAKeySet }
        try self.init(members)
    }

    /// Reads a set that stands in a larger text; offsets are those of that text.
    package init(_ value: JSONValue) throws(Failure) {
        guard let members = value.object?["keys"]?.array else { throw .notAKeySet }
        try self.init(members.map { ($0, false) })
    }

    private init(_ members: [(value: JSONValue, isAmbiguous: Bool)]) throws(Failure) {
        guard members.count <= Self.maxKeys else { throw .tooManyKeys }
        var found: [(key: JWK, place: SkippedKey.Place)] = []
        var skipped: [SkippedKey] = []
        for (index, member) in members.enumerated() {
            let place = SkippedKey.Place(index: index, member.value)
            do throws(SkippedKey.Reason) {
                if member.isAmbiguous { throw .ambiguous }
                found.append((try JWK(member.value), place))
            } catch {
                skipped.append(SkippedKey(place, error))
            }
        }
        var keys: [JWK] = []
        for (i, (key, place)) in found.enumerated() {
            if found.contains(where: { key.conflicts(with: $0.key) }) {
                skipped.append(SkippedKey(place, .conflictingKeyID))
            } else if found[..<i].contains(where: { $0.key == key }) {
                skipped.append(SkippedKey(place, .duplicate))
            } else {
                keys.append(key)
            }
        }
        self.keys = keys
        self.skipped = skipped.sorted { $0.index < $1.index }
    }
}

extension JWKSet {
    /// Whether both hold the same keys, in whatever order: some issuers' order changes from answer
    /// to answer.
    package func hasSameKeys(as other: JWKSet) -> Bool {
        keys.count == other.keys.count && keys.allSatisfy(other.keys.contains)
    }

    /// Whether both skipped the same keys for the same reasons, wherever they stood.
    package func hasSameSkipped(as other: JWKSet) -> Bool {
        skipped.elementsEqual(other.skipped) {
            $0.index == $1.index && $0.reason == $1.reason
        }
    }
}

extension JWK {
    /// One `kid` and family for two different keys: neither can be told from the other, so both go.
    fileprivate func conflicts(with other: JWK) -> Bool {
        keyID != nil && publicKey.family == other.publicKey.family
            && thumbprint != other.thumbprint && hasKeyID(of: other)
    }
}

/// A member of a JWK Set that was not taken, and why.
package struct SkippedKey: Sendable, Equatable {
    /// Why a key cannot be used.
    package enum Reason: Error, Equatable, Sendable {
        /// The member is no JSON object.
        case notAnObject
        /// A member's name occurs twice in it (RFC 7517, section 4), or a text in it has half of a
        /// character.
        case ambiguous
        /// A member that keys of this type must have.
        case missingMember(String)
        /// A member of the wrong type, or no base64 where there must be.
        case badMember(String)
        /// A `kty` we do not know, such as `AKP`.
        case unknownType
        /// A `crv` that is not for signatures, or unknown.
        case unknownCurve
        /// A secret (`oct`): never taken from a set.
        case symmetric
        /// A private key: whoever reads the set can sign.
        case privateKey
        /// `use` or `key_ops` is for something else than checking signatures.
        case notForSignatures
        /// `alg` is unknown, not for signatures, or not for this type of key.
        case unsuitableAlgorithm
        /// RSA with a modulus below 2048 or above 16384 bits, or an unsafe exponent.
        case weak
        /// Numbers that are no key of this type: off the curve, wrong length, small order.
        case invalidKey
        /// The same `kid` and family as another, different key.
        case conflictingKeyID
        /// The same as an earlier key.
        case duplicate
    }

    /// The place among the set's keys, from 0.
    package let index: Int
    /// Its `kid`, if it is a string. It comes from outside: not for logs as it stands.
    package let keyID: String?
    /// The offset of the key in its text.
    package let offset: Int
    /// Why it was skipped.
    package let reason: Reason

    fileprivate struct Place {
        let index: Int
        let keyID: String?
        let offset: Int

        init(index: Int, _ value: JSONValue) {
            self.index = index
            keyID = value.object?["kid"]?.string
            offset = value.offset
        }
    }

    fileprivate init(_ place: Place, _ reason: Reason) {
        index = place.index
        keyID = place.keyID
        offset = place.offset
        self.reason = reason
    }
}
