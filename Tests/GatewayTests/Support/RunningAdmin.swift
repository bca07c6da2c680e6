import Configuration
import EventLoop
import Keys
import Synchronization
import Testing

@testable import Gateway

/// An admin listener on a loop and thread of its own, telling what the test says.
final class RunningAdmin {
    /// What it tells, and what was asked of it.
    struct Script: Sendable {
        var readiness = AdminReadiness(isDraining: false, missing: [])
        var issuers: [IssuerKeyStatus] = []
        /// Names that were to be refreshed; "*" for all.
        var refreshed: [String] = []
        /// What is told from the second status on; nil: the same.
        var laterIssuers: [IssuerKeyStatus]?
    }

    final class Shared: Sendable {
        let script = Mutex(Script())
    }

    let address: SocketAddress
    private let shared = Shared()
    private let end: Mailbox<Void>
    private var thread: Thread?

    init(
        _ address: Configuration.ListenAddress = .tcp(host: "127.0.0.1", port: 0),
        _ change: (inout Script) -> Void = { _ in }
    ) throws {
        let socket: ListeningSocket
        switch address {
        case .tcp(let host, let port):
            socket = try .bind(.ip(IPAddress(host) ?? .v4(0x7f00_0001), port: port))
        case .unix(let path): socket = try .bind(.unix(path))
        }
        self.address = socket.address
        end = try Mailbox()
        shared.script.withLock { change(&$0) }
        thread = try Thread.start(name: "admin") { [shared, end] in
            guard let loop = try? EventLoop(),
                let reader = try? MailboxReader(
                    loop: loop, mailbox: end, onMessage: { loop.stop() })
            else { return }
            let server = AdminServer(
                socket, configured: address, loop: loop, actions: shared.actions)
            guard (try? server.start()) != nil else { return }
            loop.run()
            server.stop()
            withExtendedLifetime(reader) {}
        }
    }

    deinit { stop() }

    /// Ends the listener and waits for it.
    func stop() {
        end.post(())
        guard let thread = thread.take() else { return }
        thread.join()
    }

    /// Names that were to be refreshed so far.
    var refreshed: [String] { shared.script.withLock { $0.refreshed } }

    /// Tells something else from the second status on.
    func tellAfterwards(_ issuers: [IssuerKeyStatus]) {
        shared.script.withLock { $0.laterIssuers = issuers }
    }

    func connect(receiveBuffer: Int32? = nil) throws -> Peer {
        try Peer(to: address, receiveBuffer: receiveBuffer)
    }

    /// The whole answer to a request, and how the connection ended.
    func ask(_ request: String) throws -> String {
        let client = try connect()
        client.send(request)
        let (text, ending) = client.readToEnd()
        #expect(ending == .closed)
        return text
    }
}

extension RunningAdmin.Shared {
    fileprivate var actions: AdminActions {
        AdminActions(
            readiness: { self.script.withLock { $0.readiness } },
            status: {
                self.script.withLock { script in
                    let document = StatusDocument(
                        version: "1.2.3", startedAt: 1000, now: 1090, workers: 2, connections: 3,
                        readiness: script.readiness, issuers: script.issuers)
                    script.issuers = script.laterIssuers ?? script.issuers
                    return document
                }
            },
            refresh: { name in
                if name == "nobody" { return nil }
                self.script.withLock { $0.refreshed.append(name ?? "*") }
                return [AdminRefresh(issuer: name ?? "all", tenant: nil, outcome: .started)]
            })
    }
}

/// A request to the admin listener.
func adminRequest(
    _ method: String = "GET", _ target: String = "/healthz", host: String = "127.0.0.1",
    _ fields: String = ""
) -> String {
    "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n"
}
