internal import Configuration
internal import EventLoop
internal import JWT
internal import Keys
internal import Logging

/// Watches the issuers' key files and hands on each new set, and why there is none.
///
/// A look each second costs a `stat` a file, follows links as mounted secrets swap them, and misses
/// nothing that a notification would have told. A file that cannot be used leaves the last good
/// set in force, and the log says so once.
final class KeyFiles: EventHandler {
    private struct Watched {
        let issuer: Int
        let name: String
        let path: String
        var fingerprint: Files.Fingerprint?
        var contents: [UInt8]?
        /// The fault that the log has heard of and that has not ended.
        var fault: KeyFileFault?
    }

    private static let intervalMilliseconds: Int64 = 1000

    private let loop: EventLoop
    private let logger: Logger
    private let onKeys: (Int, JWKSet) -> Void
    private let onFault: (Int, KeyFileFault) -> Void
    private var files: [Watched]
    private var timer = Registration.none

    init(
        _ issuers: [Configuration.Issuer], loop: EventLoop, logger: Logger,
        onKeys: @escaping (Int, JWKSet) -> Void, onFault: @escaping (Int, KeyFileFault) -> Void
    ) {
        self.loop = loop
        self.logger = logger
        self.onKeys = onKeys
        self.onFault = onFault
        files = issuers.enumerated().compactMap { index, issuer in
            guard case .file(let path) = issuer.keys else { return nil }
            return Watched(issuer: index, name: issuer.name, path: path)
        }
    }

    /// Reads every file now, then looks for changes.
    func start() {
        for index in files.indices { look(at: index, isFirst: true) }
        guard !files.isEmpty else { return }
        timer = loop.addTimer(handler: self)
        setTimer()
    }

    func ready(_ readiness: Readiness) {}

    func deadlineReached() {
        for index in files.indices { look(at: index, isFirst: false) }
        setTimer()
    }

    private func setTimer() {
        loop.setDeadline(timer, loop.now.advanced(byMilliseconds: KeyFiles.intervalMilliseconds))
    }

    private func look(at index: Int, isFirst: Bool) {
        let fingerprint = Files.fingerprint(files[index].path)
        if !isFirst, fingerprint == files[index].fingerprint { return }
        files[index].fingerprint = fingerprint
        do throws(KeyFileFault) {
            let contents = try read(files[index].path)
            let isKnown = contents == files[index].contents
            let set = isKnown ? nil : try parse(contents)
            files[index].contents = contents
            files[index].fault = nil
            guard let set else { return }
            take(set, files[index])
        } catch {
            complain(error, index)
        }
    }

    private func read(_ path: String) throws(KeyFileFault) -> [UInt8] {
        do throws(SystemError) {
            return try Files.read(path, maxBytes: JWKSet.maxBytes)
        } catch {
            throw .unreadable(error)
        }
    }

    private func parse(_ contents: [UInt8]) throws(KeyFileFault) -> JWKSet {
        let set: JWKSet
        do throws(JWKSet.Failure) {
            set = try JWKSet(parsing: contents.span)
        } catch {
            throw .notAKeySet(error)
        }
        if set.keys.isEmpty { throw .noUsableKey(set) }
        return set
    }

    private func take(_ set: JWKSet, _ file: Watched) {
        logger.report(
            set, after: nil, ["issuer": "\(file.name)", "source": "\(file.path)"])
        onKeys(file.issuer, set)
    }

    private func complain(_ fault: KeyFileFault, _ index: Int) {
        let last = files[index].fault
        if last == fault { return }
        files[index].fault = fault
        onFault(files[index].issuer, fault)
        var metadata: Logger.Metadata = [
            "issuer": "\(files[index].name)", "source": "\(files[index].path)",
        ]
        if let set = fault.rejected {
            logger.reportSkipped(of: set, after: last?.rejected, metadata)
        }
        metadata["fault"] = "\(fault)"
        let hasKeys = files[index].contents != nil
        logger.error(
            hasKeys
                ? "key file cannot be used: the last good keys stay"
                : "key file cannot be used: tokens of this issuer are answered 503 until it can",
            metadata: metadata)
    }
}

/// Why a key file gives no keys.
enum KeyFileFault: Error, Equatable, CustomStringConvertible {
    case unreadable(SystemError)
    case notAKeySet(JWKSet.Failure)
    case noUsableKey(JWKSet)

    /// The set of which no key can be used.
    var rejected: JWKSet? {
        if case .noUsableKey(let set) = self { return set }
        return nil
    }

    /// The same for `/status` and `/readyz`, where system errors have no place.
    var keyFault: KeyFault {
        switch self {
        case .unreadable: .unreadableFile
        case .notAKeySet(let failure): KeyFault(failure)
        case .noUsableKey: .noUsableKey
        }
    }

    var description: String {
        switch self {
        case .unreadable(let error): error.description
        case .notAKeySet, .noUsableKey: keyFault.description
        }
    }
}
