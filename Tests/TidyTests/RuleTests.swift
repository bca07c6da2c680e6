import Testing

/// Each rule, held against small samples that break it and ones that only look as if they did.
@Suite struct RuleTests {
    private func source(_ text: String, module: String = "HTTP") -> TextFile {
        TextFile(path: "Sources/\(module)/A.swift", text: text)
    }

    @Test(
        "unsafe is seen in code, not in prose, names or the modules that may",
        arguments: [
            ("let a = unsafe b", "HTTP", 1), ("@unsafe func a() {}", "HTTP", 1),
            ("func a(_ b: UnsafePointer<Int>) {}", "HTTP", 1), ("/* a */ unsafe b", "JWT", 1),
            ("\"\\(unsafe b)\"\nunsafe c", "JWT", 1),
            ("// unsafe", "HTTP", 0), ("/* unsafe /* unsafe */ unsafe */", "HTTP", 0),
            ("let a = \"unsafe\"", "HTTP", 0), ("let unsafePaths = 1", "HTTP", 0),
            ("let a = \"\"\"\n unsafe \"quoted\"\n \"\"\"", "HTTP", 0),
            ("let a = #\"\\\" unsafe\"#", "HTTP", 0),
            ("unsafe a", "Bytes", 0), ("unsafe a", "EventLoop", 0), ("unsafe a", "OpenSSL", 0),
        ])
    func unsafeCode(text: String, module: String, count: Int) {
        #expect(CodeRules.unsafeCode(source(text, module: module)).count == count)
    }

    @Test(
        "Unchecked concurrency is seen",
        arguments: [
            ("final class A: @unchecked Sendable {}", 1), ("nonisolated(unsafe) var a = 1", 1),
            ("@preconcurrency import Glibc", 1), ("final class A: Sendable {}", 0),
            ("// @unchecked Sendable", 0),
        ])
    func concurrency(text: String, count: Int) {
        #expect(CodeRules.uncheckedConcurrency(source(text)).count == count)
    }

    @Test(
        "What traps on input is seen",
        arguments: [
            ("try! a()", 1), ("a as! B", 1), ("a!.b", 1), ("a()! + 1", 1), ("b[1]!", 1),
            ("let a: Int! = 1", 1), ("fatalError()", 1), ("a != b", 0), ("!a", 0), ("a && !b", 0),
            ("if !(a) {}", 0), ("try? a()", 0), ("a as? B", 0), ("// it is fatal!", 0),
            ("\"try!\"", 0), ("preconditionFailure()", 0), ("a!=b", 0),
        ])
    func traps(text: String, count: Int) {
        #expect(CodeRules.trapsOnInput(source(text)).count == count)
    }

    @Test("fatalError passes only where the list says so")
    func allowedTraps() {
        let buffer = TextFile(path: "Sources/Bytes/ByteBuffer.swift", text: "fatalError()\ntry! a")
        #expect(CodeRules.trapsOnInput(buffer).count == 1)
    }

    @Test(
        "Foundation is seen in any form of import",
        arguments: [
            ("import Foundation", 1), ("internal import FoundationEssentials", 1),
            ("import struct Foundation.Date", 1), ("// import Foundation", 0), ("import Bytes", 0),
        ])
    func foundation(text: String, count: Int) {
        #expect(CodeRules.foundation(source(text)).count == count)
    }

