internal import ArgumentParser
internal import Configuration
internal import Gateway

/// `bearward keys`
struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show every issuer's keys, their age and their use.",
        discussion: """
            Asks the running server at admin.address. Where none answers it says so, and looks at \
            every source once itself. Exits 0; 1 where an issuer has no keys; 78 where the \
            configuration has errors.
            """)

    @OptionGroup var options: ConfigurationOption

    @Flag(name: .long, help: "Have every source looked at first.")
    var refresh = false

    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func run() throws {
        let outcome = ConfigurationFile(path: options.config).read(checkingKeyFiles: false)
        outcome.report()
        guard let configuration = outcome.configuration else { throw ExitCode.configuration }
        let report = try report(on: configuration)
        print(json ? report.json : report.text)
        if report.lacksKeys { throw ExitCode.failure }
    }

    private func report(on configuration: Configuration) throws -> KeyReport {
        do throws(KeyInquiry.Failure) {
            let outcome = try KeyInquiry(configuration).run(refreshing: refresh)
            for note in outcome.notes { StandardError.write(line: note) }
            return outcome.report
        } catch .system(let why) {
            StandardError.write(line: why)
            throw ExitCode.system
        }
    }
}
