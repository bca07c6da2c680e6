import EventLoop
import Foundation
import Testing

@Suite struct ListeningSocketTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.path("s") }

    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test("Port 0 becomes the port that the kernel chose", arguments: ["127.0.0.1", "::1"])
    func freePort(_ text: String) throws {
        let address = try #require(IPAddress(text))
        let listening = try ListeningSocket.bind(.ip(address, port: 0))
        let port = try #require(listening.address.port)
        #expect(port != 0)
        #expect(listening.address == .ip(address, port: port))
    }

    @Test("An address in use is an error, for who does not share and beside who does not share")
    func inUse() throws {
        let first = try ListeningSocket.bind(loopback)
        for sharesPort in [false, true] {
            let error = #expect(throws: SystemError.self) {
                try ListeningSocket.bind(first.address, sharesPort: sharesPort)
            }
            #expect(error?.isAddressInUse == true)
        }
    }

    @Test("Sockets that share a port listen side by side, and one that does not is refused")
    func sharedPort() throws {
        let first = try ListeningSocket.bind(loopback, sharesPort: true)
        let second = try ListeningSocket.bind(first.address, sharesPort: true)
        #expect(second.address == first.address && second.descriptor != first.descriptor)
        #expect(throws: SystemError.self) { try ListeningSocket.bind(first.address) }
    }

    @Test("Clients of a shared port are spread over its sockets, and none is lost")
    func spread() throws {
        let loop = try EventLoop()
        var accepted = [0, 0]
        let first = try ListeningSocket.bind(loopback, sharesPort: true)
        let sockets = [first, try ListeningSocket.bind(first.address, sharesPort: true)]
        let listeners = sockets.enumerated().map { index, socket in
            Listener(loop: loop, socket: socket, isShared: false) { _, _ in accepted[index] += 1 }
        }
        for listener in listeners { try listener.start() }
        let clients = try (0..<100).map { _ in End(try Socket.connecting(to: first.address)) }
        #expect(loop.turns { accepted[0] + accepted[1] == clients.count })
        #expect(accepted[0] > 0 && accepted[1] > 0)
        for listener in listeners { listener.stop() }
    }

    @Test(
        "An address is taken while anyone listens there, shared or not", arguments: [true, false])
    func taken(_ sharesPort: Bool) throws {
        var listening: ListeningSocket? = try .bind(loopback, sharesPort: sharesPort)
        let address = try #require(listening?.address)
        #expect(ListeningSocket.isTaken(address))
        #expect(ListeningSocket.isTaken(.ip(.v4(0), port: try #require(address.port))))
        listening = nil
        #expect(!ListeningSocket.isTaken(address))
    }

    @Test("Who asks whether an address is taken does not listen there meanwhile")
    func takenIsNoListening() throws {
        let address = try ListeningSocket.bind(loopback).address
        let ask = { @Sendable in
            (0..<5000).count { _ in ListeningSocket.isTaken(address) }
        }
        let others = Box(0)
        let other = try Thread.start(name: "other") { others.value = ask() }
        let own = ask()
        other.join()
        #expect(own == 0 && others.value == 0)
    }

    @Test("What the kernel chooses, and a path, is never taken beforehand")
    func neverTaken() {
        #expect(!ListeningSocket.isTaken(loopback))
        #expect(!ListeningSocket.isTaken(.unix(path)))
    }

    @Test("A unix socket's file lets its user and group connect, nobody else")
    func fileMode() throws {
        let listening = try ListeningSocket.bind(.unix(path))
        #expect(try mode(path) == 0o660)
        #expect(listening.address == .unix(path))
    }

    @Test("Clients of a unix socket have no name")
    func unixClients() throws {
        let loop = try EventLoop()
        var addresses: [SocketAddress] = []
        let listening = try ListeningSocket.bind(.unix(path))
        let listener = Listener(loop: loop, socket: listening, isShared: true) { _, address in
            addresses.append(address)
        }
        try listener.start()
        let client = End(try Socket.connecting(to: .unix(path)))
        #expect(loop.turns { addresses == [.unix("")] })
        listener.stop()
        withExtendedLifetime(client) {}
    }

    @Test("A socket file that nobody listens at is replaced")
    func stale() throws {
        _ = try ListeningSocket.bind(.unix(path))
        #expect(FileManager.default.fileExists(atPath: path), "closing leaves the file")
        let listening = try ListeningSocket.bind(.unix(path))
        let client = End(try Socket.connecting(to: .unix(path)))
        withExtendedLifetime((listening, client)) {}
    }

    @Test("A socket file that someone listens at is refused and left alone")
    func live() throws {
        let loop = try EventLoop()
        var accepted = 0
        let first = try ListeningSocket.bind(.unix(path))
        let error = #expect(throws: SystemError.self) { try ListeningSocket.bind(.unix(path)) }
        #expect(error?.isAddressInUse == true)
        let listener = Listener(loop: loop, socket: first, isShared: true) { _, _ in accepted += 1 }
        try listener.start()
        let client = End(try Socket.connecting(to: .unix(path)))
        // The attempt to bind looked whether anyone is there, and the client came after it.
        #expect(loop.turns { accepted == 2 })
        listener.stop()
        withExtendedLifetime(client) {}
    }

    @Test("Another kind of file is refused and left alone", arguments: ["file", "folder", "link"])
    func otherFiles(_ kind: String) throws {
        let files = FileManager.default
        switch kind {
        case "file": #expect(files.createFile(atPath: path, contents: Data("mine".utf8)))
        case "folder": try files.createDirectory(atPath: path, withIntermediateDirectories: false)
        default:
            _ = try ListeningSocket.bind(.unix(folder.path("target")))
            try files.createSymbolicLink(atPath: path, withDestinationPath: folder.path("target"))
        }
        let error = #expect(throws: SystemError.self) { try ListeningSocket.bind(.unix(path)) }
        #expect(error?.isAddressInUse == true)
        #expect(files.fileExists(atPath: path))
    }

    @Test("A path that the kernel would cut, or that names no file, is refused")
    func badPaths() throws {
        let longest = folder.path(String(repeating: "a", count: 107 - folder.path("").utf8.count))
        #expect(longest.utf8.count == SocketAddress.maxUnixPath)
        let listening = try ListeningSocket.bind(.unix(longest))
        #expect(FileManager.default.fileExists(atPath: longest))
        for path in [longest + "a", "", "\0abstract", path + "\0"] {
            #expect(throws: SystemError.self) { try ListeningSocket.bind(.unix(path)) }
            #expect(throws: SystemError.self) { _ = try Socket.connecting(to: .unix(path)) }
        }
        withExtendedLifetime(listening) {}
    }

    @Test("A folder that is not there is an error")
    func noFolder() throws {
        let error = #expect(throws: SystemError.self) {
            try ListeningSocket.bind(.unix(folder.path("none/s")))
        }
        #expect(error?.isNotFound == true)
    }

    @Test("A successor's file at the same path is not removed")
    func successor() throws {
        let first = try ListeningSocket.bind(.unix(path))
        // As one that drains: its address is free for another process.
        first.stopListening()
        let second = try ListeningSocket.bind(.unix(path))
        first.removeFile()
        #expect(throws: Never.self) { _ = try Socket.connecting(to: second.address) }
        second.removeFile()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("Removing the file makes the next client find nobody")
    func removeFile() throws {
        let listening = try ListeningSocket.bind(.unix(path))
        listening.removeFile()
        #expect(!FileManager.default.fileExists(atPath: path))
        let error = #expect(throws: SystemError.self) {
            _ = try Socket.connecting(to: .unix(path))
        }
        #expect(error?.isNotFound == true)
    }
}
