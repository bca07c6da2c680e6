import JWT
import Testing

@Suite struct ScopeTests {
    @Test(
        "Scopes are the union of scope and scp: text split at spaces alone, or arrays of texts",
        arguments: [
            (#""scope":"a b""#, ["a", "b"]), (#""scope":"""#, []), (#""scope":" ""#, []),
            (#""scope":"  a   b  ""#, ["a", "b"]), (#""scope":"a\tb""#, ["a\tb"]),
            (#""scope":"a\nb""#, ["a\nb"]), (#""scope":"a,b""#, ["a,b"]),
            (#""scope":"a\u00a0b""#, ["a\u{a0}b"]), (#""scope":"a\u3000b""#, ["a\u{3000}b"]),
            (#""scope":["a","b c"]"#, ["a", "b c"]), (#""scope":[]"#, []), (#""scope":[""]"#, []),
            (#""scope":["a",1,null,{},["b"],true]"#, ["a"]), (#""scope":1"#, []),
            (#""scope":null"#, []), (#""scope":{"a":1}"#, []), (#""scope":true"#, []),
            (#""scp":"a""#, ["a"]), (#""scp":["a"]"#, ["a"]),
            (#""scope":"a b","scp":["b","c"]"#, ["a", "b", "c"]), (#""scope":"a a a""#, ["a"]),
            (#""scope":"d b a c""#, ["a", "b", "c", "d"]),
            (#""scope":"b a b a a""#, ["a", "b"]),
            (#""scope":"e d c b a""#, ["a", "b", "c", "d", "e"]),
            (#""scope":"bb a ccc","scp":["a","bb","ccc","d"]"#, ["a", "bb", "ccc", "d"]),
            (#""scopes":"a""#, []), (#""Scope":"a""#, []), (#""scope":"A""#, ["A"]),
        ] as [(String, [String])])
    func union(_ members: String, _ expected: [String]) throws {
        let token = try verified(
            mint(claims().dropLast() + "," + members + "}"), by: TokenVerifier([secretRules()]))
        #expect(Set(token.scopes) == Set(expected))
        #expect(token.scopes.count == expected.count)
        for scope in ["a", "b", "c", "ab", "a b", "A", "", "a ", " a", "orders"] {
            #expect(has(token, scope) == expected.contains(scope))
        }
    }

    @Test("A scope is never found by a part of it or in another case")
    func exactly() throws {
        let token = try verified(
            mint(claims([("scope", "\"orders:readwrite xorders:read orders:reads\"")])),
            by: TokenVerifier([secretRules()]))
        for scope in [
            "orders:read", "orders", "ORDERS:READWRITE", "orders:readwrit", "orders:readwrite ",
        ] {
            #expect(!has(token, scope))
        }
    }

    @Test("Scopes may stand anywhere a pointer reaches")
    func nested() throws {
        let pointer = try #require(ClaimName("/realm_access/roles"))
        let verifier = TokenVerifier([secretRules { $0.scopeClaims = [pointer] }])
        let token = try verified(
            mint(claims([("realm_access", #"{"roles":["admin","user"]}"#), ("scope", "\"x\"")])),
            by: verifier)
        #expect(token.scopes == ["user", "admin"])
    }

    @Test("Each of a thousand scopes is found, and nothing between them")
    func many() throws {
        let names = (0..<1_000).map { "s\($0)" }
        let verifier = TokenVerifier([secretRules()], maxTokenBytes: 64 << 10)
        let token = try verified(
            mint(claims([("scope", "\"\(names.shuffled().joined(separator: " "))\"")])),
            by: verifier)
        for name in names {
            #expect(has(token, name))
            #expect(!has(token, name + "x"))
        }
    }

    private func has(_ token: VerifiedToken, _ scope: String) -> Bool {
        let bytes = Array(scope.utf8)
        return token.hasScope(bytes.span)
    }
}
