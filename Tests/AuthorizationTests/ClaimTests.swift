import Authorization
import Bytes
import JSON
import Testing

private func json(_ text: String) throws -> JSONValue {
    try JSONValue(parsing: text.utf8Span.span)
}

@Suite struct ClaimTests {
    @Test(arguments: [
        ("1", "1", true), ("1", "1.0", true), ("1", "10e-1", true), ("1", "\"1\"", false),
        ("1", "[1]", false), ("1", "true", false), ("\"a\"", "\"a\"", true),
        ("\"a\"", "\"A\"", false),
        ("\"a\"", "[\"a\"]", false), ("\"a\"", "\"ab\"", false), ("true", "true", true),
        ("true", "\"true\"", false), ("true", "1", false), ("false", "null", false),
        ("[1,2]", "[1,2.0]", true), ("[1,2]", "[2,1]", false), ("[1,2]", "[1]", false),
        ("{\"a\":1,\"b\":[]}", "{\"b\":[],\"a\":1}", true),
        ("{\"a\":1}", "{\"a\":1,\"b\":2}", false),
        ("\"\u{e9}\"", "\"e\u{301}\"", false), ("\"K\"", "\"\u{212a}\"", false),
    ])
    func equalsComparesTheWholeValue(wanted: String, claim: String, accepted: Bool) throws {
        #expect(ClaimMatcher.equals(try json(wanted)).accepts(try json(claim)) == accepted)
    }

    @Test(arguments: [
        ("\"a\"", true), ("2.0", true), ("\"2\"", false), ("\"c\"", false), ("[\"a\"]", false),
        ("null", false), ("{}", false),
    ])
    func inTakesAScalarOfTheList(claim: String, accepted: Bool) throws {
        let matcher = ClaimMatcher.isIn([try json("\"a\""), try json("2"), try json("[\"x\"]")])
        #expect(matcher.accepts(try json(claim)) == accepted)
        #expect(!matcher.accepts(try json("[\"x\"]")))
        #expect(!matcher.accepts(nil))
    }

    @Test(arguments: [
        ("[\"admin\"]", true), ("[1,null,{},\"admin\"]", true), ("[\"administrator\"]", false),
        ("\"admin\"", false), ("\"user admin\"", false), ("[[\"admin\"]]", false), ("[]", false),
        ("{\"admin\":true}", false), ("null", false),
    ])
    func containsAsksForAnElementNeverForASubstring(claim: String, accepted: Bool) throws {
        #expect(ClaimMatcher.contains(try json("\"admin\"")).accepts(try json(claim)) == accepted)
        #expect(!ClaimMatcher.contains(try json("\"admin\"")).accepts(nil))
    }

    @Test(arguments: [("1", true), ("\"\"", true), ("[]", true), ("false", true), ("null", false)])
    func presentTakesNullForAbsent(claim: String, isPresent: Bool) throws {
        #expect(ClaimMatcher.present(true).accepts(try json(claim)) == isPresent)
        #expect(ClaimMatcher.present(false).accepts(try json(claim)) == !isPresent)
        #expect(!ClaimMatcher.present(true).accepts(nil))
        #expect(ClaimMatcher.present(false).accepts(nil))
    }

    private func encoded(_ claim: JSONValue?) -> (ClaimFieldValue.Outcome, String) {
        var buffer = ByteBuffer()
        buffer.append("X: ")
        let outcome = ClaimFieldValue.append(claim, to: &buffer)
        return buffer.withBytes {
            (outcome, String(decoding: [UInt8](copying: $0).dropFirst(3), as: UTF8.self))
        }
    }

    @Test(arguments: [
        ("\"alice\"", "alice"), ("\"a b\"", "a b"), ("\" a b \"", "%20a b%20"), ("\" \"", "%20"),
        ("\"  \"", "%20%20"), ("\"  a  b  \"", "%20%20a  b%20%20"), ("\"100%\"", "100%25"),
        ("\"a,b\"", "a%2Cb"), ("\"%2C\"", "%252C"),
        (#""a\r\nX-Admin: 1""#, "a%0D%0AX-Admin: 1"), (#""\u0000\u007f\t""#, "%00%7F%09"),
        ("\"é€\"", "%C3%A9%E2%82%AC"), ("\"a;b=\\\"c\\\"\"", "a;b=\"c\""),
        ("1", "1"), ("1.50", "1.50"), ("1E5", "1E5"), ("-0", "-0"), ("true", "true"),
        ("false", "false"),
        ("[\"a\",\"b\"]", "a,b"), ("[\"a,b\",\"c\"]", "a%2Cb,c"),
        ("[1,true,\"x \"]", "1,true,x%20"),
        ("[\"a\",\"\"]", "a,"), ("[\"one\"]", "one"), ("0", "0"),
    ])
    func scalarsAndTheirArraysAreEncoded(claim: String, expected: String) throws {
        let (outcome, text) = encoded(try json(claim))
        #expect(outcome == .written)
        #expect(text == expected)
        #expect(text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
    }

    @Test(arguments: [
        "null", "\"\"", "[]", "[\"\"]", "{}", "{\"a\":1}", "[[1]]", "[\"a\",{}]", "[\"a\",null]",
        "[null]",
        "[\"a\",[]]",
    ])
    func otherClaimsSendNothing(claim: String) throws {
        #expect(encoded(try json(claim)) == (.none, ""))
        #expect(encoded(nil) == (.none, ""))
        #expect(!ClaimFieldValue.isTooLong(try json(claim)))
    }

    @Test(arguments: [
        ("a", 8192, true), ("a", 8193, false), ("é", 1365, true), ("é", 1366, false),
        (",", 2730, true), (",", 2731, false),
    ])
    func longClaimsAreRefused(unit: String, count: Int, isShort: Bool) throws {
        let claim = JSONValue(.string(String(repeating: unit, count: count)))
        #expect(encoded(claim).0 == (isShort ? .written : .tooLong))
        #expect(ClaimFieldValue.isTooLong(claim) == !isShort)
        #expect(ClaimFieldValue.isTooLong(JSONValue(.array([claim]))) == !isShort)
        #expect(encoded(claim).1.isEmpty == !isShort)
    }
}
