import EventLoop
import Foundation
import Testing

@Suite final class DirectoryTests {
    private let folder = FileManager.default.temporaryDirectory
        .appending(path: "bearward-\(UUID().uuidString)")

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func make(_ name: String, mode: Int) throws -> String {
        let path = folder.appending(path: name).path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true,
            attributes: [.posixPermissions: mode])
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    @Test func aDirectoryOfOursIsGood() throws {
        let path = try make("own", mode: 0o700)
        #expect(Files.faultOfDirectory(path) == nil)
        #expect(Files.faultOfDirectory(path + "/") == nil)
        #expect(Files.faultOfDirectory("/") == nil)
    }

    @Test(arguments: ["new", "new/", "new//"])
    func oneThatCanBeMadeIsGood(name: String) throws {
        let path = try make("parent", mode: 0o755)
        #expect(Files.faultOfDirectory("\(path)/\(name)") == nil)
    }

    @Test(arguments: [0o720, 0o702, 0o777, 0o1777])
    func oneThatOthersMayWriteToIsNot(mode: Int) throws {
        let path = try make("shared", mode: mode)
        #expect(Files.faultOfDirectory(path)?.hasPrefix("others may write") == true)
    }

    @Test func whatCannotBecomeADirectoryIsNone() throws {
        let path = try make("plain", mode: 0o700)
        let file = path + "/file"
        #expect(FileManager.default.createFile(atPath: file, contents: Data()))
        #expect(Files.faultOfDirectory(file) == "it is no directory")
        #expect(Files.faultOfDirectory(file + "/x")?.hasPrefix("it cannot be looked at") == true)
        #expect(Files.faultOfDirectory(path + "/a/b")?.hasPrefix("it is not there") == true)
    }
}
