import EventLoop
import Foundation
import Glibc
import Testing

@Suite struct PrivateFilesTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.path("keys") }

    private func put(_ text: String, mode: mode_t = 0o600) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        #expect(unsafe chmod(path, mode) == 0)
    }

    @Test("What was written is read again, and only its owner may")
    func roundTrip() throws {
        try PrivateFiles.replace(path, with: [1, 2, 3].span)
        #expect(try PrivateFiles.read(path, maxBytes: 3) == [1, 2, 3])
        try PrivateFiles.replace(path, with: [4].span)
        #expect(try PrivateFiles.read(path, maxBytes: 3) == [4])
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("")) == ["keys"])
    }

    @Test("A longer file than wanted is an error")
    func bound() throws {
        try put("1234")
        #expect(throws: SystemError(.read, code: EFBIG)) {
            try PrivateFiles.read(path, maxBytes: 3)
        }
    }

    @Test("What others may write is not believed", arguments: [0o620, 0o602, 0o666, 0o777])
    func writable(_ mode: Int) throws {
        try put("{}", mode: mode_t(mode))
        #expect(throws: SystemError(.open, code: EPERM)) {
            try PrivateFiles.read(path, maxBytes: 100)
        }
    }

    @Test("What others may only read is", arguments: [0o600, 0o640, 0o644, 0o444])
    func readable(_ mode: Int) throws {
        try put("{}", mode: mode_t(mode))
        #expect(try PrivateFiles.read(path, maxBytes: 100) == Array("{}".utf8))
    }

    @Test("What belongs to another user is not believed")
    func foreign() throws {
        try put("{}")
        // Only root can give files away, and only to others does root's file look foreign.
        guard geteuid() == 0, unsafe chown(path, 12345, 12345) == 0 else { return }
        #expect(throws: SystemError(.open, code: EPERM)) {
            try PrivateFiles.read(path, maxBytes: 100)
        }
    }

    @Test("Links, folders and pipes are not read")
    func noPlainFile() throws {
        try put("{}")
        #expect(unsafe symlink(path, folder.path("link")) == 0)
        #expect(unsafe mkfifo(folder.path("pipe"), 0o600) == 0)
        try PrivateFiles.makeFolder(folder.path("folder"))
        #expect(throws: SystemError(.open, code: ELOOP)) {
            try PrivateFiles.read(folder.path("link"), maxBytes: 100)
        }
        for name in ["pipe", "folder"] {
            #expect(throws: SystemError(.open, code: EINVAL)) {
                try PrivateFiles.read(folder.path(name), maxBytes: 100)
            }
        }
        #expect(throws: SystemError(.open, code: ENOENT)) {
            try PrivateFiles.read(folder.path("nothing"), maxBytes: 100)
        }
    }

    @Test("A link in the file's place, or in that of its beginnings, is replaced, not followed")
    func replacesLinks() throws {
        try put("mine")
        for name in ["other", "other.new"] {
            #expect(unsafe symlink(path, folder.path(name)) == 0)
        }
        try PrivateFiles.replace(folder.path("other"), with: [1].span)
        #expect(try PrivateFiles.read(path, maxBytes: 100) == Array("mine".utf8))
        #expect(try PrivateFiles.read(folder.path("other"), maxBytes: 100) == [1])
    }

    @Test("Where nothing can be written, what was there stays")
    func keepsOld() throws {
        try put("old")
        #expect(throws: SystemError(.open, code: ENOENT)) {
            try PrivateFiles.replace(folder.path("no/such"), with: [1].span)
        }
        // A folder in the place of the beginnings: nothing can be written there.
        try PrivateFiles.makeFolder(path + ".new")
        #expect(throws: SystemError(.open, code: EEXIST)) {
            try PrivateFiles.replace(path, with: [1].span)
        }
        #expect(try PrivateFiles.read(path, maxBytes: 100) == Array("old".utf8))
    }

    @Test("A folder is made for this user alone; one that is there stays")
    func folders() throws {
        let new = folder.path("state")
        try PrivateFiles.makeFolder(new)
        let attributes = try FileManager.default.attributesOfItem(atPath: new)
        #expect(attributes[.posixPermissions] as? Int == 0o700)
        try PrivateFiles.makeFolder(new)
        #expect(throws: SystemError(.mkdir, code: ENOENT)) {
            try PrivateFiles.makeFolder(folder.path("no/such"))
        }
    }
}
