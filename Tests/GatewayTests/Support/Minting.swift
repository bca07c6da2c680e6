import EventLoop
import JWT
import OpenSSL

/// The issuer's secret.
let sharedSecret = Array("0123456789abcdef0123456789abcdef".utf8)

/// A token of the issuer for one hour, with further claims as JSON members.
func token(_ members: String = "", scope: String = "") -> String {
    let now = Instant.unixMilliseconds / 1000
    let scope = scope.isEmpty ? "" : #","scope":"\#(scope)""#
    let more = members.isEmpty ? "" : "," + members
    return mint(
        """
        {"iss":"https://login.example.com/","aud":"https://api.example.com","sub":"alice",\
        "iat":\(now - 60),"exp":\(now + 3540)\(scope)\(more)}
        """)
}

/// A token of these claims, signed with the secret.
func mint(_ claims: String) -> String {
    let header = Base64URL.encode(Array(#"{"alg":"HS256"}"#.utf8))
    let input = header + Array(".".utf8) + Base64URL.encode(Array(claims.utf8))
    let signature = Base64URL.encode(hmac(input, key: sharedSecret))
    return String(decoding: input + Array(".".utf8) + signature, as: UTF8.self)
}

/// HMAC (RFC 2104) over SHA-256, for keys of one block at most.
private func hmac(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
    let block = key + [UInt8](repeating: 0, count: 64 - key.count)
    let inner = SHA256.digest(of: (block.map { $0 ^ 0x36 } + message).span)
    return SHA256.digest(of: (block.map { $0 ^ 0x5c } + inner).span)
}
