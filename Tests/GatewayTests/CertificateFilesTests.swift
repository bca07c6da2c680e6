import Configuration
import EventLoop
import Foundation
import Logging
import OpenSSL
import Testing

@testable import Gateway

@Suite("Certificates and ticket keys that change")
struct CertificateFilesTests {
    /// A folder with material, a configuration of it, and what its watcher tells.
    private final class Watching {
        let folder = TemporaryFolder()
        let log = ErrorLog()
        private(set) var servers: [(place: Int, settings: TLSServerContext.Settings)] = []
        private(set) var clients: [(place: Int, settings: TLSClientContext.Settings)] = []
        private(set) var issuers: [(place: Int, settings: TLSClientContext.Settings)] = []
        private var watcher: CertificateFiles?

        /// Two listeners, of which the second ends TLS, and two upstreams, of which the second is
        /// spoken to with TLS.
        init() throws {
            for (name, source) in [
                ("server.pem", "api.pem"), ("server.key", "api.key"), ("server.ocsp", "api.ocsp"),
                ("clients.pem", "ca.pem"), ("ca.pem", "ca.pem"), ("client.pem", "client.pem"),
                ("client.key", "client.key"), ("issuers.pem", "ca.pem"),
            ] {
                try put(source, as: name)
            }
            let configuration = try read()
            let logger = Logger(label: "test") { [log] _ in ErrorHandler(log: log) }
            watcher = CertificateFiles(
                configuration, loop: try EventLoop(), logger: logger,
                actions: .init(
                    onServer: { [unowned self] in servers.append(($0, $1)) },
                    onClient: { [unowned self] in clients.append(($0, $1)) },
                    onIssuer: { [unowned self] in issuers.append(($0, $1)) }))
        }

        private func read() throws -> Configuration {
            let text = """
                {"listeners":[
                   {"address":"127.0.0.1:0"},
                   {"address":"127.0.0.1:0","tls":{
                     "certificates":[{
                       "certificate":"server.pem","privateKey":"server.key","ocsp":"server.ocsp"}],
                     "clientCA":"clients.pem","clientCertificate":"optional"}}],
                 "issuers":{
                   "file":{"issuer":"https://a.example/","audiences":["a"],
                     "keys":{"file":"keys.json"}},
                   "fetched":{"issuer":"https://b.example/","audiences":["b"],
                     "keys":{"discovery":true,"ca":"issuers.pem"}}},
                 "upstreams":{
                   "plain":{"endpoints":["http://127.0.0.1:9"]},
                   "safe":{"endpoints":["https://127.0.0.1:9"],"tls":{
                     "ca":"ca.pem","certificate":"client.pem","privateKey":"client.key"}}},
                 "routes":[{"path":"/**","access":"public","upstream":"safe"}]}
                """
            let outcome = ConfigurationDecoder(
                file: folder.path("proxy.json"), environment: [:], checksKeyFiles: false,
                readFile: { try? Files.read($0, maxBytes: 1 << 20) }
            ).decode(text.utf8Span.span)
            #expect(outcome.problems == [])
            return try #require(outcome.configuration)
        }

        func start() { watcher?.start() }

        /// What happens each second.
        func look() { watcher?.deadlineReached() }

        /// Puts a file of the configuration's fixtures in place of another.
        func put(_ source: String, as name: String) throws {
            try Data(Material.contents(source)).write(
                to: URL(filePath: folder.path(name)), options: .atomic)
        }
    }

    /// Files of `fixtures/configuration/tls`.
    private enum Material {
        static let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "fixtures/configuration/tls")

