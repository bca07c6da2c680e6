import JWT
import OpenSSL

/// The instant at which the minted tokens are one minute old.
let mintedAt: Int64 = 1_700_000_060

/// The rules that the minted tokens meet.
func rules(_ change: (inout IssuerRules) -> Void = { _ in }) -> IssuerRules {
    var rules = IssuerRules(
        name: "login", issuer: "https://login.example.com/", audiences: ["https://api.example.com"])
    change(&rules)
    return rules
}

/// The same for an issuer that signs with the shared secret.
func secretRules(_ change: (inout IssuerRules) -> Void = { _ in }) -> IssuerRules {
    rules {
        $0.secret = decoded(sharedSecret)
        change(&$0)
    }
}

/// The octets of a base64url text that the tests wrote.
func decoded(_ text: String) -> [UInt8] {
    let text = Array(text.utf8)
    return Base64URL.decode(text.span) ?? []
}

func encoded(_ bytes: [UInt8]) -> String {
    String(decoding: Base64URL.encode(bytes), as: UTF8.self)
}

/// HMAC (RFC 2104) over SHA-256, written out, so that the tests can mint what they like.
func hmac(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
    let key = key.count > 64 ? digest(key) : key
    let block = key + [UInt8](repeating: 0, count: 64 - key.count)
    return digest(block.map { $0 ^ 0x5c } + digest(block.map { $0 ^ 0x36 } + message))
}

private func digest(_ bytes: [UInt8]) -> [UInt8] { SHA256.digest(of: bytes.span) }

/// A token whose three segments are right, whatever stands in them.
func mint(_ claims: [UInt8], header: [UInt8], key: [UInt8]) -> String {
    let input = encoded(header) + "." + encoded(claims)
    return input + "." + encoded(hmac(Array(input.utf8), key: key))
}

/// A token signed with the shared secret.
func mint(_ claims: String, header: String = #"{"alg":"HS256"}"#) -> String {
    mint(Array(claims.utf8), header: Array(header.utf8), key: decoded(sharedSecret))
}

/// Claims that are right, with members added, or put in the place of those of the same name. A nil
/// value leaves the member out. Values are JSON.
func claims(_ changes: [(String, String?)] = []) -> String {
    var members: [(String, String?)] = [
        ("iss", #""https://login.example.com/""#), ("aud", #""https://api.example.com""#),
        ("sub", #""alice""#), ("iat", "1700000000"), ("exp", "1700003600"),
    ]
    for (name, value) in changes {
        members.removeAll { $0.0 == name }
        members.append((name, value))
    }
    let written = members.compactMap { name, value in value.map { "\"\(name)\":\($0)" } }
    return "{" + written.joined(separator: ",") + "}"
}

/// A JWK of the vectors with further members, written as they shall stand, comma included.
func jwk(_ name: String, adding members: String = "") -> String {
    (publicJWKs[name] ?? "{}").dropLast() + members + "}"
}

/// A set of JWKs.
func keySet(_ keys: String...) throws -> JWKSet { try keySet(of: keys) }

func keySet(of keys: [String]) throws -> JWKSet {
    let text = Array("{\"keys\":[\(keys.joined(separator: ","))]}".utf8)
    return try JWKSet(parsing: text.span)
}

/// Every key of the vectors under its own name.
func allKeys() throws -> JWKSet {
    try keySet(of: publicJWKs.keys.sorted().map { jwk($0, adding: ",\"kid\":\"\($0)\"") })
}

/// What a verifier says of a token: nil for verified.
func refusal(
    _ token: String, by verifier: TokenVerifier, now: Int64 = mintedAt,
    admitting: AdmittedIssuers = .all
) -> TokenError? {
    do {
        let bytes = Array(token.utf8)
        _ = try verifier.verify(bytes.span, admitting: admitting, now: now)
        return nil
    } catch {
        return error
    }
}

/// The same for one issuer of these rules and this set.
func refusal(
    _ token: String, under rules: IssuerRules = secretRules(), with keys: JWKSet? = nil,
    now: Int64 = mintedAt
) -> TokenError? {
    let verifier = TokenVerifier([rules])
    if let keys { verifier.replaceKeys(of: KeyPlace(issuer: 0), with: keys) }
    return refusal(token, by: verifier, now: now)
}

/// Verifies a token that must be right.
func verified(
    _ token: String, by verifier: TokenVerifier, now: Int64 = mintedAt
) throws -> VerifiedToken {
    let bytes = Array(token.utf8)
    return try verifier.verify(bytes.span, now: now)
}
