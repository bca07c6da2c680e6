internal import CLinux
internal import Glibc

/// Facts about this process and machine, and its limits.
package enum Process {
    /// Processors this process may run on.
    package static var processorCount: Int { max(1, Int(clinux_processor_count())) }

    /// Raises the limit of open descriptors as far as it goes, and returns it.
    package static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        // The record is a local.
        guard unsafe getrlimit(kind, &limit) == 0 else { return 1024 }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(kind, &limit)
        guard unsafe getrlimit(kind, &limit) == 0 else { return 1024 }
        return Int(min(limit.rlim_cur, 1 << 20))
    }

    /// The environment's variables, as they were at the start of the process.
    package static let environment: [String: String] = {
        var variables: [String: String] = [:]
        var next = unsafe environ
        // A list of terminated strings, itself ended by a null pointer.
        while let entry = unsafe next.pointee {
            let text = unsafe String(cString: entry)
            if let mark = text.firstIndex(of: "=") {
                variables[String(text[..<mark])] = String(text[text.index(after: mark)...])
            }
            unsafe next += 1
        }
        return variables
    }()

    /// Bytes from the kernel's random generator.
    package static func randomBits() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
