package import Configuration
internal import EventLoop

/// A configuration in a file, with what it takes from the files and the environment around it.
package struct ConfigurationFile {
    /// What reading gave.
    package struct Outcome {
        /// The configuration; nil where there are errors.
        package let configuration: Configuration?
        /// Errors and warnings as lines, in the order of the file.
        package let problems: [String]
    }

    /// Secrets, key sets and certificates are far smaller; a trust store has some 250 KiB.
    static let maxNamedFile = 1 << 20

    private let path: String

    /// The file at a path.
    package init(path: String) {
        self.path = path
    }

    /// Reads and decodes the file. `checkingKeyFiles`: key files have to be usable now.
    package func read(checkingKeyFiles: Bool) -> Outcome {
        let text: [UInt8]
        do throws(SystemError) {
            // `check` and `serve` take what another command writes, too.
            text = try Files.read(
                path, maxBytes: ConfigurationDecoder.maxBytes, mayWait: true)
        } catch {
            let hint = error.isNotFound ? "; name it with --config" : ""
            return Outcome(
                configuration: nil,
                problems: ["\(path): error: cannot be read: \(error.message)\(hint)"])
        }
        let decoder = ConfigurationDecoder(
            file: path, environment: Process.environment, checksKeyFiles: checkingKeyFiles,
            readFile: { try? Files.read($0, maxBytes: ConfigurationFile.maxNamedFile) },
            faultOfDirectory: { Files.faultOfDirectory($0) })
        let decoded = decoder.decode(text.span)
        return Outcome(
            configuration: decoded.configuration,
            problems: decoded.problems.map(\.description))
    }
}

/// The standard error output, for what is not a log line.
package enum StandardError {
    /// Writes one line.
    package static func write(line: String) {
        let bytes = Array("\(line)\n".utf8)
        try? Files.write(bytes.span, to: 2)
    }
}
