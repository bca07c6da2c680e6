internal import ArgumentParser
internal import Configuration
internal import Gateway

extension ExitCode {
    /// The configuration has errors (`EX_CONFIG`).
    static let configuration = ExitCode(78)
    /// The system refused something (`EX_OSERR`).
    static let system = ExitCode(71)
}

extension ConfigurationFile.Outcome {
    /// Prints every problem to the standard error output.
    func report() {
        for problem in problems { StandardError.write(line: problem) }
    }
}