    @Test("Lengths are counted in characters and lines")
    func lengths() {
        let full = String(repeating: "é ", count: 50)
        #expect(CodeRules.longLines(source(full + "\n" + full)) == [])
        #expect(CodeRules.longLines(source("\n" + full + "a")).count == 1)
        let word = String(repeating: "w", count: 50)
        #expect(CodeRules.longLines(source(full + word)).count == 1)
        #expect(CodeRules.longLines(source(full + word + "w")) == [])
        for (text, count) in [("a(\"\(full)\")", 0), ("// " + full, 1), (full + "abc \"d\"", 1)] {
            #expect(
                CodeRules.longLines(TextFile(path: "Tests/A/A.swift", text: text)).count == count)
        }
        let lines = String(repeating: "\n", count: 400)
        #expect(CodeRules.longFile(source(lines)) == [])
        #expect(CodeRules.longFile(source(lines + "\n")).count == 1)
    }

    @Test(
        "A package declaration without documentation is seen",
        arguments: [
            ("package let a = 1", 1), ("\n    package static func a() {}", 1),
            ("// a\npackage let a = 1", 1), ("/// a\n\npackage let a = 1", 1),
            ("@inlinable package func a() {}", 1), ("@inlinable\npackage func a() {}", 1),
            ("public struct A {}", 1), ("package final class A {}", 1),
            ("package private(set) var a = 1", 1), ("final package class A {}", 1),
            ("/// a\npackage let a = 1", 0),
            ("/// a\n@inlinable\n@inline(__always)\npackage let a = 1", 0),
            ("package import Bytes", 0), ("let a = 1", 0), ("// package let a", 0),
        ])
    func documentation(text: String, count: Int) {
        #expect(CodeRules.undocumented(source(text)).count == count)
    }

    @Test("Imports are found in all their forms, and held against the row")
    func imports() {
        let file = source(
            """
            import Bytes
            package import JSON
            @preconcurrency internal import OpenSSL
            import struct JWT.Token
            // import Gateway
            let text = "import Gateway"
            import Glibc
            """)
        #expect(
            CodeRules.imports(of: file).map(\.module) == [
                "Bytes", "JSON", "OpenSSL", "JWT", "Glibc",
            ])
        let found = CodeRules.foreignImports(file, allowed: ["HTTP": ["Bytes", "JSON"]])
        #expect(found.map { $0.split(separator: " ").last ?? "" } == ["OpenSSL", "JWT", "Glibc"])
        #expect(CodeRules.foreignImports(file, allowed: [:]).count == 5)
    }

    @Test(
        "Marks of unfinished work are seen as words",
        arguments: [
            ("// TO" + "DO: a", 1), ("# FIX" + "ME", 1), ("XX" + "X", 1), ("\\uXX" + "XX", 0),
            ("TO" + "DOS", 0), ("todo", 0),
        ])
    func unfinished(text: String, count: Int) {
        #expect(TextRules.unfinished(TextFile(path: "a", text: text)).count == count)
    }

    @Test(
        "Paths of one machine are seen",
        arguments: [
            ("cd /wo" + "rk/main", 1), ("\"/tmp/bash" + "_jobs.0/a\"", 1), ("/tmp/w" + "t-a", 1),
            ("network/a", 0), ("./wo" + "rk/a", 0), ("/tmp/a", 0),
        ])
    func machinePaths(text: String, count: Int) {
        #expect(TextRules.machinePaths(TextFile(path: "a", text: text)).count == count)
    }

    @Test(
        "Dead links are seen from the page's own folder",
        arguments: [
            ("[a](b.md)", 0), ("[a](b.md#c)", 0), ("[a](../docs/b.md)", 0), ("[a](c.md)", 1),
            ("[a](docs/b.md)", 1), ("[a](/docs/b.md)", 1), ("[a](https://c.example/)", 0),
            ("[a](#c)", 0),
            ("![a](c.png \"title\")", 1), ("[a](c.md) [b](b.md) [c](d.md)", 2),
            ("```\n[a](c.md)\n```", 0),
        ])
    func links(text: String, count: Int) {
        let page = TextFile(path: "docs/a.md", text: text)
        let dead = TextRules.deadLinks(page) { ["docs/b.md", "docs/../docs/b.md"].contains($0) }
        #expect(dead.count == count)
    }

    @Test("Keys of the schema that the page does not show are named")
    func keys() throws {
        let schema = """
            {"properties": {"a": {"properties": {"b": {}}},
                            "c": {"items": [{"properties": {"d": {}}}]}}}
            """
        #expect(try TextRules.undocumentedKeys(schema: schema, page: "b") == ["a", "b", "c", "d"])
        let page = "`a` `c[]` and `a.b`: {\"d\": 1}"
        #expect(try TextRules.undocumentedKeys(schema: schema, page: page) == [])
    }

    @Test("The two tables are read alike and compared in order")
    func tables() {
        let page = """
            ## Others
            | `Z` | z | `Y` |
            ## Modules
            | module | what | imports |
            |---|---|---|
            | `A` | a | – |
            | `B` | b | `A` |
            | `c` | c | `A`, `B`, `Logging` |
            ## More
            | `Y` | z | `Y` |
            """
        let manifest = """
            .target(name: "A"),
            module(
                "B", uses: [
                    "A",
                ]),
            .executableTarget(name: "c", dependencies: ["A", "B", log], swiftSettings: x),
            tests(of: "A"), .testTarget(name: "TidyTests", swiftSettings: houseRules),
            """
        let table = ModuleTable(page: page)
        #expect(table.rows.map(\.module) == ["A", "B", "c"])
        #expect(table == ModuleTable(manifest: manifest))
        #expect(table != ModuleTable(manifest: manifest.replacing("[\"A\", \"B\"", with: "[\"A\"")))
        #expect(table.upwardImports == [])
        #expect(
            ModuleTable(page: page.replacing("– |", with: "`B` |")).upwardImports == ["A imports B"]
        )
        #expect(table.allowed["c"] == ["A", "B", "Logging"])
    }
}