        static func contents(_ name: String) throws -> [UInt8] {
            Array(try Data(contentsOf: folder.appending(path: name)))
        }
    }

    @Test("What has not changed is not told")
    func unchanged() throws {
        let watching = try Watching()
        watching.start()
        watching.look()
        try watching.put("api.pem", as: "server.pem")
        watching.look()
        #expect(watching.servers.isEmpty && watching.clients.isEmpty)
        #expect(watching.log.lines == [])
    }

    @Test("What changed after the configuration was read is taken up at the start")
    func changedBeforeTheStart() throws {
        let watching = try Watching()
        try watching.put("rsa.pem", as: "server.pem")
        try watching.put("rsa.key", as: "server.key")
        try watching.put("rsa.ocsp", as: "server.ocsp")
        watching.start()
        #expect(watching.servers.map(\.place) == [1])
        #expect(watching.clients.isEmpty)
    }

    @Test("Authorities for key fetching are taken up as they change, if they can be used")
    func issuersAuthorities() throws {
        let watching = try Watching()
        watching.start()
        #expect(watching.issuers.isEmpty)
        try watching.put("api.key", as: "issuers.pem")
        watching.look()
        watching.look()
        #expect(watching.issuers.isEmpty && watching.log.lines.count == 1)
        try watching.put("api.pem", as: "issuers.pem")
        watching.look()
        #expect(watching.issuers.map(\.place) == [1])
        #expect(try watching.issuers.first?.settings.trust == Material.contents("api.pem"))
        #expect(watching.servers.isEmpty && watching.clients.isEmpty)
    }

    @Test("A certificate and a key that come one after the other are taken up together")
    func halfReplaced() throws {
        let watching = try Watching()
        watching.start()
        try watching.put("rsa.pem", as: "server.pem")
        try watching.put("rsa.ocsp", as: "server.ocsp")
        watching.look()
        #expect(watching.servers.isEmpty)
        try watching.put("rsa.key", as: "server.key")
        watching.look()
        watching.look()
        #expect(watching.servers.count == 1 && watching.clients.isEmpty)
        let told = try #require(watching.servers.first)
        #expect(told.place == 1)
        let identity = try #require(told.settings.identities.first)
        #expect(try identity.certificateChain == Material.contents("rsa.pem"))
        #expect(try identity.privateKey == Material.contents("rsa.key"))
        #expect(try identity.staple == Material.contents("rsa.ocsp"))
        #expect(told.settings.clientCertificates == .optional)
        #expect(told.settings.protocols == [.http2, .http11])
        // Nothing was wrong for longer than a look.
        #expect(watching.log.lines == [])
    }

    @Test("A set that stays bad is told once, and the next one after it was mended again")
    func staysBad() throws {
        let watching = try Watching()
        watching.start()
        try watching.put("rsa.key", as: "server.key")
        watching.look()
        #expect(watching.log.lines == [])
        watching.look()
        watching.look()
        #expect(watching.log.lines.count == 1)
        try watching.put("text.pem", as: "server.key")
        watching.look()
        watching.look()
        #expect(watching.log.lines.count == 1)
        try watching.put("api.key", as: "server.key")
        watching.look()
        try watching.folder.remove("server.pem")
        watching.look()
        watching.look()
        #expect(watching.log.lines.count == 2)
        #expect(watching.log.lines.last?.contains("server.pem: No such file") == true)
        try watching.put("api.pem", as: "server.pem")
        watching.look()
        watching.look()
        #expect(watching.servers.isEmpty && watching.clients.isEmpty)
        #expect(watching.log.lines.count == 2)
        // No key's bytes are told.
        #expect(!watching.log.lines.joined().contains("PRIVATE"))
    }

    @Test(
        "Every file of a block counts, and no other block is told",
        arguments: [
            ("clients.pem", "api.pem", true), ("server.ocsp", "broken.ocsp", nil),
            ("clients.pem", "text.pem", nil), ("ca.pem", "api.pem", false),
            ("ca.pem", "broken.pem", nil), ("client.key", "encrypted.key", nil),
            ("client.pem", "text.pem", nil), ("server.key", "encrypted.key", nil),
        ] as [(String, String, Bool?)])
    func everyFile(name: String, source: String, isServer: Bool?) throws {
        let watching = try Watching()
        watching.start()
        try watching.put(source, as: name)
        watching.look()
        watching.look()
        #expect(watching.servers.map(\.place) == (isServer == true ? [1] : []))
        #expect(watching.clients.map(\.place) == (isServer == false ? [1] : []))
        #expect(watching.log.lines.count == (isServer == nil ? 1 : 0))
    }

    @Test("A response about the old certificate keeps the new one out for a look, no longer")
    func oldStaple() throws {
        let watching = try Watching()
        watching.start()
        try watching.put("rsa.pem", as: "server.pem")
        try watching.put("rsa.key", as: "server.key")
        watching.look()
        #expect(watching.servers.isEmpty)
        watching.look()
        watching.look()
        #expect(watching.servers.count == 1 && watching.log.lines.count == 1)
        let told = try #require(watching.servers.first?.settings.identities.first)
        #expect(try told.certificateChain == Material.contents("rsa.pem"))
        #expect(told.staple == nil)
        try watching.put("rsa.ocsp", as: "server.ocsp")
        watching.look()
        #expect(watching.servers.count == 2 && watching.log.lines.count == 1)
        let staple = watching.servers.last?.settings.identities.first?.staple
        #expect(try staple == Material.contents("rsa.ocsp"))
    }

    @Test("What an upstream is shown and who is trusted to be it are taken up")
    func upstream() throws {
        let watching = try Watching()
        watching.start()
        try watching.put("rsa.key", as: "client.key")
        watching.look()
        try watching.put("rsa.pem", as: "client.pem")
        watching.look()
        let told = try #require(watching.clients.first)
        #expect(watching.clients.count == 1 && watching.servers.isEmpty)
        #expect(try told.settings.identity?.certificateChain == Material.contents("rsa.pem"))
        #expect(try told.settings.identity?.privateKey == Material.contents("rsa.key"))
        #expect(try told.settings.trust == Material.contents("ca.pem"))
        #expect(told.settings.verifiesPeer)
    }

    @Test("Ticket keys are three, the newest first, each at most three hours old")
    func ticketKeys() throws {
        var told: [[TLSTicketKey]] = []
        let keys = TicketKeys(loop: try EventLoop()) { told.append($0) }
        keys.start()
        for _ in 0..<3 { keys.deadlineReached() }
        #expect(told.map(\.count) == [1, 2, 3, 3])
        #expect(told[1].last == told[0].first && told[1].first != told[0].first)
        #expect(Array(told[3].dropFirst()) == Array(told[2].prefix(2)))
    }
}
