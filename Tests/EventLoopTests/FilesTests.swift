import EventLoop
import Foundation
import Testing

@Suite struct FilesTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.path("file") }

    private func put(_ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    @Test("A file is read whole up to the bound", arguments: [0, 1, 65535, 65536, 65537, 200_000])
    func read(_ count: Int) throws {
        let contents = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try Data(contents).write(to: URL(fileURLWithPath: path))
        #expect(try Files.read(path, maxBytes: count) == contents)
        #expect(try Files.read(path, maxBytes: count + 1) == contents)
        guard count > 0 else { return }
        #expect(throws: SystemError(.read, code: EFBIG)) {
            try Files.read(path, maxBytes: count - 1)
        }
    }

    @Test("A file without end is an error, not a full memory")
    func endless() {
        #expect(throws: SystemError(.read, code: EFBIG)) {
            try Files.read("/dev/zero", maxBytes: 100_000)
        }
    }

    @Test("What cannot be read says why")
    func unreadable() {
        #expect(throws: SystemError(.open, code: ENOENT)) { try Files.read(path, maxBytes: 10) }
        #expect(throws: SystemError(.read, code: EISDIR)) { try Files.read("/tmp", maxBytes: 10) }
        #expect(Files.fingerprint(path) == nil)
    }

    @Test("A pipe, which may never end, is read only where that is wanted")
    func pipe() throws {
        let made = unsafe mkfifo(path, 0o600)
        try #require(made == 0)
        #expect(throws: SystemError(.open, code: EINVAL)) { try Files.read(path, maxBytes: 10) }
        let own = path
        let writer = Foundation.Thread { try? Data("text".utf8).write(to: URL(fileURLWithPath: own)) }
        writer.start()
        #expect(try Files.read(path, maxBytes: 10, mayWait: true) == Array("text".utf8))
    }

    @Test("A fingerprint stays while nobody touches the file, and is its own file's")
    func fingerprintStays() throws {
        try put("same")
        #expect(Files.fingerprint(path) != nil)
        #expect(Files.fingerprint(path) == Files.fingerprint(path))
        try Data("same".utf8).write(to: URL(fileURLWithPath: folder.path("other")))
        #expect(Files.fingerprint(path) != Files.fingerprint(folder.path("other")))
    }

    @Test("A file that was replaced by one of the same size and time has another fingerprint")
    func replaced() throws {
        let files = FileManager.default
        try put("first")
        let before = Files.fingerprint(path)
        let time = try files.attributesOfItem(atPath: path)[.modificationDate] as? Date
        let next = folder.path("next")
        try Data("other".utf8).write(to: URL(fileURLWithPath: next))
        try files.setAttributes([.modificationDate: try #require(time)], ofItemAtPath: next)
        try files.removeItem(atPath: path)
        try files.moveItem(atPath: next, toPath: path)
        #expect(Files.fingerprint(path) != before)
    }

    @Test("A file rewritten in place with its size and time has another fingerprint")
    func rewritten() throws {
        let files = FileManager.default
        try put("first")
        let before = Files.fingerprint(path)
        let time = try #require(
            try files.attributesOfItem(atPath: path)[.modificationDate] as? Date)
        // The file system's clock moves on within some milliseconds.
        let end = Date(timeIntervalSinceNow: 5)
        while Files.fingerprint(path) == before, Date() < end {
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try handle.write(contentsOf: Data("other".utf8))
            try handle.close()
            try files.setAttributes([.modificationDate: time], ofItemAtPath: path)
        }
        #expect(Files.fingerprint(path) != before)
    }

    @Test("A link that points elsewhere now has another fingerprint")
    func relinked() throws {
        // How Kubernetes replaces mounted secrets.
        let files = FileManager.default
        for name in ["a", "b"] {
            try Data("same".utf8).write(to: URL(fileURLWithPath: folder.path(name)))
        }
        try files.createSymbolicLink(atPath: path, withDestinationPath: folder.path("a"))
        let before = Files.fingerprint(path)
        #expect(before == Files.fingerprint(folder.path("a")))
        try files.removeItem(atPath: path)
        try files.createSymbolicLink(atPath: path, withDestinationPath: folder.path("b"))
        #expect(Files.fingerprint(path) != before)
    }

    @Test("A file that grew has another fingerprint")
    func grown() throws {
        try put("one")
        let before = Files.fingerprint(path)
        let descriptor = try Files.openForAppending(path)
        try Files.write(Array("two".utf8).span, to: descriptor)
        Files.close(descriptor)
        #expect(Files.fingerprint(path) != before)
    }

    @Test("Appending adds to what is there, also after the file was moved away")
    func append() throws {
        let lines = { (path: String) throws -> String in
            String(decoding: try Files.read(path, maxBytes: 1000), as: UTF8.self)
        }
        let first = try Files.openForAppending(path)
        try Files.write(Array("one\n".utf8).span, to: first)
        let second = try Files.openForAppending(path)
        try Files.write(Array("two\n".utf8).span, to: second)
        try Files.write(Array("three\n".utf8).span, to: first)
        #expect(try lines(path) == "one\ntwo\nthree\n")
        // As logrotate does.
        try FileManager.default.moveItem(atPath: path, toPath: folder.path("old"))
        try Files.write(Array("four\n".utf8).span, to: first)
        #expect(try lines(folder.path("old")) == "one\ntwo\nthree\nfour\n")
        Files.close(first)
        Files.close(second)
    }

    @Test("A disk without room, and a file that cannot be made, are errors")
    func unwritable() throws {
        let full = try Files.openForAppending("/dev/full")
        #expect(throws: SystemError(.write, code: ENOSPC)) {
            try Files.write([1].span, to: full)
        }
        try Files.write([UInt8]().span, to: full)
        Files.close(full)
        #expect(throws: SystemError(.open, code: ENOENT)) {
            try Files.openForAppending(folder.path("none/file"))
        }
    }
}
