package import Configuration
internal import EventLoop
internal import JWT
internal import Keys

/// `bearward keys`: what a running server tells of its keys, or else what a look at every source
/// finds.
package struct KeyInquiry {
    /// What was found, and what is to be said beside it.
    package struct Outcome: Sendable {
        /// Every key set.
        package let report: KeyReport
        /// A line each, for the standard error output.
        package let notes: [String]
    }

    /// Why there is nothing to tell.
    package enum Failure: Error, Equatable {
        /// The system gives no loop or thread; its words.
        case system(String)
    }

    /// Milliseconds between two questions, whether a refresh has come to its end.
    private static let pauseMilliseconds: Int32 = 100

    private let configuration: Configuration

    /// An inquiry about the issuers of a configuration.
    package init(_ configuration: Configuration) {
        self.configuration = configuration
    }

    /// Asks. `refreshing`: every key set is to be looked at first.
    package func run(refreshing: Bool) throws(Failure) -> Outcome {
        guard let address = configuration.admin?.address else {
            return try look(because: "the configuration has no \"admin\"")
        }
        do throws(AdminClient.Failure) {
            return try ask(AdminClient(address), refreshing: refreshing)
        } catch {
            switch error {
            case .unreachable(let why):
                return try look(because: "no server answers at \(address): \(why)")
            case .timeout: return try look(because: "the server at \(address) answers too late")
            case .malformed:
                return try look(because: "what answers at \(address) is no admin listener of ours")
            }
        }
    }

    // MARK: A server

    private func ask(
        _ client: AdminClient, refreshing: Bool
    ) throws(AdminClient.Failure) -> Outcome {
        if !refreshing {
            let report = try status(client)
            return Outcome(report: report, notes: notes(on: [], report))
        }
        let answer = try client.ask("POST", "/keys/refresh")
        guard answer.status == 202, let refreshed = AdminRefresh.read(answer.body) else {
            throw .malformed
        }
        return try wait(for: refreshed, client)
    }

    /// A look has ended once the next is known.
    private func wait(
        for refreshed: [AdminRefresh], _ client: AdminClient
    ) throws(AdminClient.Failure) -> Outcome {
        let awaited = refreshed.filter { $0.outcome == .started || $0.outcome == .joined }
        let end = Instant.now.advanced(byMilliseconds: configuration.longestLook)
        while true {
            let report = try status(client)
            let running = report.sets.filter { set in
                set.nextFetchAt == nil
                    && awaited.contains { $0.issuer == set.issuer && $0.tenant == set.tenant }
            }
            let notes = notes(on: refreshed, report)
            if running.isEmpty { return Outcome(report: report, notes: notes) }
            guard Instant.now < end, let loop = try? EventLoop() else {
                let names = Set(running.map(\.issuer)).sorted().map { KeyTable.printable($0) }
                let note = "still looking: \(names.joined(separator: ", "))"
                return Outcome(report: report, notes: notes + [note])
            }
            loop.turn(maxWait: KeyInquiry.pauseMilliseconds)
        }
    }

    private func notes(on refreshed: [AdminRefresh], _ report: KeyReport) -> [String] {
        let untold = configuration.issuers.filter { issuer in
            !report.sets.contains { $0.issuer == issuer.name }
        }
        return refreshed.filter { $0.outcome == .tooSoon }.map { set in
            "\(KeyTable.printable(set.issuer)): refreshed less than a second ago, not again"
        }
            + untold.filter { $0.rules.tenants != nil }.map { issuer in
                "\(KeyTable.printable(issuer.name)): no tenant has asked for keys yet"
            }
    }

    private func status(_ client: AdminClient) throws(AdminClient.Failure) -> KeyReport {
        let answer = try client.ask("GET", "/status")
        guard answer.status == 200, let report = KeyReport(status: answer.body) else {
            throw .malformed
        }
        return report
    }

    // MARK: No server

    private func look(because reason: String) throws(Failure) -> Outcome {
        do throws(SystemError) {
            let report = try KeyLook(configuration).run()
            return Outcome(
                report: report, notes: ["\(reason); looking at the sources without a server"])
        } catch {
            throw .system(error.description)
        }
    }
}
