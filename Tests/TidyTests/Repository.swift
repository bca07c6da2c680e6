import Foundation

/// A text file of the repository.
struct TextFile: Sendable {
    /// From the repository's root, with `/` between the parts.
    let path: String
    let text: String
    let lines: [Substring]
    /// The lines of Swift without comments and texts.
    let code: [Substring]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        code =
            path.hasSuffix(".swift")
            ? SwiftCode(text).text.split(separator: "\n", omittingEmptySubsequences: false) : []
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    /// The module of a file in `Sources`, else nil.
    var module: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }
}

/// The tree that this test was compiled from.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// What tools leave behind, and what is no text of ours.
    private static let ignored: Set<String> = [
        ".build", ".git", ".venv", ".pytest_cache", "__pycache__", "Package.resolved",
        "node_modules",
    ]

    /// All text files, read once.
    static let files: [TextFile] = read(root, prefix: "")

    static var sources: [TextFile] { files.filter { $0.isSwift && $0.module != nil } }
    static var swift: [TextFile] { files.filter(\.isSwift) }
    static var pages: [TextFile] { files.filter { $0.path.hasSuffix(".md") } }

    static func file(_ path: String) -> TextFile? { files.first { $0.path == path } }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).standardized.path)
    }

    private static func read(_ folder: URL, prefix: String) -> [TextFile] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().filter { !ignored.contains($0) }.flatMap { name -> [TextFile] in
            let url = folder.appending(path: name)
            let path = prefix + name
            // Links are not followed: what they lead to is read where it is, or is not ours.
            let facts = try? FileManager.default.attributesOfItem(atPath: url.path)
            let type = facts?[.type] as? FileAttributeType
            if type == .typeDirectory { return read(url, prefix: path + "/") }
            guard type == .typeRegular else { return [] }
            guard let text = try? String(contentsOf: url, encoding: .utf8) else { return [] }
            return [TextFile(path: path, text: text)]
        }
    }
}
