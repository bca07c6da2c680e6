import EventLoop
import Foundation
import Glibc
import Keys
import Logging
import Testing

@testable import Gateway

@Suite("Snapshots of keys")
struct SnapshotFilesTests {
    private let folder = TemporaryFolder()
    private let log = ErrorLog()
    private let loop: EventLoop
    private let identity = KeySetIdentity(
        issuer: "https://login.example/", tenant: nil, source: "https://login.example/jwks")

    init() throws { loop = try EventLoop() }

    private func files(_ name: String = "state") throws -> SnapshotFiles {
        let logger = Logger(label: "test") { [log] _ in ErrorHandler(log: log) }
        return try SnapshotFiles(folder: folder.path(name), loop: loop, logger: logger)
    }

    private func snapshot(
        _ text: String = "{}", tenant: String? = nil, fetchedAt: Int64 = 1000
    ) -> KeySnapshot {
        KeySnapshot(
            identity: KeySetIdentity(
                issuer: identity.issuer, tenant: tenant, source: identity.source),
            fetchedAt: fetchedAt, entityTag: "\"1\"", text: text)
    }

    private func load(
        _ files: SnapshotFiles, tenant: String? = nil, at now: Int64 = 1000
    ) -> KeySnapshot? {
        let identity = KeySetIdentity(
            issuer: identity.issuer, tenant: tenant, source: identity.source)
        return files.load(identity, maxStale: 60_000, unixSeconds: now)
    }

    /// Turns the loop until everything was written, or could not be.
    private func settle(_ files: SnapshotFiles) {
        for _ in 0..<2000 where files.isWriting { loop.turn(maxWait: 5) }
        #expect(!files.isWriting)
    }

    private var path: String { folder.path("state/keys-\(identity.fileName).json") }

    @Test("What was kept is there after a restart")
    func roundTrip() throws {
        let first = try files()
        #expect(load(first) == nil)
        first.save(snapshot("{\"keys\":[]}"))
        settle(first)
        #expect(load(try files()) == snapshot("{\"keys\":[]}"))
        #expect(log.messages == [])
    }

    @Test("What is too old for anybody is removed at the start, and nothing else")
    func old() throws {
        let names = ["keys-a.json", "keys-b.json", "other.json", "keys-c.txt"]
        let first = try files()
        first.save(snapshot())
        settle(first)
        for name in names { try folder.write("{}", to: "state/" + name) }
        for name in names.dropFirst() {
            let times = [timespec](repeating: timespec(tv_sec: 1000, tv_nsec: 0), count: 2)
            let set = unsafe utimensat(AT_FDCWD, folder.path("state/" + name), times, 0)
            #expect(set == 0)
        }
        let exists = { Files.fingerprint(folder.path("state/" + $0)) != nil }
        first.removeOld(unixSeconds: 1060, maxStale: 60_000)
        #expect(names.allSatisfy(exists))
        first.removeOld(unixSeconds: 1061, maxStale: 60_000)
        #expect(names.filter(exists) == ["keys-a.json", "other.json", "keys-c.txt"])
        #expect(load(first) != nil)
        try files("missing").removeOld(unixSeconds: .max, maxStale: 0)
    }

    @Test("The last version is kept, however fast they come")
    func last() throws {
        let files = try files()
        for number in 0..<50 { files.save(snapshot("\(number)")) }
        settle(files)
        #expect(load(files) == snapshot("49"))
    }

    @Test("Each set has its own file, and what is not wanted goes")
    func several() throws {
        let files = try files()
        for tenant in [nil, "a", "b"] { files.save(snapshot(tenant ?? "-", tenant: tenant)) }
        settle(files)
        for tenant in [nil, "a", "b"] {
            #expect(load(files, tenant: tenant) == snapshot(tenant ?? "-", tenant: tenant))
        }
        files.remove(snapshot(tenant: "a").identity)
        settle(files)
        #expect(load(files, tenant: "a") == nil)
        #expect(load(files, tenant: "b") != nil)
        #expect(log.messages == [])
    }

    @Test("Folder and files are for this user alone")
    func modes() throws {
        let files = try files()
        files.save(snapshot())
        settle(files)
        for (path, mode) in [(folder.path("state"), 0o700), (path, 0o600)] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == mode)
        }
    }

    @Test("A snapshot that is too old, or from the future, is of no use", arguments: [1060, 100])
    func age(_ now: Int64) throws {
        let files = try files()
        files.save(snapshot())
        settle(files)
        #expect(load(files, at: now) == nil)
        #expect(log.messages.count == 1)
    }

    @Test("A damaged file is of no use, and not the end of anything")
    func damaged() throws {
        let files = try files()
        files.save(snapshot("{\"keys\":[]}"))
        settle(files)
        let whole = try Data(contentsOf: URL(filePath: path))
        for length in stride(from: 0, to: whole.count, by: 7) {
            try whole.prefix(length).write(to: URL(filePath: path))
            #expect(load(files) == nil)
        }
        for index in whole.indices {
            var changed = whole
            changed[index] ^= 1
            try changed.write(to: URL(filePath: path))
            #expect(load(files) == nil)
        }
        files.save(snapshot())
        settle(files)
        #expect(load(files) != nil)
    }

    @Test("A file that others may write, or that is theirs, is not believed")
    func foreign() throws {
        let files = try files()
        files.save(snapshot())
        settle(files)
        #expect(unsafe chmod(path, 0o666) == 0)
        #expect(load(files) == nil)
        #expect(unsafe chmod(path, 0o600) == 0)
        #expect(load(files) != nil)
        guard geteuid() == 0, unsafe chown(path, 12345, 12345) == 0 else { return }
        #expect(load(files) == nil)
        #expect(log.messages.count == 2)
    }

    @Test("What a process left half-written is nobody's, and does not stay in the way")
    func leftOver() throws {
        let files = try files()
        files.save(snapshot("old"))
        settle(files)
        try Data("half".utf8).write(to: URL(filePath: path + ".new"))
        #expect(load(files) == snapshot("old"))
        files.save(snapshot("new"))
        settle(files)
        #expect(load(files) == snapshot("new"))
        #expect(!FileManager.default.fileExists(atPath: path + ".new"))
    }

    @Test("Where nothing can be written, the log says so once, and once that it can again")
    func unwritable() throws {
        // A file stands where the folder should be.
        try folder.write("", to: "state")
        let files = try files()
        for number in 0..<3 {
            files.save(snapshot("\(number)"))
            settle(files)
        }
        #expect(log.messages == ["snapshot of keys cannot be written"])
        try folder.remove("state")
        files.save(snapshot("4"))
        settle(files)
        #expect(load(files) == snapshot("4"))
        try folder.remove("state")
        try folder.write("", to: "state")
        files.save(snapshot("5"))
        settle(files)
        #expect(log.messages.count == 2)
    }

    @Test("A folder that is missing, with its own, is no more than a line in the log")
    func missing() throws {
        let files = try files("no/such")
        #expect(load(files) == nil)
        files.save(snapshot())
        settle(files)
        #expect(load(files) == nil)
        #expect(log.messages == ["snapshot of keys cannot be written"])
    }

    @Test("Where a new version cannot be written, the last good one stays")
    func keepsOld() throws {
        let files = try files()
        files.save(snapshot("old"))
        settle(files)
        try FileManager.default.createDirectory(
            atPath: path + ".new", withIntermediateDirectories: false)
        files.save(snapshot("new"))
        settle(files)
        #expect(load(files) == snapshot("old"))
        #expect(log.messages == ["snapshot of keys cannot be written"])
    }
}
