import Configuration
import EventLoop
import JWT
import Keys
import Logging
import Testing

@testable import Gateway

/// A key service on a loop that the test turns, and the issuers' one server, played by the test.
final class KeyBench {
    /// What a worker was told of a look's end.
    struct Ending: Equatable {
        let worker: Int
        let place: KeyPlace
        let didSucceed: Bool
        let nextAt: Int64
    }

    /// What all workers were told.
    struct Published: Equatable {
        let place: KeyPlace
        /// Nil where the keys were withdrawn.
        let kids: [String]?
    }

    let server: ScriptedUpstream
    let log = ErrorLog()
    private(set) var published: [Published] = []
    private(set) var endings: [Ending] = []
    private let loop: EventLoop
    private var running: KeyService?

    /// `issuer`: its members besides `keys`. `keys`: its members; `URL` stands for the server's.
    init(
        issuer: String = #""issuer": "https://login.example.com/""#,
        keys: String = #""url": "URL/keys""#, more: String = "", folder: TemporaryFolder? = nil,
        server: ScriptedUpstream? = nil
    ) throws {
        let server = try server ?? ScriptedUpstream()
        self.server = server
        loop = try EventLoop()
        let log = self.log
        let logger = Logger(label: "keys") { _ in ErrorHandler(log: log) }
        let members = keys.replacing("URL", with: server.url)
        let configuration = try decode(
            """
            {
              "listeners": [{ "address": "127.0.0.1:0" }],
              "issuers": {
                "login": {
                  \(issuer), "audiences": ["https://api.example.com"], "keys": { \(members) }
                }\(more)
              },
              "upstreams": { "up": { "endpoints": ["http://127.0.0.1:1"] } },
              "routes": [{ "path": "/**", "upstream": "up" }]
            }
            """)
        let snapshots = try folder.map {
            try SnapshotFiles(folder: $0.path("state"), loop: loop, logger: logger)
        }
        let service = KeyService(
            configuration,
            KeySurroundings(
                publish: { [unowned self] place, set in
                    let kids = set.map { $0.keys.map { $0.keyID ?? "-" } }
                    published.append(Published(place: place, kids: kids))
                },
                lookEnded: { [unowned self] worker, place, didSucceed, nextAt in
                    endings.append(
                        Ending(
                            worker: worker, place: place, didSucceed: didSucceed, nextAt: nextAt))
                },
                means: KeyFetchMeans(loop: loop, names: try NameLookup(loop: loop)),
                snapshots: snapshots, logger: logger))
        running = service
    }

    var service: KeyService {
        guard let running else { preconditionFailure("made in the initialiser") }
        return running
    }

    /// The one issuer's status.
    var status: IssuerKeyStatus { get throws { try #require(service.statuses.first) } }

    var now: Int64 { Instant.now.nanoseconds / 1_000_000 }

    /// Turns the loop until something holds.
    func turn(
        until holds: () throws -> Bool, _ comment: Comment? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let end = Instant.now.advanced(byMilliseconds: 10_000)
        while try !holds() {
            try #require(Instant.now < end, comment, sourceLocation: sourceLocation)
            loop.turn(maxWait: 5)
        }
    }

    /// Turns the loop for a while, to see that nothing comes.
    func turn(forMilliseconds milliseconds: Int64) {
        let end = Instant.now.advanced(byMilliseconds: milliseconds)
        while Instant.now < end { loop.turn(maxWait: 5) }
    }

    /// The next request for keys, whose head has come.
    func request(sourceLocation: SourceLocation = #_sourceLocation) throws -> Peer {
        var peer: Peer?
        try turn(
            until: {
                peer = try peer ?? server.acceptIfAny(within: 0)
                return peer?.hasInput(within: 0) ?? false
            }, "a request for keys", sourceLocation: sourceLocation)
        return try #require(peer)
    }

    /// Whether the service asks for keys now.
    func asksAgain(within milliseconds: Int64) throws -> Bool {
        turn(forMilliseconds: milliseconds)
        return try server.acceptIfAny(within: 0) != nil
    }

    /// Answers a request and lets the answer arrive. Gives the request's head.
    @discardableResult
    func answer(
        to peer: Peer? = nil, _ kids: [String], status: String = "200 OK", fields: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let peer = try peer ?? request(sourceLocation: sourceLocation)
        let head = peer.readHead()
        let looks = try self.status.counts.fetches
        let body = kids.isEmpty ? "" : keySetText(kids)
        peer.send(
            "HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        peer.close()
        try turn(
            until: {
                let now = try self.status
                return now.nextFetchAt != nil || now.counts.fetches > looks
            }, "the look's end", sourceLocation: sourceLocation)
        return head
    }
}
