internal import Glibc

/// The few things a server does with files: read a small one, tell whether it changed, append.
package enum Files {
    /// What tells one version of a file from another without reading it.
    package struct Fingerprint: Equatable, Sendable {
        private let device: UInt64
        private let inode: UInt64
        private let size: Int64
        private let seconds: Int
        private let nanoseconds: Int
        /// Of the last change of anything about the file, which nobody can set back: a copy that
        /// keeps its size and its time is another version all the same.
        private let changeSeconds: Int
        private let changeNanoseconds: Int

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
            size = Int64(status.st_size)
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
            changeSeconds = status.st_ctim.tv_sec
            changeNanoseconds = status.st_ctim.tv_nsec
        }
    }

    /// The file's contents, at most `maxBytes`; a larger one is an error (`EFBIG`), and so is a
    /// pipe (`EINVAL`), whose other end could make this wait for ever. `mayWait`: takes a pipe too.
    package static func read(
        _ path: String, maxBytes: Int, mayWait: Bool = false
    ) throws(SystemError) -> [UInt8] {
        // Without O_NONBLOCK, opening a pipe waits for its other end.
        let flags = O_RDONLY | O_CLOEXEC | (mayWait ? 0 : O_NONBLOCK)
        let descriptor = unsafe open(path, flags)
        guard descriptor >= 0 else { throw .last(.open) }
        defer { close(descriptor) }
        if !mayWait {
            var status = stat()
            // The record is a local.
            guard unsafe fstat(descriptor, &status) == 0 else { throw .last(.fstat) }
            guard status.st_mode & S_IFMT != S_IFIFO else { throw SystemError(.open, code: EINVAL) }
        }
        return try contents(of: descriptor, maxBytes: maxBytes)
    }

    /// Everything from the descriptor's place to the end.
    static func contents(of descriptor: Int32, maxBytes: Int) throws(SystemError) -> [UInt8] {
        var contents: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65536)
        while true {
            // The array's storage has `count` bytes for the length of the call.
            let count = unsafe block.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count == 0 { return contents }
            if count < 0 {
                if errno == EINTR { continue }
                throw .last(.read)
            }
            guard contents.count + count <= maxBytes else {
                throw SystemError(.read, code: EFBIG)
            }
            contents.append(contentsOf: block[0..<count])
        }
    }

    /// The file's fingerprint, links followed; nil where it cannot be read.
    package static func fingerprint(_ path: String) -> Fingerprint? {
        var status = stat()
        // The record is a local; the path is terminated.
        guard unsafe stat(path, &status) == 0 else { return nil }
        return Fingerprint(status)
    }

    /// A descriptor that appends to the file, made where it does not exist.
    package static func openForAppending(_ path: String) throws(SystemError) -> Int32 {
        let descriptor = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .last(.open) }
        return descriptor
    }

    /// Writes everything, waiting where the descriptor makes it wait.
    package static func write(_ bytes: Span<UInt8>, to descriptor: Int32) throws(SystemError) {
        var offset = 0
        while offset < bytes.count {
            // The span's bytes live for the call.
            let written = unsafe bytes.extracting(offset..<bytes.count).withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if written < 0 {
                if errno == EINTR { continue }
                throw .last(.write)
            }
            offset += written
        }
    }

    /// Closes a descriptor that `openForAppending` gave.
    package static func close(_ descriptor: Int32) {
        _ = Glibc.close(descriptor)
    }
}
