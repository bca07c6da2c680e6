import Foundation

/// The rules for all text files, documentation among them.
enum TextRules {
    /// Marks of unfinished work. Put together here, so that this file does not break its own rule.
    private static let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]

    /// Folders that exist on one machine only.
    private static let machineFolders = ["/wo" + "rk/", "/tmp/bash" + "_jobs", "/tmp/w" + "t-"]

    static func unfinished(_ file: TextFile) -> [String] {
        lines(of: file) { line in
            marks.contains { mark in
                line.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.contains(mark[...])
            }
        }
    }

    static func machinePaths(_ file: TextFile) -> [String] {
        lines(of: file) { line in
            machineFolders.contains { folder in
                line.ranges(of: folder).contains { range in
                    // `network/` and `$ROOT/…` are other paths.
                    guard let before = line[..<range.lowerBound].last else { return true }
                    return !before.isLetter && !before.isNumber && !"_}.)".contains(before)
                }
            }
        }
    }

    /// Relative links of a page that lead nowhere.
    static func deadLinks(_ page: TextFile, exists: (String) -> Bool) -> [String] {
        let folder = page.path.split(separator: "/").dropLast().joined(separator: "/")
        return targets(of: page).compactMap { line, target in
            if target.contains(/^[a-z]+:/) || target.hasPrefix("#") { return nil }
            let path = target.split(separator: "#").first.map(String.init) ?? target
            guard !path.hasPrefix("/") else { return "\(page.path):\(line): \(target)" }
            let isThere = exists(folder.isEmpty ? path : folder + "/" + path)
            return isThere ? nil : "\(page.path):\(line): \(target)"
        }
    }

    /// Link targets outside of code blocks, with their lines.
    private static func targets(of page: TextFile) -> [(line: Int, target: String)] {
        var isCode = false
        return page.lines.enumerated().flatMap { offset, line -> [(line: Int, target: String)] in
            if line.hasPrefix("```") { isCode.toggle() }
            if isCode { return [] }
            return line.matches(of: /\]\((?<target>[^)\s]+)[^)]*\)/).map {
                (offset + 1, String($0.target))
            }
        }
    }

    /// Names of properties in a JSON Schema that a page nowhere shows as code.
    static func undocumentedKeys(schema: String, page: String) throws -> [String] {
        let value = try JSONSerialization.jsonObject(with: Data(schema.utf8))
        var names: Set<String> = []
        collectProperties(value, into: &names)
        return names.filter { name in
            !["`\(name)`", "`\(name)[]`", "\"\(name)\"", ".\(name)`", ".\(name)[]`"].contains {
                page.contains($0)
            }
        }.sorted()
    }

    private static func collectProperties(_ value: Any, into names: inout Set<String>) {
        if let object = value as? [String: Any] {
            if let properties = object["properties"] as? [String: Any] {
                names.formUnion(properties.keys)
            }
            for member in object.values { collectProperties(member, into: &names) }
        } else if let array = value as? [Any] {
            for element in array { collectProperties(element, into: &names) }
        }
    }

    private static func lines(of file: TextFile, _ isBad: (Substring) -> Bool) -> [String] {
        file.lines.enumerated().filter { isBad($0.element) }.map {
            "\(file.path):\($0.offset + 1): \($0.element.prefix(100))"
        }
    }
}
