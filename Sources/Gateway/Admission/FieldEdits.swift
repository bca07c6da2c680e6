internal import Bytes
internal import Configuration
internal import HTTP

/// Changes that a route makes to the fields of a message.
final class FieldEdits {
    /// Whole lines to be written.
    let lines: [UInt8]
    /// Whether any line is written.
    let writesLines: Bool
    /// Names whose lines go, those written anew among them; lower case, `-` for `_` and `.`.
    private let removed: [[UInt8]]

    init(_ edits: Configuration.FieldEdits) {
        lines = edits.set.flatMap { Array("\($0.name): \($0.value)\r\n".utf8) }
        writesLines = !lines.isEmpty
        removed = (edits.remove + edits.set.map(\.name)).map { name in
            name.utf8.map(FieldEdits.comparable)
        }
    }

    /// Leaves the lines out that go.
    func drop(from fields: FieldSection, _ bytes: Span<UInt8>) {
        if removed.isEmpty { return }
        for index in 0..<fields.count where removes(bytes.extracting(fields[index].name)) {
            fields.drop(index)
        }
    }

    private func removes(_ name: Span<UInt8>) -> Bool {
        for candidate in removed where candidate.count == name.count {
            var index = 0
            while index < name.count, FieldEdits.comparable(name[index]) == candidate[index] {
                index += 1
            }
            if index == name.count { return true }
        }
        return false
    }

    /// Servers that turn names into variables (RFC 3875, section 4.1.18) tell these three not
    /// apart.
    private static func comparable(_ byte: UInt8) -> UInt8 {
        byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
            ? UInt8(ascii: "-") : ASCII.lowercased(byte)
    }
}
