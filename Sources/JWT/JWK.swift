import Bytes
import JSON
package import OpenSSL

/// A public key of a JWK Set that can check signatures (RFC 7517, section 4): plain data. A class,
/// since every token verified with it names it.
package final class JWK: Sendable, Equatable {
    /// `kid`; a key without one serves only tokens without one.
    package let keyID: String?
    /// `alg`: the only algorithm it serves.
    package let algorithm: SignatureAlgorithm?
    /// The key.
    package let publicKey: PublicKey
    /// The SHA-256 thumbprint of RFC 7638.
    package let thumbprint: [UInt8]

    /// Reads one member of a set's `keys`; refuses what could never check a signature, or never
    /// should.
    init(_ value: JSONValue) throws(SkippedKey.Reason) {
        guard let members = value.object else { throw .notAnObject }
        keyID = try Self.text("kid", members)
        guard let type = try Self.text("kty", members) else { throw .missingMember("kty") }
        guard Self.types.contains(where: type.isExactly) else {
            throw type.isExactly("oct") ? .symmetric : .unknownType
        }
        if Self.privateMembers.contains(where: { members[$0] != nil }) { throw .privateKey }
        try Self.checkUse(members)
        (publicKey, thumbprint) = try Self.key(type, members)
        if let name = try Self.text("alg", members) {
            guard let algorithm = SignatureAlgorithm(name: name), publicKey.fits(algorithm) else {
                throw .unsuitableAlgorithm
            }
            self.algorithm = algorithm
        } else {
            algorithm = nil
        }
    }

    /// Whether signatures of this algorithm may be checked with it.
    package func fits(_ wanted: SignatureAlgorithm) -> Bool {
        guard publicKey.fits(wanted) else { return false }
        guard let algorithm, algorithm != wanted else { return true }
        // RFC 9864: `EdDSA` with a curve and the curve's own name are the same algorithm.
        return publicKey.family == .okp
    }

    /// Whether both would be trusted for exactly the same tokens.
    package static func == (left: JWK, right: JWK) -> Bool {
        if left === right { return true }
        guard left.thumbprint == right.thumbprint, left.algorithm == right.algorithm else {
            return false
        }
        return left.hasKeyID(of: right)
    }

    /// Whether both have the same `kid`, or none.
    func hasKeyID(of other: JWK) -> Bool {
        switch (keyID, other.keyID) {
        case (nil, nil): true
        case (let mine?, let theirs?): mine.isExactly(theirs)
        default: false
        }
    }
}

extension JWK {
    private static let types = ["RSA", "EC", "OKP"]

    /// RFC 7518, sections 6.2.2 and 6.3.2; RFC 8037, section 2. Any one of them gives the key away.
    private static let privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth"]

    /// RFC 7517, sections 4.2 and 4.3: where they say what the key is for, it must be this.
    private static func checkUse(_ members: JSONObject) throws(SkippedKey.Reason) {
        if let use = try text("use", members), !use.isExactly("sig") { throw .notForSignatures }
        guard let operations = members["key_ops"] else { return }
        guard let names = operations.array else { throw .badMember("key_ops") }
        guard names.contains(where: { $0.string?.isExactly("verify") ?? false }) else {
            throw .notForSignatures
        }
    }

    private static func key(
        _ type: String, _ members: JSONObject
    ) throws(SkippedKey.Reason) -> (PublicKey, thumbprint: [UInt8]) {
        do {
            if type.isExactly("RSA") { return try rsaKey(members) }
            if type.isExactly("EC") { return try ecKey(members) }
            return try okpKey(members)
        } catch let reason as SkippedKey.Reason {
            throw reason
        } catch OpenSSLError.unsuitableModulus, OpenSSLError.unsuitableExponent {
            throw .weak
        } catch {
            throw .invalidKey
        }
    }

    private static func rsaKey(_ members: JSONObject) throws -> (PublicKey, thumbprint: [UInt8]) {
        // Some issuers write the sign octet of a signed big integer: leading zeros do not count.
        let n = Array(try octets("n", members).drop { $0 == 0 })
        let e = Array(try octets("e", members).drop { $0 == 0 })
        let key = try PublicKey(modulus: n, exponent: e)
        return (key, thumbprint([("e", e)], kty: "RSA", [("n", n)]))
    }

    private static func ecKey(_ members: JSONObject) throws -> (PublicKey, thumbprint: [UInt8]) {
        guard let curve = EllipticCurve(name: try curveName(members)) else {
            throw SkippedKey.Reason.unknownCurve
        }
        let x = coordinate(try octets("x", members), of: curve)
        let y = coordinate(try octets("y", members), of: curve)
        let key = try PublicKey(curve: curve, x: x, y: y)
        let name = "\"crv\":\"\(curve.name)\","
        return (key, thumbprint(prefix: name, kty: "EC", [("x", x), ("y", y)]))
    }

    private static func okpKey(_ members: JSONObject) throws -> (PublicKey, thumbprint: [UInt8]) {
        guard let curve = EdwardsCurve(name: try curveName(members)) else {
            throw SkippedKey.Reason.unknownCurve
        }
        let x = try octets("x", members)
        let key = try PublicKey(curve: curve, x: x)
        let name = "\"crv\":\"\(curve.name)\","
        return (key, thumbprint(prefix: name, kty: "OKP", [("x", x)]))
    }

    private static func curveName(_ members: JSONObject) throws(SkippedKey.Reason) -> String {
        guard let name = try text("crv", members) else { throw .missingMember("crv") }
        return name
    }

    /// RFC 7518, section 6.2.1.2 asks for full length; issuers that print a big integer drop
    /// leading zeros or add a sign octet. The number is the same.
    private static func coordinate(_ octets: [UInt8], of curve: EllipticCurve) -> [UInt8] {
        let digits = octets.drop { $0 == 0 }
        let missing = curve.coordinateByteCount - digits.count
        guard missing >= 0 else { return Array(digits) }
        return [UInt8](repeating: 0, count: missing) + digits
    }

    private static func octets(
        _ name: String, _ members: JSONObject
    ) throws(SkippedKey.Reason) -> [UInt8] {
        guard let text = try text(name, members) else { throw .missingMember(name) }
        guard let bytes = Base64URL.decodeLeniently(text.utf8Span.span) else {
            throw .badMember(name)
        }
        return bytes
    }

    /// A string that may be absent; `null` is not absent.
    private static func text(
        _ name: String, _ members: JSONObject
    ) throws(SkippedKey.Reason) -> String? {
        guard let value = members[name] else { return nil }
        guard let text = value.string else { throw .badMember(name) }
        return text
    }

    /// RFC 7638, section 3: the required members alone, in order of their names, without white
    /// space.
    private static func thumbprint(
        _ before: [(String, [UInt8])] = [], prefix: String = "", kty: String,
        _ after: [(String, [UInt8])]
    ) -> [UInt8] {
        var text = Array("{".utf8) + Array(prefix.utf8)
        for (name, value) in before {
            text += Array("\"\(name)\":\"".utf8) + Base64URL.encode(value) + Array("\",".utf8)
        }
        text += Array("\"kty\":\"\(kty)\"".utf8)
        for (name, value) in after {
            text += Array(",\"\(name)\":\"".utf8) + Base64URL.encode(value) + Array("\"".utf8)
        }
        text += Array("}".utf8)
        return SHA256.digest(of: text.span)
    }
}
