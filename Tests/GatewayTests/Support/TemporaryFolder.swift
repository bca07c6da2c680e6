import Foundation

/// A folder that is removed with this value's last owner. Its path is short enough for sockets.
final class TemporaryFolder {
    private let folder: String

    init() {
        folder = "/tmp/bearward-\(UInt32.random(in: 0 ... .max))"
        try? FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// The path of a file inside.
    func path(_ name: String) -> String { "\(folder)/\(name)" }

    /// Writes a file inside, in place of what was there.
    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path(name)), options: .atomic)
    }

    func move(_ name: String, to other: String) throws {
        try FileManager.default.moveItem(atPath: path(name), toPath: path(other))
    }

    func remove(_ name: String) throws {
        try FileManager.default.removeItem(atPath: path(name))
    }
}
