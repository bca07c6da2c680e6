internal import ArgumentParser
internal import Configuration
internal import Gateway
internal import Logging

/// `bearward serve`
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve what the configuration says.",
        discussion: """
            Runs in the foreground. SIGTERM and SIGINT stop accepting, let requests under way \
            finish within timeouts.drain, and exit 0; a second one ends at once. SIGHUP reopens \
            the access log. Process events go to the standard error output, the access log where \
            log.access says.
            """)

    @OptionGroup var options: ConfigurationOption

    func run() throws {
        let outcome = ConfigurationFile(path: options.config).read(checkingKeyFiles: false)
        outcome.report()
        guard let configuration = outcome.configuration else { throw ExitCode.configuration }
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "bearward")
        logger.logLevel = Logger.Level(rawValue: configuration.log.level) ?? .info
        do throws(Server.Failure) {
            try Server(configuration, logger: logger).run()
        } catch {
            logger.critical("\(error)")
            throw ExitCode.system
        }
    }
}
