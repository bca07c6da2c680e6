import JWT

/// Tokens for a long time, signed with the key of RFC 7515, appendix A.3, under different names.
enum SignedToken {
    static let one = """
        eyJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tLyIs\
        ImF1ZCI6Imh0dHBzOi8vYXBpLmV4YW1wbGUuY29tIiwic3ViIjoiYWxpY2UiLCJleHAiOjQxMDI0NDQ4MDB9.\
        SW6vBAffETafQzY2OVvrNk9pAZO5XkJ7SfxEinq6kLbE_3dH89VwICw9AiKorzlUTMDlklj0KhfyWfgA_mN0U\
        g
        """
    static let two = """
        eyJhbGciOiJFUzI1NiIsImtpZCI6InR3byJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tLyIs\
        ImF1ZCI6Imh0dHBzOi8vYXBpLmV4YW1wbGUuY29tIiwic3ViIjoiYWxpY2UiLCJleHAiOjQxMDI0NDQ4MDB9.\
        qJoMhVTbdpQ799E33RGNVfZit5mS5dj6VyVbllf917yO_fLhxF-0_zpX_3Fj6Jv_lekolrWc52RCOxTd7kZtT\
        w
        """
    static let acme = """
        eyJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tL2Fj\
        bWUvdjIuMCIsImF1ZCI6Imh0dHBzOi8vYXBpLmV4YW1wbGUuY29tIiwic3ViIjoiYWxpY2UiLCJleHAiOjQxM\
        DI0NDQ4MDB9.GCCgdMCQSWZ9lEkBoe2N90WWd49wn7RiFDjZt0tqsYhIhpNENB0h6hDG6gaduAYB7hF1bprVS\
        OhpDtIXcbWToA
        """
}

/// A JWK Set with that key under these names.
func keySet(_ names: String...) throws -> JWKSet {
    try JWKSet(parsing: Array(keySetText(names).utf8).span)
}

/// Such a set's text.
func keySetText(_ names: [String]) -> String {
    let keys = names.map {
        """
        {"kty":"EC","crv":"P-256","kid":"\($0)","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",\
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
        """
    }
    return "{\"keys\":[\(keys.joined(separator: ","))]}"
}

/// A token that nobody signed, with a `kid` of the test's choice.
func forged(kid: String, issuer: String = "https://login.example.com/") -> String {
    let header = #"{"alg":"ES256","kid":"\#(kid)"}"#
    let claims =
        #"{"iss":"\#(issuer)","aud":"https://api.example.com","exp":4102444800}"#
    let parts = [Array(header.utf8), Array(claims.utf8), [UInt8](repeating: 7, count: 64)]
    return parts.map { String(decoding: Base64URL.encode($0), as: UTF8.self) }
        .joined(separator: ".")
}
