import Bytes
import JSON
import Testing

private func document(_ text: String) throws -> JSONDocument {
    try JSONDocument(parsing: Array(text.utf8))
}

extension JSONDocument {
    /// The text of a string, number or Boolean.
    fileprivate func text(of node: JSONNode?) -> String? {
        guard let node else { return nil }
        return String(decoding: text[range(of: node)], as: UTF8.self)
    }

    fileprivate func elements(of array: JSONNode) -> [JSONNode] {
        var nodes: [JSONNode] = []
        var next = first(in: array)
        while let node = next {
            nodes.append(node)
            next = self.next(after: node, in: array)
        }
        return nodes
    }

    /// The member at the end of a path of names.
    fileprivate func member(at path: [String]) -> JSONNode? {
        path.reduce(Optional(.root)) { node, name in
            node.flatMap { member(JSONName(name), of: $0) }
        }
    }
}

@Suite struct JSONDocumentTests {
    @Test(
        "A scalar has its kind and its text: strings unescaped, others as written",
        arguments: [
            ("null", .null, ""), ("true", .bool, "true"), ("false", .bool, "false"),
            (" -1.50E+3 ", .number, "-1.50E+3"), ("0", .number, "0"), (#""""#, .string, ""),
            (#""a b""#, .string, "a b"), (#""\"\\\/""#, .string, "\"\\/"),
            (#""é\u00e9€\u20ac""#, .string, "éé€€"), (#""\ud83d\ude00x""#, .string, "😀x"),
            (#""\u0000""#, .string, "\0"), ("[1,2]", .array, ""), (#"{"a":"b"}"#, .object, ""),
        ] as [(String, JSONKind, String)])
    func scalars(text: String, kind: JSONKind, expected: String) throws {
        let document = try document(text)
        #expect(document.kind(of: .root) == kind)
        #expect(document.text(of: .root) == expected)
        #expect((document.string(at: .root) != nil) == (kind == .string))
        #expect((document.number(at: .root) != nil) == (kind == .number))
        #expect(document.string(at: nil) == nil)
    }

    @Test(
        "A member is found through objects by its names, however they are written",
        arguments: [
            (["a"], "1"), (["b", "a"], "2"), (["b", "b", "a"], "3"), (["c"], "4"), (["é"], "5"),
            (["d/e~"], "6"), ([""], "7"), (["b", "b", "long name one"], "8"),
            (["b", "b", "long name ona"], "9"), (["b", "b", "long-name one"], "10"),
        ])
    func members(path: [String], expected: String) throws {
        let document = try document(
            #"""
            {"a": 1, "b": {"a": 2, "e": [], "b": {"a": 3, "long name one": 8, "long name ona": 9,
            "long-name one": 10}}, "\u0063": 4, "\u00e9": 5, "d\/e~": 6, "": 7, "n": null}
            """#)
        #expect(document.text(of: document.member(at: path)) == expected)
        for other in ["A", "aa", "f", "long name on", "long name one ", "e\u{301}"] {
            #expect(document.member(at: path.dropLast() + [other]) == nil)
        }
        #expect(document.member(at: path + ["a"]) == nil || path == ["b"])
    }

    @Test(
        "Faults that are to be kept are counted where they stand; what breaks the grammar still ends it",
        arguments: [
            (#"{"a":1}"#, 0, 0), (#"{"k":{"a":1,"a":2}}"#, 1, 1), (#"{"k":{"a":1},"k":2}"#, 1, 0),
            (#"{"k":["\ud800","\udfff"],"b":1}"#, 2, 2),
            (#"{"b":"\ud800","k":{"\u0061":1,"a":2}}"#, 2, 1),
            (#"{"k":{"a":{"b":1,"b":2,"b":3}},"a":"\ud800\ud800"}"#, 3, 2),
        ])
    func keptFaults(text: String, all: Int, inMember: Int) throws {
        let document = try JSONDocument(parsing: Array(text.utf8), keepsFaults: true)
        #expect(document.faults.count == all)
        let member = try #require(document.member(at: text == #"{"a":1}"# ? ["a"] : ["k"]))
        #expect(document.countFaults(in: member) == inMember)
        #expect(document.countFaults(in: .root) == all)
        if all > 0 {
            #expect(throws: document.faults[0]) { try JSONDocument(parsing: Array(text.utf8)) }
        }
        for end in text.utf8.indices {
            let part = Array(text.utf8[..<end])
            #expect(throws: JSONError.self) { try JSONDocument(parsing: part, keepsFaults: true) }
        }
    }

    @Test("A lone surrogate that is kept reads as a replacement character")
    func replacedSurrogate() throws {
        let text = #"["\n\ud800x","\ud800\u0041","\ud83d\ude00"]"#
        let document = try JSONDocument(parsing: Array(text.utf8), keepsFaults: true)
        let read = document.value(of: .root).array?.compactMap(\.string)
        #expect(read == ["\n\u{fffd}x", "\u{fffd}A", "\u{1f600}"])
    }

    @Test("What is no object has no members, and what is no array no elements")
    func others() throws {
        for text in ["null", "true", "1", #""a""#, "[]", #"["a", {"a": 1}]"#] {
            #expect(try document(text).member(JSONName("a")) == nil)
        }
        for text in ["null", "true", "1", #""a""#, "[]", "{}", #"{"a": [1]}"#] {
            #expect(try document(text).first(in: .root) == nil)
        }
    }

    @Test("Elements come in order, whatever stands in those before them")
    func elements() throws {
        let document = try document(#"[[], "a", {"a": [1, 2]}, [[3], {}], "\u0062", null, 7]"#)
        let nodes = document.elements(of: .root)
        #expect(
            nodes.map(document.kind) == [.array, .string, .object, .array, .string, .null, .number])
        #expect(nodes.map { document.count(in: $0) } == [0, 0, 1, 2, 0, 0, 0])
        #expect(nodes.map { document.text(of: $0) } == ["", "a", "", "", "b", "", "7"])
        let inner = document.elements(of: nodes[3])
        #expect(inner.map(document.kind) == [.array, .object])
        #expect(document.elements(of: inner[0]).map { document.text(of: $0) } == ["3"])
    }

    @Test(
        "A node equals the values that its own value equals, and no others",
        arguments: [
            "null", "true", "false", "0", "1", "1.0", "10e-1", "-1", "1e400", #""1""#, #""""#,
            #""K""#, "\"\u{212a}\"", #""\u004b""#, "\"\u{e9}\"", "\"e\u{301}\"", "[]", "[1]",
            "[1.0]", "[1,2]", "[2,1]", "[[1]]", "{}", #"{"a":1}"#, #"{"a":1.0}"#, #"{"b":1}"#,
            #"{"a":1,"b":[{}]}"#, #"{"b":[{}],"a":1}"#, #"{"a":1,"b":[{}],"c":2}"#,
        ])
    func equality(text: String) throws {
        let own = try document(text)
        let others = [
            "null", "true", "false", "0", "1", "2e0", #""1""#, #""K""#, "\"\u{212a}\"", #""é""#,
            "[]", "[1]", "[1,2]", "[[1]]", "{}", #"{"a":1}"#, #"{"b":1}"#, #"{"a":1,"b":[{}]}"#,
        ]
        #expect(own.isEqual(.root, to: try parse(text)))
        for other in others {
            let value = try parse(other)
            let isSame = try parse(text) == value
            #expect(own.isEqual(.root, to: value) == isSame)
            let inside = try document("[0, [\(text)], 0]")
            let element = inside.elements(of: inside.elements(of: .root)[1])[0]
            #expect(inside.isEqual(element, to: value) == isSame)
        }
    }

    @Test(
        "Names that are looked for together are found as each alone, in the root and nowhere else",
        arguments: [
            #"{"iss":1,"sub":2,"aud":3,"exp":4,"a":5,"jt":6}"#, #"{"jt":6,"a":5,"exp":4}"#,
            #"{"":0,"is":1,"isss":2,"ISS":3,"x":{"sub":1},"y":["aud"],"aud":"exp"}"#, "{}", "[]",
            #"{"\u0069ss":1,"a\u0075d":{"exp":1},"sub":[{"iss":2}],"exp":null}"#, #""iss""#, "1",
            #"[{"iss":1}]"#, #"{"":1}"#, #"{"\u0000":1,"\u0000\u0000":2,"a\u0000":3}"#,
        ])
    func together(text: String) throws {
        let names = ["iss", "sub", "aud", "exp", "a", "jt"]
        let document = try document(text)
        let members = document.members(JSONShortNames(names))
        for (place, name) in names.enumerated() {
            #expect(members[place] == document.member(JSONName(name)))
        }
        #expect(members[6] == nil && members[7] == nil)
    }

    @Test("Names are told apart and found whatever they share, be there few or thousands")
    func names() throws {
        for count in [1, 2, 31, 32, 33, 34, 100, 3_000] {
            let names = (0..<count).map { $0 % 3 == 0 ? "n\($0)" : "claim_\($0)_x" }
            let members = names.enumerated().map { "\"\($1)\":{\"claim_1_x\":\($0),\"v\":[]}" }
            let document = try document("{\(members.joined(separator: ","))}")
            #expect(document.count(in: .root) == count)
            for (number, name) in names.enumerated() where number % 7 == 0 || count < 50 {
                let node = document.member(at: [name, "claim_1_x"])
                #expect(document.text(of: node) == "\(number)")
            }
            for repeated in Set([0, count / 2, count - 1]) {
                let escaped = names[repeated].utf8.map { byte in
                    "\\u00" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
                }
                for again in [names[repeated], escaped.joined()] {
                    let text = "{\(members.joined(separator: ",")),\"\(again)\":0}"
                    let offset = text.utf8.count - again.utf8.count - 5
                    #expect(throws: JSONError(.duplicateName, at: offset)) {
                        _ = try JSONDocument(parsing: Array(text.utf8))
                    }
                }
            }
        }
    }

    @Test("Random values come out as they were written, as values and by their nodes")
    func roundTrip() throws {
        var generator = Generator(state: 0x5eed)
        for _ in 0..<400 {
            let value = generator.value(depth: 5)
            var buffer = ByteBuffer()
            generator.write(value, to: &buffer)
            let text = buffer.withBytes { [UInt8](copying: $0) }
            let document = try JSONDocument(parsing: text)
            let read = document.value(of: .root)
            #expect(read == value)
            #expect(inOrder(read) == inOrder(value))
            #expect(document.isEqual(.root, to: value))
            #expect(!document.isEqual(.root, to: JSONValue(.array([value]))))
        }
    }

    /// All strings and the texts of numbers in the order of the text, which `==` does not look at.
    private func inOrder(_ value: JSONValue) -> [String] {
        switch value.kind {
        case .null, .bool: []
        case .number(let number): [number.text]
        case .string(let text): [text]
        case .array(let elements): elements.flatMap(inOrder)
        case .object(let object): object.members.flatMap { [$0.name] + inOrder($0.value) }
        }
    }
}

/// Random values, and texts of them with random white space and escapes.
private struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }

    mutating func value(depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &self) {
        case 0: return JSONValue(.null)
        case 1: return JSONValue(.bool(.random(using: &self)))
        case 2, 3: return JSONValue(.number(JSONNumber(.random(in: -99...99_999, using: &self))))
        case 4, 5: return JSONValue(.string(text()))
        case 6:
            let count = Int.random(in: 0..<5, using: &self)
            return JSONValue(.array((0..<count).map { _ in value(depth: depth - 1) }))
        default:
            let count = Int.random(in: 0..<45, using: &self) / (6 - depth)
            let members = (0..<count).map { number in
                JSONObject.Member(name: "\(text())\(number)", value: value(depth: depth - 1))
            }
            return JSONValue(.object(JSONObject(members: members)))
        }
    }

