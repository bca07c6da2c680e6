import JWT
import Testing

/// What is no JWT at all: the compact form, the JOSE header, JSON.
@Suite struct TokenSyntaxTests {
    private static let good = mint(claims())

    @Test("The token that the rows below are made from is right")
    func baseline() {
        #expect(refusal(Self.good) == nil)
    }

    @Test("Anything but three base64url segments is refused", arguments: brokenForms())
    func forms(_ token: String) {
        #expect(refusal(token) == .badToken)
    }

    private static func brokenForms() -> [String] {
        let parts = good.split(separator: ".").map(String.init)
        let (header, payload, signature) = (parts[0], parts[1], parts[2])
        return [
            "", ".", "..", "...", "a", "a.b", header, "\(header).\(payload)",
            "\(header).\(payload).\(signature).", ".\(good)", "\(good).\(signature)",
            "\(header)..\(signature)", ".\(payload).\(signature)",
            "\(header).\(payload).\(signature).x.y", "\(header)=.\(payload).\(signature)",
            "\(header).\(payload)=.\(signature)", "\(good)=", "\(good)==", "\(good)\n", " \(good)",
            "\(good) ", "\(header). \(payload).\(signature)",
            "\(header).\(payload).\(signature.dropLast())+",
            "\(header).\(payload).\(signature.dropLast())/", "\(good)%3D",
            "\(header),\(payload),\(signature)", "\(header).\(payload).\(signature)\u{0}",
            #"{"payload":"\#(payload)","protected":"\#(header)","signature":"\#(signature)"}"#,
            #"{"payload":"\#(payload)","signatures":[{"protected":"\#(header)"}]}"#,
            // A JWE has five segments.
            "\(header).a.b.c.\(signature)",
            String(repeating: ".", count: 16_000), String(repeating: "a.", count: 8_000),
            String(repeating: "a", count: 16_000),
        ]
    }

    @Test("Stray bits at the end of a signature make another text for it, so they are refused")
    func strayBits() {
        // 32 octets leave two spare bits in the last character.
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let last = Self.good.last.flatMap { alphabet.firstIndex(of: $0) } ?? 0
        for stray in 1...3 {
            #expect(refusal(Self.good.dropLast() + String(alphabet[last + stray])) == .badToken)
        }
    }

    @Test("A token above the limit is refused by its length, 20,000 dots too")
    func tooLarge() {
        #expect(refusal(String(repeating: ".", count: 20_000)) == .tooLarge)
        let verifier = TokenVerifier([secretRules()], maxTokenBytes: Self.good.utf8.count)
        #expect(refusal(Self.good, by: verifier) == nil)
        #expect(refusal(Self.good + "A", by: verifier) == .tooLarge)
    }

    @Test(
        "alg is there, is text, and is an admitted name exactly as registered",
        arguments: [
            #"{}"#, #"{"alg":""}"#, #"{"alg":null}"#, #"{"alg":256}"#, #"{"alg":["HS256"]}"#,
            #"{"alg":{"HS256":1}}"#, #"{"alg":true}"#, #"{"alg":"none"}"#, #"{"alg":"None"}"#,
            #"{"alg":"NONE"}"#, #"{"alg":"nOnE"}"#, #"{"alg":"hs256"}"#, #"{"alg":"Hs256"}"#,
            #"{"alg":" HS256"}"#, #"{"alg":"HS256 "}"#, #"{"alg":"HS256\u0000"}"#,
            #"{"alg":"HS256\n"}"#, #"{"alg":"HS1"}"#, #"{"alg":"HS2560"}"#, #"{"Alg":"HS256"}"#,
            #"{"ALG":"HS256"}"#, #"{"alg":"dir"}"#, #"{"alg":"A128KW"}"#, #"{"alg":"ES256K"}"#,
            #"{"alg":"ＨS256"}"#, #"{"alg ":"HS256"}"#,
        ])
    func algorithms(_ header: String) {
        #expect(refusal(mint(claims(), header: header)) == .badAlgorithm)
    }

