import Bytes
import Configuration
import Foundation
import Testing

/// What tests share.
enum Fixtures {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "fixtures/configuration")

    /// A file of `fixtures/configuration/tls`, as `dir/tls/NAME`.
    static func material(_ path: String) -> [UInt8]? {
        guard path.hasPrefix("dir/tls/") else { return nil }
        let file = folder.appending(path: String(path.dropFirst("dir/".count)))
        return (try? Data(contentsOf: file)).map { Array($0) }
    }
}

/// Decodes a text as `dir/proxy.json`; beside `files`, those of `Fixtures.material` are there.
func decode(
    _ text: String, environment: [String: String] = [:], files: [String: String] = [:],
    checksKeyFiles: Bool = false, file: String = "dir/proxy.json"
) -> ConfigurationDecoder.Outcome {
    ConfigurationDecoder(
        file: file, environment: environment, checksKeyFiles: checksKeyFiles,
        readFile: { path in files[path].map { Array($0.utf8) } ?? Fixtures.material(path) }
    ).decode(text.utf8Span.span)
}

/// A configuration of one section a line: listeners 2, issuers 3, upstreams 4, routes 5, more 6.
func sections(
    listeners: String = #"[{"address":"127.0.0.1:8080"}]"#,
    issuers: String = #"{"login":{"issuer":"i","audiences":["a"],"keys":{"file":"k"}}}"#,
    upstreams: String = #"{"up":{"endpoints":["http://127.0.0.1:9000"]}}"#,
    routes: String = #"[{"path":"/**","upstream":"up"}]"#, more: String = "\"workers\":1"
) -> String {
    """
    {
    "listeners":\(listeners),
    "issuers":\(issuers),
    "upstreams":\(upstreams),
    "routes":\(routes),
    \(more)
    }
    """
}

/// The configuration of a text that has no problem.
func configuration(_ text: String) throws -> Configuration {
    let outcome = decode(text)
    #expect(outcome.problems == [])
    return try #require(outcome.configuration)
}

/// The problems of a text without the file's name.
func problems(_ text: String) -> [String] {
    let outcome = decode(text)
    #expect((outcome.configuration == nil) == outcome.problems.contains { $0.severity == .error })
    return outcome.problems.map { String($0.description.dropFirst("dir/proxy.json:".count)) }
}
