internal import ArgumentParser
internal import Gateway

/// The command line.
@main
struct Bearward: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bearward",
        abstract: "A reverse proxy that enforces Bearer tokens.",
        discussion: """
            Bearward stands in front of an API that knows nothing about OAuth. It takes \
            "Authorization: Bearer", verifies the JWT against the issuer's keys, checks the scopes \
            and claims that a route asks for, and forwards what is allowed. One file, proxy.json, \
            says everything; docs/configuration.md describes it.

            Exit codes: 0 success, 1 an issuer has no keys (keys), 64 wrong usage, 71 the system \
            refused something (an address in use, say), 78 the configuration has errors.
            """,
        version: Product.version,
        subcommands: [Serve.self, Check.self, Keys.self])
}

/// Where the configuration is.
struct ConfigurationOption: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The configuration file. Relative paths inside it start from its folder.",
            valueName: "file"))
    var config = "proxy.json"
}
