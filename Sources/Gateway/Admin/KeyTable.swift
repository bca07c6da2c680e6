internal import Bytes
internal import Keys
internal import Telemetry

/// One key set as a block of lines:
///
///     login  https://login.example.com/.well-known/jwks.json
///       fresh, fetched 3m12s ago, next look in 6m40s; 9 looks, 1 failed, 0 for unknown keys
///       KID      TYPE      ALG    FIRST SEEN            LAST USED
///       2026-01  RSA 2048  RS256  2026-11-20T21:00:00Z  5s ago
///       skipped key 3 (old): weak
///       last failure 2h5m ago: the answer was 500
///
/// Most of it comes from outside and goes to a terminal: nothing but visible ASCII passes.
struct KeyTable {
    private static let maxText = 120
    private static let maxKeyID = 48

    private let set: IssuerKeyStatus
    private let now: Int64
    /// Whether looks go on after this one.
    private let goesOn: Bool

    init(_ set: IssuerKeyStatus, now: Int64, goesOn: Bool) {
        self.set = set
        self.now = now
        self.goesOn = goesOn
    }

    var text: String {
        var lines = [title, "  " + state]
        if !set.keys.isEmpty { lines += KeyTable.aligned(rows).map { "  " + $0 } }
        lines += set.skipped.map { key in
            let name = key.keyID.map { " (\(KeyTable.printable($0, KeyTable.maxKeyID)))" } ?? ""
            return "  skipped key \(key.index)\(name): \(KeyTable.printable(key.reason))"
        }
        if let fault = set.lastFault {
            lines.append("  last failure \(ago(fault.at)): \(KeyTable.printable(fault.text))")
        }
        return lines.joined(separator: "\n")
    }

    private var title: String {
        let tenant = set.tenant.map { " tenant " + KeyTable.printable($0) } ?? ""
        let source = KeyTable.printable(set.source, 2048)
        return "\(KeyTable.printable(set.issuer))\(tenant)  \(source)"
    }

    private var state: String {
        var facts = [set.state == .none ? "no keys" : set.state.rawValue]
        if let origin = set.obtainedFrom { facts.append(KeyTable.words(for: origin)) }
        if let age = set.age, set.state != .none {
            facts[facts.count - 1] += " \(KeyTable.span(age)) ago"
        }
        if goesOn, let next = set.nextFetchAt { facts.append("next look \(ahead(next))") }
        if set.state == .stale, let end = set.staleUntil {
            facts.append("given up \(ahead(end))")
        }
        let looks = set.counts.fetches
        guard goesOn, looks > 0 else { return facts.joined(separator: ", ") }
        let counts =
            "\(looks) look\(looks == 1 ? "" : "s"), \(set.counts.failures) failed, "
            + "\(set.counts.unknownKeyFetches) for unknown keys"
        return facts.joined(separator: ", ") + "; " + counts
    }

    private static func words(for origin: IssuerKeyStatus.Origin) -> String {
        switch origin {
        case .fetch: "fetched"
        case .snapshot: "from a snapshot, fetched"
        case .file: "from a file, read"
        case .inline: "from the configuration, read"
        case .secret: "a secret, read"
        }
    }

    private var rows: [[String]] {
        [["KID", "TYPE", "ALG", "FIRST SEEN", "LAST USED"]]
            + set.keys.map { key in
                [
                    key.keyID.map { KeyTable.printable($0, KeyTable.maxKeyID) } ?? "-",
                    KeyTable.printable("\(key.type) \(key.size)"),
                    key.algorithm.map { KeyTable.printable($0) } ?? "-",
                    KeyTable.calendar(key.firstSeen),
                    key.lastUsed.map { ago($0) } ?? "never",
                ]
            }
    }

    private static func aligned(_ rows: [[String]]) -> [String] {
        var widths = [Int](repeating: 0, count: rows.first?.count ?? 0)
        for row in rows {
            for (column, cell) in row.enumerated() {
                widths[column] = max(widths[column], cell.utf8.count)
            }
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                guard column < row.count - 1 else { break }
                line += String(repeating: " ", count: widths[column] - cell.utf8.count + 2)
            }
            return line
        }
    }

    // MARK: Times

    private func ago(_ time: Int64) -> String {
        "\(KeyTable.span(now.subtractingReportingOverflow(time).partialValue)) ago"
    }

    private func ahead(_ time: Int64) -> String {
        time <= now
            ? "now" : "in \(KeyTable.span(time.subtractingReportingOverflow(now).partialValue))"
    }

    /// Seconds in at most two units: `45s`, `3m12s`, `2h5m`, `3d4h`.
    static func span(_ seconds: Int64) -> String {
        let seconds = max(0, seconds)
        return switch seconds {
        case ..<60: "\(seconds)s"
        case ..<3600: two(seconds / 60, "m", seconds % 60, "s")
        case ..<86_400: two(seconds / 3600, "h", seconds / 60 % 60, "m")
        default: two(seconds / 86_400, "d", seconds / 3600 % 24, "h")
        }
    }

    private static func two(_ a: Int64, _ unit: String, _ b: Int64, _ next: String) -> String {
        b == 0 ? "\(a)\(unit)" : "\(a)\(unit)\(b)\(next)"
    }

    private static func calendar(_ time: Int64) -> String {
        var output = ByteBuffer()
        var timestamp = Timestamp()
        timestamp.append(
            unixMilliseconds: time.multipliedReportingOverflow(by: 1000).partialValue, to: &output)
        // Without the milliseconds, which are none.
        output.truncate(to: 19)
        return (output.withBytes { String(validating: $0) } ?? "") + "Z"
    }

    // MARK: Text from outside

    /// The text with everything but visible ASCII and the space escaped, and cut.
    static func printable(_ text: String, _ length: Int = maxText) -> String {
        var output = ""
        for scalar in text.unicodeScalars {
            guard output.utf8.count < length else { return output + "..." }
            if scalar.value >= 0x20, scalar.value < 0x7f, scalar != "\\" {
                output.unicodeScalars.append(scalar)
            } else {
                output += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
        return output
    }
}
