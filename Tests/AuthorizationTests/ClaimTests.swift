import Authorization
import Bytes
import JSON
import Testing

private func json(_ text: String) throws -> JSONValue {
    try JSONValue(parsing: text.utf8Span.span)
}

/// A claim by itself: a whole text, or the element of an array with others around it.
private func claims(_ text: String) throws -> [(JSONDocument, JSONNode)] {
    let whole = try JSONDocument(parsing: Array(text.utf8))
    let array = try JSONDocument(parsing: Array("[[],\(text),[0]]".utf8))
    let second = array.first(in: .root).flatMap { array.next(after: $0, in: .root) }
    return [(whole, .root), (array, try #require(second))]
}

extension ClaimMatcher {
    fileprivate func accepts(_ text: String) throws -> Bool {
        let answers = Set(try claims(text).map { accepts($1, in: $0) })
        #expect(answers.count == 1)
        return answers == [true]
    }

    fileprivate func acceptsNothing() throws -> Bool {
        accepts(nil, in: try JSONDocument(parsing: Array("{}".utf8)))
    }
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
        #expect(try ClaimMatcher.equals(json(wanted)).accepts(claim) == accepted)
    }

    @Test(arguments: [
        ("\"a\"", true), ("2.0", true), ("\"2\"", false), ("\"c\"", false), ("[\"a\"]", false),
        ("null", false), ("{}", false),
    ])
    func inTakesAScalarOfTheList(claim: String, accepted: Bool) throws {
        let matcher = ClaimMatcher.isIn([try json("\"a\""), try json("2"), try json("[\"x\"]")])
        #expect(try matcher.accepts(claim) == accepted)
        #expect(try !matcher.accepts("[\"x\"]"))
        #expect(try !matcher.acceptsNothing())
    }

    @Test(arguments: [
        ("[\"admin\"]", true), ("[1,null,{},\"admin\"]", true), ("[\"administrator\"]", false),
        ("\"admin\"", false), ("\"user admin\"", false), ("[[\"admin\"]]", false), ("[]", false),
        ("{\"admin\":true}", false), ("null", false),
    ])
    func containsAsksForAnElementNeverForASubstring(claim: String, accepted: Bool) throws {
        #expect(try ClaimMatcher.contains(json("\"admin\"")).accepts(claim) == accepted)
        #expect(try !ClaimMatcher.contains(json("\"admin\"")).acceptsNothing())
    }

    @Test(arguments: [("1", true), ("\"\"", true), ("[]", true), ("false", true), ("null", false)])
    func presentTakesNullForAbsent(claim: String, isPresent: Bool) throws {
        #expect(try ClaimMatcher.present(true).accepts(claim) == isPresent)
        #expect(try ClaimMatcher.present(false).accepts(claim) == !isPresent)
        #expect(try !ClaimMatcher.present(true).acceptsNothing())
        #expect(try ClaimMatcher.present(false).acceptsNothing())
    }

    /// What is appended for a claim, and whether it is said to be too long.
    private func encoded(
        _ claim: JSONNode?, in claims: JSONDocument
    ) -> (ClaimFieldValue.Outcome, String) {
        var buffer = ByteBuffer()
        buffer.append("X: ")
        let outcome = ClaimFieldValue.append(claim, in: claims, to: &buffer)
        #expect(ClaimFieldValue.isTooLong(claim, in: claims) == (outcome == .tooLong))
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
        for (document, node) in try claims(claim) {
            let (outcome, text) = encoded(node, in: document)
            #expect(outcome == .written)
            #expect(text == expected)
            #expect(text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
        }
    }

    @Test(arguments: [
        "null", "\"\"", "[]", "[\"\"]", "{}", "{\"a\":1}", "[[1]]", "[\"a\",{}]", "[\"a\",null]",
        "[null]",
        "[\"a\",[]]",
    ])
    func otherClaimsSendNothing(claim: String) throws {
        for (document, node) in try claims(claim) {
            #expect(encoded(node, in: document) == (.none, ""))
            #expect(encoded(nil, in: document) == (.none, ""))
        }
    }

    @Test(arguments: [
        ("a", 8192, true), ("a", 8193, false), ("é", 1365, true), ("é", 1366, false),
        (",", 2730, true), (",", 2731, false),
    ])
    func longClaimsAreRefused(unit: String, count: Int, isShort: Bool) throws {
        let claim = "\"\(String(repeating: unit, count: count))\""
        for text in [claim, "[\(claim)]"] {
            for (document, node) in try claims(text) {
                let (outcome, written) = encoded(node, in: document)
                #expect(outcome == (isShort ? .written : .tooLong))
                #expect(written.isEmpty == !isShort)
            }
        }
    }
}
