import JSON
import JWT

/// Reads `proxy.json`: one value, or every problem in it.
package struct ConfigurationDecoder {
    /// What came of it.
    package struct Outcome: Sendable {
        /// The configuration; nil where there is an error among the problems.
        package let configuration: Configuration?
        /// Errors and warnings in the order of the file.
        package let problems: [ConfigurationProblem]
    }

    /// A configuration of ten thousand routes has about 2 MiB.
    package static let maxBytes = 16 << 20

    private let file: String
    private let environment: [String: String]
    private let checksKeyFiles: Bool
    private let readFile: (String) -> [UInt8]?
    private let faultOfDirectory: (String) -> String?

    /// A decoder.
    ///
    /// - Parameters:
    ///   - file: the configuration's name as it was given; relative paths start from its folder.
    ///   - environment: what `${NAME}` takes values from.
    ///   - checksKeyFiles: whether key files must be there and usable already, as for `check`.
    ///   - readFile: a file's contents, or nil where it cannot be read or is too large.
    ///   - faultOfDirectory: why files should not be kept in a directory, or nil; asked for
    ///     `check`.
    package init(
        file: String, environment: [String: String], checksKeyFiles: Bool,
        readFile: @escaping (String) -> [UInt8]?,
        faultOfDirectory: @escaping (String) -> String? = { _ in nil }
    ) {
        self.file = file
        self.environment = environment
        self.checksKeyFiles = checksKeyFiles
        self.readFile = readFile
        self.faultOfDirectory = faultOfDirectory
    }

    /// Reads a text.
    package func decode(_ text: Span<UInt8>) -> Outcome {
        let diagnostics = Diagnostics()
        let configuration = decode(text, diagnostics)
        return Outcome(
            configuration: diagnostics.hasErrors ? nil : configuration,
            problems: diagnostics.problems(in: text, file: file))
    }

    /// The same with the reports of a caller, for the test of the schema.
    func decode(_ text: Span<UInt8>, _ diagnostics: Diagnostics) -> Configuration? {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text, maxBytes: Self.maxBytes)
        } catch {
            diagnostics.error(ProblemText.of(error.kind), at: error.offset)
            return nil
        }
        let substituted = EnvironmentSubstitution(
            environment: environment, diagnostics: diagnostics
        ).apply(to: value)
        let root = ObjectReader(substituted, as: SchemaTables.root, diagnostics)
        return root.flatMap { decode($0) }
    }

    private func decode(_ root: ObjectReader) -> Configuration? {
        let files = FileAccess(configurationFile: file, readFile: readFile)
        _ = root.value("$schema")
        let removed = FieldNameRules.identityHeaders(root)
        let listeners = ListenerDecoder(
            files: files, fieldsOfRoutes: FieldNameRules.written(in: root)
        ).decode(root)
        let issuers = IssuerDecoder(files: files, checksKeyFiles: checksKeyFiles).decode(root)
        let upstreams = UpstreamDecoder(files: files).decode(root)
        let routes = RouteDecoder(root).decode()
        let limits = SettingsDecoder.limits(root)
        let timeouts = SettingsDecoder.timeouts(root)
        let tokenCache = SettingsDecoder.tokenCache(root)
        let log = SettingsDecoder.log(root, files)
        let realm = SettingsDecoder.realm(root)
        let workers = root.integer("workers")
        let admin = AdminDecoder(files: files).decode(root, besides: listeners)
        let stateDirectory = stateDirectory(root, files)
        guard let limits, let timeouts, let tokenCache, let log, let realm else { return nil }
        return Configuration(
            realm: realm, listeners: listeners.map(\.value), issuers: issuers, upstreams: upstreams,
            routes: routes, limits: limits, timeouts: timeouts, tokenCache: tokenCache,
            workers: workers, log: log, admin: admin, stateDirectory: stateDirectory,
            removedFields: removed
                + FieldNameRules.written(by: routes, andAbout: listeners.map(\.value)))
    }

    /// The folder's path. One that cannot be used is no error: without it a restart during an
    /// issuer's outage has no keys, and all else is as it was.
    private func stateDirectory(_ root: ObjectReader, _ files: FileAccess) -> String? {
        guard let text = root.string("stateDirectory") else { return nil }
        let path = files.resolve(text.value)
        if checksKeyFiles, let fault = faultOfDirectory(path) {
            root.diagnostics.warning(
                "the state directory \"\(path)\": \(fault)", at: text.offset)
        }
        return path
    }
}

/// Files named in a configuration.
struct FileAccess {
    private let folder: String
    private let readFile: (String) -> [UInt8]?

    init(configurationFile: String, readFile: @escaping (String) -> [UInt8]?) {
        let end = configurationFile.lastIndex(of: "/")
        folder = end.map { String(configurationFile[...$0]) } ?? ""
        self.readFile = readFile
    }

    /// The path, the configuration's folder in front where it is relative.
    func resolve(_ path: String) -> String {
        path.hasPrefix("/") ? path : folder + path
    }

    /// The contents of a resolved path.
    func read(_ path: String) -> [UInt8]? { readFile(path) }
}
