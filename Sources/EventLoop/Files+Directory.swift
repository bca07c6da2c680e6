internal import Glibc

extension Files {
    /// Why files should not be kept in a directory, if they should not. One that is not there yet
    /// can be made where its parent lets it.
    package static func faultOfDirectory(_ path: String) -> String? {
        var status = stat()
        // The record is a local; the path is terminated.
        guard unsafe stat(path, &status) == 0 else {
            if errno != ENOENT {
                return "it cannot be looked at: \(SystemError.last(.open).message)"
            }
            let fault = faultOfAccess(parent(of: path))
            return fault.map { "it is not there, and cannot be made: \($0)" }
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return "it is no directory" }
        if status.st_mode & (S_IWGRP | S_IWOTH) != 0 {
            return "others may write into it, and so make keys of their own"
        }
        return faultOfAccess(path).map { "it cannot be written to: \($0)" }
    }

    private static func faultOfAccess(_ path: String) -> String? {
        unsafe access(path, W_OK | X_OK) == 0 ? nil : SystemError.last(.open).message
    }

    private static func parent(of path: String) -> String {
        let trimmed = path.reversed().drop { $0 == "/" }
        let folder = trimmed.drop { $0 != "/" }.drop { $0 == "/" }
        if folder.isEmpty { return path.hasPrefix("/") ? "/" : "." }
        return String(folder.reversed())
    }
}
