package import JSON

/// One thing that is wrong with a configuration, and where.
package struct ConfigurationProblem: Equatable, Sendable, CustomStringConvertible {
    /// Whether it keeps the configuration from being used.
    package enum Severity: String, Sendable {
        case error
        case warning
    }

    /// The file's name as it was given.
    package let file: String
    /// The place in the file.
    package let position: JSONPosition
    /// Whether it is an error.
    package let severity: Severity
    /// What is wrong.
    package let message: String
    /// What to do about it.
    package let hint: String?

    /// `proxy.json:LINE:COLUMN: error: …`
    package var description: String {
        let place = "\(file):\(position.line):\(position.column): \(severity.rawValue): \(message)"
        return hint.map { "\(place); \($0)" } ?? place
    }
}

/// Problems as they are found, by offset. One for each decoding, confined to it.
final class Diagnostics {
    private struct Entry {
        let offset: Int
        let severity: ConfigurationProblem.Severity
        let message: String
        let hint: String?
        /// Another place that the message ends with.
        let other: Int?
    }

    private var entries: [Entry] = []
    /// The keys that the decoder asked for, as `object.key`: a test compares them with the schema.
    private(set) var keysRead: Set<String> = []

    /// Whether anything was found that keeps the configuration from being used.
    private(set) var hasErrors = false

    /// Reports an error; `other` is the offset of a second place, which the message then ends with.
    func error(_ message: String, at offset: Int, hint: String? = nil, other: Int? = nil) {
        hasErrors = true
        entries.append(
            Entry(offset: offset, severity: .error, message: message, hint: hint, other: other))
    }

    func warning(_ message: String, at offset: Int, hint: String? = nil) {
        entries.append(
            Entry(offset: offset, severity: .warning, message: message, hint: hint, other: nil))
    }

    func noteKey(_ key: String, of object: String) {
        keysRead.insert("\(object).\(key)")
    }

    /// Everything found, in the order of the file.
    func problems(in text: Span<UInt8>, file: String) -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        for entry in entries.sorted(by: { $0.offset < $1.offset }) {
            var message = entry.message
            if let other = entry.other {
                let place = JSONPosition(of: other, in: text)
                message += " at \(place.line):\(place.column)"
            }
            problems.append(
                ConfigurationProblem(
                    file: file, position: JSONPosition(of: entry.offset, in: text),
                    severity: entry.severity, message: message, hint: entry.hint))
        }
        return problems
    }
}
