internal import Bytes
internal import Glibc

/// Files that this process writes for itself and believes when it reads them again: nobody else may
/// have written them, and a half-written one is never seen.
package enum PrivateFiles {
    /// Makes a folder that only this user may enter. One that is there already stays as it is.
    package static func makeFolder(_ path: String) throws(SystemError) {
        // The path is terminated, here and below.
        if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        throw .last(.mkdir)
    }

    /// The file's contents, at most `maxBytes` (else `EFBIG`). What is no plain file (`EINVAL`),
    /// belongs to another user or may be written by one (`EPERM`) is not read, and links are not
    /// followed: whoever can put a file here would otherwise say which keys to believe.
    package static func read(_ path: String, maxBytes: Int) throws(SystemError) -> [UInt8] {
        // Without O_NONBLOCK, opening a FIFO waits for its other end.
        let flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        let descriptor = unsafe open(path, flags)
        guard descriptor >= 0 else { throw .last(.open) }
        defer { close(descriptor) }
        var status = stat()
        // The record is a local.
        guard unsafe fstat(descriptor, &status) == 0 else { throw .last(.fstat) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SystemError(.open, code: EINVAL) }
        guard status.st_uid == geteuid() || status.st_uid == 0, status.st_mode & 0o022 == 0 else {
            throw SystemError(.open, code: EPERM)
        }
        return try Files.contents(of: descriptor, maxBytes: maxBytes)
    }

    /// Puts a file in place of what was there, if anything, in one step: whoever reads it, after a
    /// crash too, finds the old contents or the new.
    package static func replace(
        _ path: String, with contents: Span<UInt8>
    ) throws(SystemError) {
        let temporary = path + ".new"
        // Left behind by a process that died at this.
        _ = unsafe unlink(temporary)
        do throws(SystemError) {
            try write(contents, to: temporary)
            guard unsafe rename(temporary, path) == 0 else { throw .last(.rename) }
        } catch {
            _ = unsafe unlink(temporary)
            throw error
        }
        try synchronizeFolder(of: path)
    }

    /// Removes a file if it is there.
    package static func remove(_ path: String) {
        _ = unsafe unlink(path)
    }

    /// Removes from a folder the files of which `isMeant` knows the name, and that were last
    /// written before this time, in seconds since 1970. A folder that cannot be read has none.
    package static func removeOld(
        in folder: String, before unixSeconds: Int64, where isMeant: (String) -> Bool
    ) {
        guard let stream = unsafe opendir(folder) else { return }
        // Each record lives until the next is read, and its name is terminated.
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(validating: Array(bytes.prefix { $0 != 0 }).span)
            }
            guard let name, isMeant(name) else { continue }
            var status = stat()
            // The record is a local.
            let path = folder + "/" + name
            guard unsafe lstat(path, &status) == 0, status.st_mtim.tv_sec < unixSeconds else {
                continue
            }
            remove(path)
        }
        unsafe closedir(stream)
    }

    private static func write(
        _ contents: Span<UInt8>, to path: String
    ) throws(SystemError) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let descriptor = unsafe open(path, flags, 0o600)
        guard descriptor >= 0 else { throw .last(.open) }
        defer { close(descriptor) }
        try Files.write(contents, to: descriptor)
        // Before the new name is given: the rename must not reach the disk first.
        guard fsync(descriptor) == 0 else { throw .last(.fsync) }
    }

    private static func synchronizeFolder(of path: String) throws(SystemError) {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
        let descriptor = unsafe open(folder.isEmpty ? "/" : folder, flags)
        guard descriptor >= 0 else { throw .last(.open) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .last(.fsync) }
    }
}
