/// Which module may import which, in order, from one of the two places that say so.
struct ModuleTable: Equatable {
    struct Row: Equatable {
        let module: String
        let imports: [String]
    }

    var rows: [Row] = []

    /// The table of the section `## Modules` of docs/architecture.md.
    init(page: String) {
        var isInSection = false
        for line in page.split(separator: "\n") {
            if line.hasPrefix("## ") { isInSection = line == "## Modules" }
            let cells = line.split(separator: "|")
            guard isInSection, line.hasPrefix("| `"), cells.count == 3 else { continue }
            let module = ModuleTable.codes(in: cells[0])
            rows.append(Row(module: module.joined(), imports: ModuleTable.codes(in: cells[2])))
        }
    }

    /// The targets of Package.swift, its tests left out.
    init(manifest: String) {
        let products = ["log": "Logging", "argumentParser": "ArgumentParser"]
        let target =
            #/
            (?:\bmodule|\.target|\.systemLibrary|\.executableTarget)
            \(\s*(?:name:\s*)?"(?<name>\w+)"
            (?:\s*,\s*(?:uses|dependencies):\s*\[(?<uses>[^\]]*)\])?
            /#
        for match in manifest.matches(of: target) {
            let uses = (match.uses ?? "").split(separator: ",").map { use in
                let name = use.filter { !$0.isWhitespace }
                return products[name] ?? name.filter { $0 != "\"" }
            }
            rows.append(Row(module: String(match.name), imports: uses.filter { !$0.isEmpty }))
        }
    }

    /// What each module may import.
    var allowed: [String: Set<String>] {
        Dictionary(rows.map { ($0.module, Set($0.imports)) }) { $0.union($1) }
    }

    /// Imports of modules of ours that do not stand above.
    var upwardImports: [String] {
        let names = Set(rows.map(\.module))
        var above: Set<String> = []
        var found: [String] = []
        for row in rows {
            for name in row.imports where names.contains(name) && !above.contains(name) {
                found.append("\(row.module) imports \(name)")
            }
            above.insert(row.module)
        }
        return found
    }

    private static func codes(in cell: Substring) -> [String] {
        cell.matches(of: /`(?<name>\w+)`/).map { String($0.name) }
    }
}
