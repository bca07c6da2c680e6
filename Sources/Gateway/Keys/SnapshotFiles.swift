internal import Bytes
internal import EventLoop
internal import Keys
internal import Logging

/// Keeps the last good sets of keys in `stateDirectory`, for a restart while an issuer is away.
///
/// Nothing that goes wrong here stops anything: a set that cannot be kept is one that a restart has
/// to fetch, and one that cannot be read is as if it were not there. Files are written in a thread
/// that ends when there is nothing more to write, since a disk may take its time, or hang. What
/// waits meanwhile is one version of a set at most.
final class SnapshotFiles {
    /// How writing a batch of files went.
    private struct Report: Sendable {
        var written = 0
        var fault: (path: String, error: SystemError)?
    }

    private let folder: String
    private let loop: EventLoop
    private let logger: Logger
    private let mailbox: Mailbox<Report>
    private var reader: MailboxReader<Report>?
    /// Contents by path; nil to remove the file.
    private var waiting: [String: [UInt8]?] = [:]
    private(set) var isWriting = false
    /// Whether anything is on its way to the disk.
    var isBusy: Bool { isWriting || !waiting.isEmpty }

    /// Whether the log says that files cannot be written.
    private var isFaulty = false

    /// `folder`: made, for this user alone, when there is something to put in it.
    init(folder: String, loop: EventLoop, logger: Logger) throws(SystemError) {
        self.folder = folder
        self.loop = loop
        self.logger = logger
        mailbox = try Mailbox()
        reader = try MailboxReader(loop: loop, mailbox: mailbox) { [weak self] in self?.take($0) }
    }

    /// The set that was kept last, if it can be believed and is not too old.
    func load(
        _ identity: KeySetIdentity, maxStale: Int64, unixSeconds: Int64
    ) -> KeySnapshot? {
        let path = path(of: identity)
        let contents: [UInt8]
        do throws(SystemError) {
            contents = try PrivateFiles.read(path, maxBytes: KeySnapshot.maxBytes)
        } catch {
            if !error.isNotFound { complain("snapshot of keys cannot be read", path, "\(error)") }
            return nil
        }
        do throws(KeyFault) {
            return try KeySnapshot(
                decoding: contents.span, of: identity, maxStale: maxStale,
                unixSeconds: unixSeconds)
        } catch {
            complain("snapshot of keys is of no use", path, "\(error)")
            return nil
        }
    }

    /// Whether there is something to load, good or bad.
    func holds(_ identity: KeySetIdentity) -> Bool {
        Files.fingerprint(path(of: identity)) != nil
    }

    /// Keeps a set, in place of what was kept of it before.
    func save(_ snapshot: KeySnapshot) {
        var output = ByteBuffer()
        snapshot.encode(to: &output)
        waiting[path(of: snapshot.identity)] = output.withBytes { [UInt8](copying: $0) }
        write()
    }

    /// The set is not wanted any more.
    func remove(_ identity: KeySetIdentity) {
        waiting.updateValue(nil, forKey: path(of: identity))
        write()
    }

    /// Removes what earlier runs kept and nobody can believe any more: of tenants that nobody asked
    /// for since, and of issuers that are not configured now.
    func removeOld(unixSeconds: Int64, maxStale: Int64) {
        let (oldest, _) = unixSeconds.subtractingReportingOverflow(maxStale / 1000)
        PrivateFiles.removeOld(in: folder, before: oldest) {
            $0.hasPrefix("keys-") && $0.hasSuffix(".json")
        }
    }

    private func path(of identity: KeySetIdentity) -> String {
        "\(folder)/keys-\(identity.fileName).json"
    }

    private func write() {
        guard !isWriting, !waiting.isEmpty else { return }
        let (batch, folder, mailbox) = (waiting, self.folder, self.mailbox)
        do throws(SystemError) {
            let thread = try Thread.start(name: "snapshots") {
                mailbox.post(SnapshotFiles.write(batch, to: folder))
            }
            thread.detach()
            isWriting = true
            waiting = [:]
        } catch {
            // They wait for the next one to be kept.
            note(Report(fault: (folder, error)))
        }
    }

    private static func write(_ batch: [String: [UInt8]?], to folder: String) -> Report {
        var report = Report()
        do throws(SystemError) {
            try PrivateFiles.makeFolder(folder)
        } catch {
            report.fault = (folder, error)
        }
        for (path, contents) in batch {
            guard let contents else {
                PrivateFiles.remove(path)
                continue
            }
            do throws(SystemError) {
                try PrivateFiles.replace(path, with: contents.span)
                report.written += 1
            } catch {
                report.fault = report.fault ?? (path, error)
            }
        }
        return report
    }

    private func take(_ report: Report) {
        isWriting = false
        note(report)
        write()
    }

    /// The log hears of the first fault, and of its end.
    private func note(_ report: Report) {
        if let fault = report.fault {
            if !isFaulty {
                complain("snapshot of keys cannot be written", fault.path, "\(fault.error)")
            }
            isFaulty = true
        } else if report.written > 0, isFaulty {
            isFaulty = false
            logger.info("snapshots of keys are written again", metadata: ["folder": "\(folder)"])
        }
    }

    private func complain(_ message: Logger.Message, _ path: String, _ fault: String) {
        logger.warning(message, metadata: ["file": "\(path)", "fault": "\(fault)"])
    }
}
