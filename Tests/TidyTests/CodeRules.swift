/// The rules for Swift files. Each takes a file and gives what breaks it, as `path:line: what`.
enum CodeRules {
    /// Modules that may say `unsafe`: the owning buffer and those that talk to C.
    static let unsafeModules: Set<String> = ["Bytes", "EventLoop", "OpenSSL", "HTTP2"]

    /// System modules and who may import them; no row of the table names these.
    static let systemModules: [String: Set<String>] = [
        "Glibc": ["Bytes", "EventLoop", "HTTP2", "bearward"],
        "Synchronization": ["EventLoop", "Gateway"],
    ]

    /// Where the compiler's check of what crosses threads may be set aside, and why that is right.
    static let uncheckedSendable: [String: String] = [
        "Sources/OpenSSL/PointTable.swift":
            "a pointer to a group that nothing changes once it is made, and that calls only read"
    ]

    /// Where the process may end itself, and why nothing else is left to do.
    static let traps: [String: String] = [
        "Sources/Bytes/ByteBuffer.swift": "without memory there is no answer to give either"
    ]

    /// Files above 400 lines, and the most that each may have: it may shrink, not grow.
    static let longFiles: [String: Int] = [:]

    static func unsafeCode(_ file: TextFile) -> [String] {
        guard let module = file.module, !unsafeModules.contains(module) else { return [] }
        return matches(in: file) { $0.contains(/\bunsafe\b|\bUnsafe[A-Z]|\bunowned\(unsafe/) }
    }

    static func uncheckedConcurrency(_ file: TextFile) -> [String] {
        guard file.module != nil, uncheckedSendable[file.path] == nil else { return [] }
        return matches(in: file) {
            $0.contains(/@unchecked\b|nonisolated\(unsafe\)|@preconcurrency/)
        }
    }

    static func trapsOnInput(_ file: TextFile) -> [String] {
        guard file.module != nil else { return [] }
        let mayEnd = traps[file.path] != nil
        return matches(in: file) { line in
            line.contains(/\btry!|\bas!/) || line.contains(/[\w)\]]!(?![=\w])/)
                || (!mayEnd && line.contains(/\bfatalError\b/))
        }
    }

    static func foundation(_ file: TextFile) -> [String] {
        guard file.module != nil else { return [] }
        return matches(in: file) { $0.contains(/\bimport\s+(\w+\s+)?Foundation/) }
    }

    /// Lines over 100 columns. A word of more than 50, such as a key in a test's vectors, is not
    /// broken; nor are the texts in tables of tests, where only what stands around them counts.
    static func longLines(_ file: TextFile) -> [String] {
        file.lines.indices.compactMap { index in
            let line = file.lines[index]
            guard line.count > 100, line.split(separator: " ").allSatisfy({ $0.count <= 50 })
            else { return nil }
            let isComment = line.drop { $0 == " " }.hasPrefix("//")
            let isText = file.code[index].split(separator: " ").joined(separator: " ").count <= 100
            if file.module == nil, !isComment, isText { return nil }
            return "\(file.path):\(index + 1): over 100 columns"
        }
    }

    /// Files over 400 lines, or 1,000 in tests, which are tables for the most part.
    static func longFile(_ file: TextFile) -> [String] {
        let count = file.lines.count - 1
        let most = longFiles[file.path] ?? (file.module == nil ? 1000 : 400)
        return count > most ? ["\(file.path): \(count) lines, \(most) at most"] : []
    }

    /// Declarations that other modules see, without a `///` line above.
    static func undocumented(_ file: TextFile) -> [String] {
        guard file.module != nil else { return [] }
        let lines = file.lines.map { $0.drop { $0 == " " } }
        let declaration =
            #/
            ^(@\w+(\([^)]*\))?\s+)*
            ((final|static|mutating|nonmutating|consuming|indirect|nonisolated)\s+)*
            (package|public|open)\s+(?!import\b)
            /#
        return lines.indices.compactMap { index in
            guard !lines[index].hasPrefix("//"), lines[index].contains(declaration) else {
                return nil
            }
            var above = index - 1
            while above >= 0, lines[above].wholeMatch(of: /@\w+(\(.*\))?/) != nil { above -= 1 }
            let isDocumented = above >= 0 && lines[above].hasPrefix("///")
            return isDocumented ? nil : "\(file.path):\(index + 1): no /// line"
        }
    }

    /// The modules that a file imports, with their lines.
    static func imports(of file: TextFile) -> [(line: Int, module: String)] {
        file.code.enumerated().compactMap { offset, line in
            let statement =
                #/
                ^\s*(@\w+\s+)*((package|public|internal|private|fileprivate)\s+)?
                import\s+((struct|class|enum|func|protocol|typealias|var|let)\s+)?(?<name>\w+)
                /#
            guard let match = line.firstMatch(of: statement) else { return nil }
            return (offset + 1, String(match.name))
        }
    }

    /// Imports that the module's row does not name.
    static func foreignImports(_ file: TextFile, allowed: [String: Set<String>]) -> [String] {
        guard let module = file.module else { return [] }
        return imports(of: file).compactMap { line, name in
            let isNamed = allowed[module]?.contains(name) ?? false
            let isSystem = systemModules[name]?.contains(module) ?? false
            return isNamed || isSystem ? nil : "\(file.path):\(line): imports \(name)"
        }
    }

    private static func matches(
        in file: TextFile, _ isBad: (Substring) -> Bool
    ) -> [String] {
        numbered(file.code, where: isBad).map { number in
            "\(file.path):\(number): \(file.lines[number - 1].drop { $0 == " " })"
        }
    }

    private static func numbered(
        _ lines: [Substring], where isBad: (Substring) -> Bool
    ) -> [Int] {
        lines.indices.filter { isBad(lines[$0]) }.map { $0 + 1 }
    }
}
