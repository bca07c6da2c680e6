import JWT
import OpenSSL
import Testing

@Suite struct JWKSetTests {
    @Test("Every type of key is taken, with its kid, type and thumbprint")
    func types() throws {
        let set = try allKeys()
        #expect(set.keys.map(\.keyID) == ["ed25519", "ed448", "p256", "p384", "p521", "rsa"])
        #expect(set.skipped.isEmpty)
        #expect(Set(set.keys.map(\.thumbprint)).count == 6)
        #expect(set.keys[5].publicKey.kind == .rsa(modulusBits: 2048))
        #expect(set.keys[4].publicKey.kind == .ec(.p521))
    }

    @Test(
        "A key that cannot be used is skipped with its reason, the others live",
        arguments: badKeys())
    func skipped(_ member: String, _ reason: SkippedKey.Reason) throws {
        let good = jwk("p256", adding: ",\"kid\":\"good\"")
        let set = try keySet(good, member, jwk("ed25519"))
        #expect(set.keys.map(\.keyID) == ["good", nil])
        #expect(set.skipped.map(\.reason) == [reason])
        #expect(set.skipped.map(\.index) == [1])
    }

    private static func badKeys() -> [(String, SkippedKey.Reason)] {
        let weak = encoded([UInt8](repeating: 0xc5, count: 128))
        let modulus = encoded([UInt8](repeating: 0xc5, count: 256))
        let x256 = #""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU""#
        return [
            ("null", .notAnObject), ("[]", .notAnObject), ("\"k\"", .notAnObject),
            ("1", .notAnObject),
            ("{}", .missingMember("kty")), (#"{"kty":null}"#, .badMember("kty")),
            (#"{"kty":1}"#, .badMember("kty")), (#"{"kty":"AKP","alg":"ML-DSA-44"}"#, .unknownType),
            (#"{"kty":"rsa"}"#, .unknownType), (#"{"kty":""}"#, .unknownType),
            (#"{"kty":"oct","k":"AAAA"}"#, .symmetric), (privateJWK, .privateKey),
            (jwk("rsa", adding: #","d":"AQAB""#), .privateKey),
            (jwk("rsa", adding: #","d":null"#), .privateKey),
            (jwk("rsa", adding: #","p":"AQAB""#), .privateKey),
            (jwk("rsa", adding: #","qi":"AQAB""#), .privateKey),
            (jwk("rsa", adding: #","oth":[]"#), .privateKey),
            (jwk("rsa", adding: #","kid":null"#), .badMember("kid")),
            (jwk("rsa", adding: #","kid":7"#), .badMember("kid")),
            (jwk("rsa", adding: #","use":"enc""#), .notForSignatures),
            (jwk("rsa", adding: #","use":"SIG""#), .notForSignatures),
            (jwk("rsa", adding: #","use":1"#), .badMember("use")),
            (jwk("rsa", adding: #","key_ops":["wrapKey"]"#), .notForSignatures),
            (jwk("rsa", adding: #","key_ops":"verify""#), .badMember("key_ops")),
            (jwk("rsa", adding: #","alg":"RSA-OAEP-256""#), .unsuitableAlgorithm),
            (jwk("rsa", adding: #","alg":"HS256""#), .unsuitableAlgorithm),
            (jwk("rsa", adding: #","alg":"ES256""#), .unsuitableAlgorithm),
            (jwk("rsa", adding: #","alg":"none""#), .unsuitableAlgorithm),
            (jwk("rsa", adding: #","alg":"""#), .unsuitableAlgorithm),
            (jwk("rsa", adding: #","alg":null"#), .badMember("alg")),
            (jwk("p256", adding: #","alg":"ES384""#), .unsuitableAlgorithm),
            (jwk("p384", adding: #","alg":"ES256""#), .unsuitableAlgorithm),
            (jwk("ed25519", adding: #","alg":"Ed448""#), .unsuitableAlgorithm),
            (jwk("ed25519", adding: #","alg":"ES256""#), .unsuitableAlgorithm),
            (#"{"kty":"RSA","e":"AQAB"}"#, .missingMember("n")),
            (#"{"kty":"RSA","n":"\#(modulus)"}"#, .missingMember("e")),
            (#"{"kty":"RSA","e":"AQAB","n":"\#(weak)"}"#, .weak),
            (#"{"kty":"RSA","e":"AQ","n":"\#(modulus)"}"#, .weak),
            (#"{"kty":"RSA","e":"Ag","n":"\#(modulus)"}"#, .weak),
            (#"{"kty":"RSA","e":"","n":"\#(modulus)"}"#, .weak),
            (#"{"kty":"RSA","e":"AQAB","n":""}"#, .weak),
            (#"{"kty":"RSA","e":"AQAB","n":"AAA\#(modulus)"}"#, .badMember("n")),
            (#"{"kty":"RSA","e":"AQAB","n":"!"}"#, .badMember("n")),
            (#"{"kty":"RSA","e":65537,"n":"\#(modulus)"}"#, .badMember("e")),
            (#"{"kty":"EC","crv":"P-256",\#(x256)}"#, .missingMember("y")),
            (#"{"kty":"EC","crv":"P-256",\#(x256),"y":"AAAA"}"#, .invalidKey),
            (#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#, .invalidKey),
            (#"{"kty":"EC","crv":"secp256k1",\#(x256),"y":"AAAA"}"#, .unknownCurve),
            (#"{"kty":"EC",\#(x256),"y":"AAAA"}"#, .missingMember("crv")),
            (#"{"kty":"EC","crv":"Ed25519",\#(x256),"y":"AAAA"}"#, .unknownCurve),
            (#"{"kty":"OKP","crv":"X25519",\#(x256)}"#, .unknownCurve),
            (#"{"kty":"OKP","crv":"P-256",\#(x256)}"#, .unknownCurve),
            (#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#, .invalidKey),
            (
                #"{"kty":"OKP","crv":"Ed25519","x":"\#(encoded([UInt8](repeating: 0, count: 32)))"}"#,
                .invalidKey
            ),
        ]
    }

    @Test(
        "A key whose own JSON is ambiguous is skipped, wherever in it that is",
        arguments: [
            #"{"kty":"EC","kid":"b","kid":"c"}"#, #"{"kid":"b","kid":"b"}"#,
            #"{"kid":"b","k\u0069d":"c"}"#, #"{"x":{"a":1,"a":2}}"#, #"[{"a":1,"a":2}]"#,
            #"{"kid":"\ud800"}"#, #"{"kid":"\udc00x"}"#, #"{"\ud800":1,"\ud800":2}"#,
            #"{"x":["\ud800\u0041"]}"#, #""\ud800""#,
        ])
    func ambiguous(_ member: String) throws {
        for place in 0...2 {
            var members = [jwk("p256", adding: #","kid":"good""#), jwk("ed25519")]
            members.insert(member, at: place)
            let set = try keySet(of: members)
            #expect(set.keys.map(\.keyID) == ["good", nil])
            #expect(set.skipped.map(\.reason) == [.ambiguous])
            #expect(set.skipped.map(\.index) == [place])
        }
    }

    @Test("A key may carry members as deep as it likes, within the text's bound")
    func deep() throws {
        let deep = String(repeating: "[", count: 250) + String(repeating: "]", count: 250)
        let set = try keySet(jwk("p256", adding: ",\"deep\":\(deep)"))
        #expect(set.keys.count == 1)
        let tooDeep = String(repeating: "[", count: 300) + String(repeating: "]", count: 300)
        #expect(throws: JWKSet.Failure.self) { try keySet(#"{"x":\#(tooDeep)}"#) }
    }

    @Test("Real sets' quirks: padding, standard base64, sign octets, unknown members")
    func quirks() throws {
        let plain = try keySet(
            jwk("rsa", adding: ",\"kid\":\"a\""), jwk("p256", adding: ",\"kid\":\"b\""))
        let rsa = try #require(
            plain.keys[0].publicKey.kind == .rsa(modulusBits: 2048) ? publicJWKs["rsa"] : nil)
        let parts = rsa.split(separator: "\"").map(String.init)
        let n = try #require(parts.first { $0.count > 300 })
        let standard = n.replacing("-", with: "+").replacing("_", with: "/") + "=="
        let signed = encoded([0] + decoded(n))
        for text in [n + "==", standard, signed] {
            let set = try keySet(
                #"{"kty":"RSA","kid":"a","e":"AAEAAQ==","n":"\#(text)","x5c":["junk"],"x5t":1,"ext":true}"#
            )
            #expect(set.keys == [plain.keys[0]])
            #expect(set.skipped.isEmpty)
        }
        let ec = try #require(publicJWKs["p256"]).split(separator: "\"").map(String.init)
        let coordinates = ec.filter { $0.count == 43 }
        let set = try keySet(
            #"{"kty":"EC","kid":"b","crv":"P-256","x":"\#(encoded([0] + decoded(coordinates[0])))","y":"\#(coordinates[1])="}"#
        )
        #expect(set.keys == [plain.keys[1]])
    }

    @Test("One kid and family with different keys: neither; with the same key: one")
    func duplicates() throws {
        let foreign =
            #"{"kty":"RSA","e":"AQAB","kid":"k","n":"\#(encoded([UInt8](repeating: 0xc5, count: 256)))"}"#
        let own = jwk("rsa", adding: ",\"kid\":\"k\"")
        let conflict = try keySet(own, foreign, own, jwk("p256", adding: ",\"kid\":\"k\""))
        #expect(conflict.keys.map(\.publicKey.family) == [.ec])
        #expect(
            conflict.skipped.map(\.reason) == [
                .conflictingKeyID, .conflictingKeyID, .conflictingKeyID,
            ])
        let twice = try keySet(own, own, jwk("rsa"), jwk("rsa"))
        #expect(twice.keys.map(\.keyID) == ["k", nil])
        #expect(twice.skipped.map(\.reason) == [.duplicate, .duplicate])
        // One key under two algorithms, as some issuers publish it.
        let both = try keySet(
            jwk("rsa", adding: #","kid":"k","alg":"RS256""#),
            jwk("rsa", adding: #","kid":"k","alg":"RS512""#))
        #expect(both.keys.count == 2)
        // A key that is skipped anyway conflicts with nothing.
        let weak =
            #"{"kty":"RSA","e":"AQAB","kid":"k","n":"\#(encoded([UInt8](repeating: 0xc5, count: 128)))"}"#
        #expect(try keySet(own, weak).keys.map(\.keyID) == ["k"])
        let curves = try keySet(
            jwk("p256", adding: ",\"kid\":\"k\""), jwk("p384", adding: ",\"kid\":\"k\""))
        #expect(curves.keys.isEmpty)
    }

    @Test(
        "A text that is no JWK Set is no empty one either",
        arguments: [
            "", "{}", "[]", "null", #"{"keys":null}"#, #"{"keys":{}}"#, #"{"keys":"x"}"#,
            #"{"Keys":[]}"#,
            #"{"kty":"RSA"}"#, "<html></html>", #"{"keys":[]"#, #"{"keys":[]}x"#,
            #"{"keys":[],"keys":[]}"#, #"{"keys":[],"a":1,"a":2}"#, #"{"keys":[],"a":"\ud800"}"#,
            #"{"keys":[{"a":1,"a":2}],"keys":[]}"#, #"{"a":"\ud800","keys":[{"a":1,"a":2}]}"#,
            #"{"keys":[{"a":1"a":2}]}"#, #"{"keys":[{"kid":"\ud8"}]}"#, #"{"keys":[{"kid":"\x"}]}"#,
            "\u{feff}{\"keys\":[]}",
        ])
    func notASet(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(throws: JWKSet.Failure.self) { try JWKSet(parsing: bytes.span) }
    }

    @Test("An empty set is a set")
    func empty() throws {
        #expect(try keySet().keys.isEmpty)
    }

    @Test("Sets are bounded: 512 KiB, 256 keys")
    func bounds() throws {
        let spaces = [UInt8](repeating: 0x20, count: JWKSet.maxBytes)
        let long = Array("{\"keys\":[]}".utf8) + spaces
        #expect(throws: JWKSet.Failure.tooLarge) { try JWKSet(parsing: long.span) }
        let fits = Array("{\"keys\":[]}".utf8) + spaces.dropLast(11)
        #expect(throws: Never.self) { try JWKSet(parsing: fits.span) }
        let many = (0..<256).map { jwk("ed25519", adding: ",\"kid\":\"\($0)\"") }
        #expect(try keySet(of: many).keys.count == 256)
        #expect(throws: JWKSet.Failure.tooManyKeys) { try keySet(of: many + [jwk("p256")]) }
    }
}
