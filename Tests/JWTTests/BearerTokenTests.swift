import JWT
import Testing

@Suite struct BearerTokenTests {
    @Test(
        "Bearer in any case, any number of spaces, and a b64token",
        arguments: [
            ("Bearer a", "a"), ("bearer a.b.c", "a.b.c"), ("BEARER  a", "a"),
            ("bEaReR    x-._~+/=", "x-._~+/="), ("Bearer a==", "a=="), ("Bearer 0", "0"),
        ])
    func found(_ field: String, _ token: String) {
        let bytes = Array(field.utf8)
        guard case .bearer(let found) = BearerToken.read(bytes.span) else {
            Issue.record("no token in \(field)")
            return
        }
        #expect(Array(bytes[found.range]) == Array(token.utf8))
        let isWellFormed = BearerToken.isWellFormed(bytes.span.extracting(found.range))
        #expect(isWellFormed)
    }

    @Test(
        "Another scheme counts as no token",
        arguments: [
            "Basic YTpi", "Digest a=b", "Bearer2 a", "Bear er", "DPoP a", "x", "Bearerr a.b.c",
        ])
    func otherSchemes(_ field: String) {
        let bytes = Array(field.utf8)
        #expect(BearerToken.read(bytes.span) == .otherScheme)
    }

    @Test(
        "Bearer with anything else is malformed",
        arguments: [
            "", " ", "Bearer", "Bearer ", "Bearer   ", "Bearer\ta", " Bearer a", "Bearer a b",
            "Bearer a,b", "Bearer a, Bearer b", "Bearer a,Basic b", "Bearer \"a\"", "Bearer a ",
            "Bearer =", "Bearer ==", "Bearer a=b", "Bearer a;b", "Bearer é", "Bearer a\u{0}",
            "Bearer a\r\nX: y", "Bearer {\"payload\":\"\"}", "Bearer a%20b", "Bearer=a", "Bearer,a",
            ", Bearer a", "\u{feff}Bearer a", "Bearer a:b", "Bearer <a>",
        ])
    func malformed(_ field: String) {
        let bytes = Array(field.utf8)
        switch BearerToken.read(bytes.span) {
        case .malformed: break
        case .bearer(let found):
            let isWellFormed = BearerToken.isWellFormed(bytes.span.extracting(found.range))
            #expect(!isWellFormed)
        case .otherScheme: Issue.record("taken for another scheme: \(field)")
        }
    }

    @Test("A token's name in logs is a prefix of its digest")
    func digestPrefix() {
        let bytes = Array("abc".utf8)
        let name = BearerToken.digestPrefix(of: bytes.span)
        #expect(name == "ba7816bf8f01")
    }
}