    private mutating func text() -> String {
        let count = Int.random(in: 0..<12, using: &self)
        return (0..<count).map { _ in
            ["a", "b", "Z", "é", "€", "😀", "\"", "\\", "/", "\n", "\0", " "]
                .randomElement(using: &self) ?? ""
        }.joined()
    }

    mutating func write(_ value: JSONValue, to buffer: inout ByteBuffer) {
        space(&buffer)
        switch value.kind {
        case .null: buffer.append("null")
        case .bool(let value): buffer.append(value ? "true" : "false")
        case .number(let number): buffer.append(number.text)
        case .string(let text): write(text, to: &buffer)
        case .array(let elements):
            buffer.append("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { buffer.append(",") }
                write(element, to: &buffer)
            }
            buffer.append("]")
        case .object(let object):
            buffer.append("{")
            for (index, member) in object.members.enumerated() {
                if index > 0 { buffer.append(",") }
                space(&buffer)
                write(member.name, to: &buffer)
                space(&buffer)
                buffer.append(":")
                write(member.value, to: &buffer)
            }
            buffer.append("}")
        }
        space(&buffer)
    }

    private mutating func write(_ text: String, to buffer: inout ByteBuffer) {
        guard Bool.random(using: &self) else { return buffer.appendJSONString(text) }
        buffer.append("\"")
        for unit in text.utf16 {
            let digits = String(unit, radix: 16)
            buffer.append("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
        }
        buffer.append("\"")
    }

    private mutating func space(_ buffer: inout ByteBuffer) {
        guard UInt64.random(in: 0..<4, using: &self) == 0 else { return }
        buffer.append([" ", "\t", "\r\n", "  "].randomElement(using: &self) ?? "")
    }
}