    @Test(
        "What says none and brings no signature is refused too",
        arguments: ["none", "None", "NONE", "nonE", "", "HS256"])
    func unsigned(_ algorithm: String) {
        let header = encoded(Array(#"{"alg":"\#(algorithm)"}"#.utf8))
        let token = "\(header).\(encoded(Array(claims().utf8)))."
        #expect(refusal(token) == (algorithm == "HS256" ? .badSignature : .badAlgorithm))
    }

    @Test(
        "crit, whatever it says, and b64 are refused; null is not absent",
        arguments: [
            #""crit":["exp"]"#, #""crit":["b64"],"b64":false"#, #""crit":["b64"],"b64":true"#,
            #""crit":[]"#, #""crit":null"#, #""crit":"exp""#, #""crit":{}"#, #""crit":[1]"#,
            #""crit":["alg"]"#, #""crit":["http://x.example/y"]"#, #""crit":false"#,
            #""b64":false"#, #""b64":null"#, #""b64":"true""#, #""b64":0"#, #""kid":null"#,
            #""kid":1"#, #""kid":["a"]"#, #""kid":{}"#, #""kid":true"#, #""typ":null"#,
            #""typ":1"#, #""typ":["JWT"]"#, #""typ":{}"#,
        ])
    func headerMembers(_ member: String) {
        #expect(refusal(mint(claims(), header: #"{"alg":"HS256",\#(member)}"#)) == .badToken)
    }

    @Test(
        "Other header members are ignored",
        arguments: [
            #""b64":true"#, #""jku":"https://attacker.example/""#, #""x5u":"file:///etc/passwd""#,
            #""jwk":{"kty":"oct","k":"AAAA"}"#, #""x5c":["AAAA"]"#, #""x5t":1"#, #""cty":"x""#,
            #""zip":"DEF""#, #""kid":"../../etc/passwd""#, #""kid":"' OR 1=1 --""#,
            #""kid":"a\r\nX-Injected: 1""#, #""":1"#,
        ])
    func ignoredMembers(_ member: String) {
        #expect(refusal(mint(claims(), header: #"{"alg":"HS256",\#(member)}"#)) == nil)
    }

    @Test(
        "A header or payload that is no JSON object as strict as ours is refused",
        arguments: badJSON())
    func json(_ text: [UInt8]) {
        let key = decoded(sharedSecret)
        let header = Array(#"{"alg":"HS256"}"#.utf8)
        #expect(refusal(mint(text, header: header, key: key)) == .badToken)
        #expect(refusal(mint(Array(claims().utf8), header: text, key: key)) == .badToken)
    }

    private static func badJSON() -> [[UInt8]] {
        let good = #"{"alg":"HS256","iss":"https://login.example.com/","exp":1700003600}"#
        func adding(_ member: String) -> String { "\(good.dropLast()),\(member)}" }
        let deep = String(repeating: "[", count: 5_000) + String(repeating: "]", count: 5_000)
        let added: [String] = [
            "", #""exp":1700003600"#, #""alg":"none""#, #""al\u0067":"none""#, #""a":NaN"#,
            #""a":Infinity"#, #""a":01"#, #""a":"\ud800""#, #""a":'b'"#, #""a":1 /* */"#,
            "\"a\":\"\t\"", "\"a\":\(deep)",
        ]
        let whole: [String] = [
            "", " ", "null", "[]", "\"\"", "1", "{", "}", "{}}", "{}{}", "\(good)x", "\(good)\u{0}",
            "\(good),", "\u{feff}\(good)",
        ]
        let texts = whole + added.map(adding)
        let open = Array("\(good.dropLast()),\"a\":\"".utf8)
        let wide = good.utf16.flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
        let invalid: [[UInt8]] = [
            open + [0xff, 0x22, 0x7d],
            open + [0xc0, 0xaf, 0x22, 0x7d],
            open + [0xed, 0xa0, 0x80, 0x22, 0x7d],
            wide,
            [0xff, 0xfe] + wide,
        ]
        return texts.map { Array($0.utf8) } + invalid
    }
}
