import Testing

/// The rules, held against the tree.
@Suite struct HouseTests {
    @Test("The tree is where the rules look for it")
    func tree() {
        #expect(Repository.sources.count > 30)
        #expect(Repository.pages.count > 0)
        #expect(Repository.file("Package.swift") != nil)
        #expect(Repository.file("Tests/TidyTests/HouseTests.swift") != nil)
    }

    @Test("docs/architecture.md and Package.swift have the same modules and imports, in order")
    func moduleTables() throws {
        let page = try #require(Repository.file("docs/architecture.md"))
        let manifest = try #require(Repository.file("Package.swift"))
        let table = ModuleTable(page: page.text)
        #expect(table.rows.count > 10)
        #expect(table == ModuleTable(manifest: manifest.text))
        #expect(table.upwardImports == [])
        let folders = Set(Repository.files.compactMap(\.module))
        #expect(folders == Set(table.rows.map(\.module)))
    }

    @Test("A module imports only what its row names")
    func imports() throws {
        let page = try #require(Repository.file("docs/architecture.md"))
        let allowed = ModuleTable(page: page.text).allowed
        #expect(
            Repository.sources.flatMap { CodeRules.foreignImports($0, allowed: allowed) } == [])
    }

    @Test("Foundation stays out of Sources")
    func foundation() { #expect(Repository.sources.flatMap(CodeRules.foundation) == []) }

    @Test("unsafe stands only in Bytes, EventLoop, OpenSSL and HTTP2")
    func unsafeCode() { #expect(Repository.sources.flatMap(CodeRules.unsafeCode) == []) }

    @Test("What crosses threads is checked, but where a reason is given")
    func concurrency() {
        #expect(Repository.sources.flatMap(CodeRules.uncheckedConcurrency) == [])
    }

    @Test("Nothing traps on input: no try!, as!, forced unwrapping or fatalError")
    func traps() { #expect(Repository.sources.flatMap(CodeRules.trapsOnInput) == []) }

    @Test("Exceptions to a rule are still needed")
    func exceptions() {
        for path in CodeRules.traps.keys {
            #expect(Repository.file(path)?.text.contains("fatalError") == true, "\(path)")
        }
        for path in CodeRules.longFiles.keys {
            #expect(Repository.file(path)?.lines.count ?? 0 > 401, "\(path)")
        }
        for path in CodeRules.uncheckedSendable.keys {
            let text = Repository.file(path)?.text ?? ""
            #expect(text.contains(/@unchecked|nonisolated\(unsafe\)|@preconcurrency/), "\(path)")
        }
    }

    @Test("Lines have at most 100 columns")
    func longLines() { #expect(Repository.swift.flatMap(CodeRules.longLines) == []) }

    @Test("Files have at most 400 lines, and 1,000 in tests")
    func longFiles() { #expect(Repository.swift.flatMap(CodeRules.longFile) == []) }

    @Test("What other modules see has a line of documentation")
    func documentation() { #expect(Repository.sources.flatMap(CodeRules.undocumented) == []) }

    @Test("Every key of the schema is described in docs/configuration.md")
    func documentedKeys() throws {
        let schema = try #require(Repository.file("proxy.schema.json"))
        let page = try #require(Repository.file("docs/configuration.md"))
        #expect(try TextRules.undocumentedKeys(schema: schema.text, page: page.text) == [])
    }

    @Test("Nothing is left unfinished")
    func unfinished() { #expect(Repository.files.flatMap(TextRules.unfinished) == []) }

    @Test("No path of one machine is in the tree")
    func machinePaths() { #expect(Repository.files.flatMap(TextRules.machinePaths) == []) }

    @Test("Links between files lead somewhere")
    func links() {
        let dead = Repository.pages.flatMap {
            TextRules.deadLinks($0, exists: Repository.exists)
        }
        #expect(dead == [])
    }
}
