import Configuration
import EventLoop
import Testing

@testable import Gateway

/// The command line's side of the admin listener.
@Suite struct AdminClientTests {
    private static func client(of address: SocketAddress) -> AdminClient {
        switch address {
        case .ip(let ip, let port): AdminClient(.tcp(host: "\(ip)", port: port))
        case .unix(let path): AdminClient(.unix(path: path))
        }
    }

    /// What is made of an answer that a scripted server gives before it closes.
    private static func outcome(of answer: String) throws -> Result<Int, AdminClient.Failure> {
        let folder = TemporaryFolder()
        let socket = try ListeningSocket.bind(.unix(folder.path("s")))
        let thread = try Thread.start(name: "scripted") {
            guard let loop = try? EventLoop() else { return }
            let listener = Listener(loop: loop, socket: socket, isShared: false) { socket, _ in
                let peer = Peer(socket)
                _ = peer.readHead()
                peer.send(answer)
                peer.close()
                loop.stop()
            }
            guard (try? listener.start()) != nil else { return }
            loop.run()
        }
        let result = status(by: client(of: socket.address))
        thread.join()
        return result
    }

    private static func status(by client: AdminClient) -> Result<Int, AdminClient.Failure> {
        do throws(AdminClient.Failure) {
            return .success(try client.ask("GET", "/status").status)
        } catch {
            return .failure(error)
        }
    }

    @Test("An answer comes whole, over TCP and a unix socket", arguments: [false, true])
    func answers(isUnix: Bool) throws {
        let folder = TemporaryFolder()
        let admin =
            try isUnix ? RunningAdmin(.unix(path: folder.path("admin.sock"))) : RunningAdmin()
        let client = Self.client(of: admin.address)
        #expect(try client.ask("GET", "/healthz").status == 200)
        #expect(try client.ask("GET", "/nothing").status == 404)
        let status = try client.ask("GET", "/status")
        #expect(KeyReport(status: status.body) != nil)
        let refresh = try client.ask("POST", "/keys/refresh")
        #expect(refresh.status == 202)
        #expect(
            AdminRefresh.read(refresh.body)
                == [AdminRefresh(issuer: "all", tenant: nil, outcome: .started)])
    }

    @Test("A name is resolved, and each of its addresses is tried")
    func names() throws {
        let admin = try RunningAdmin()
        let client = AdminClient(.tcp(host: "localhost", port: try #require(admin.address.port)))
        #expect(try client.ask("GET", "/healthz").status == 200)
    }

    @Test("Where nobody listens, the system's words say so")
    func nobody() throws {
        let admin = try RunningAdmin()
        let client = Self.client(of: admin.address)
        admin.stop()
        #expect(throws: AdminClient.Failure.unreachable("Connection refused")) {
            try client.ask("GET", "/status")
        }
        #expect(throws: AdminClient.Failure.unreachable("No such file or directory")) {
            try AdminClient(.unix(path: TemporaryFolder().path("s"))).ask("GET", "/status")
        }
    }

    @Test(
        "What is no whole answer of an admin listener is none",
        arguments: [
            "", "HTTP/1.1 200 OK\r\n", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        ])
    func malformed(_ answer: String) throws {
        #expect(try Self.outcome(of: answer) == .failure(.malformed))
    }

    @Test("A plain answer of anyone is one")
    func plain() throws {
        #expect(
            try Self.outcome(of: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
                == .success(200))
    }
}
