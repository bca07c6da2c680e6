internal import ArgumentParser
internal import Configuration
internal import Gateway

/// `bearward check`
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the configuration and the files it names.",
        discussion: """
            Prints every problem as file:line:column and exits 78 where one is an error, 0 \
            otherwise. Unlike serve, which starts without them, it also wants each key file to be \
            there and to hold a usable key.
            """)

    @OptionGroup var options: ConfigurationOption

    func run() throws {
        let outcome = ConfigurationFile(path: options.config).read(checkingKeyFiles: true)
        outcome.report()
        guard outcome.configuration != nil else { throw ExitCode.configuration }
        print("\(options.config): no errors")
    }
}
