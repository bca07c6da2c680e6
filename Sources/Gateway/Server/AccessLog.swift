internal import Bytes
internal import EventLoop
internal import Synchronization

/// The access log's lines on their way from the workers to a file or the standard output.
///
/// A worker only copies its lines into a bounded queue; one thread writes them. A disk that is slow
/// or full, or a reader that does not read, costs lines and never a request; those that found no
/// room in the queue are counted.
final class AccessLog: Sendable {
    /// Where lines go.
    enum Target: Sendable {
        case standardOutput
        case file(path: String)
    }

    /// Bytes that may wait for the writer.
    private static let maxQueued = 4 << 20
    /// How long the writer lets lines gather before it writes them, in milliseconds.
    private static let gatherMilliseconds: Int64 = 10

    private let queue = Mutex<[UInt8]>([])
    private let mailbox: Mailbox<Command>
    private let target: Target

    private enum Command: Sendable {
        case linesWait
        case reopen
        case end
    }

    init(_ target: Target) throws(SystemError) {
        self.target = target
        mailbox = try Mailbox()
        // A path that cannot be opened is told at the start, not with the first request.
        if case .file(let path) = target { Files.close(try Files.openForAppending(path)) }
    }

    /// Adds whole lines. Returns how many were dropped because the queue is full.
    func append(_ lines: Span<UInt8>) -> UInt64 {
        let (hasRoom, isFirst) = queue.withLock { queue in
            guard queue.count + lines.count <= AccessLog.maxQueued else {
                return (false, false)
            }
            let isFirst = queue.isEmpty
            queue += [UInt8](copying: lines)
            return (true, isFirst)
        }
        if isFirst { mailbox.post(.linesWait) }
        return hasRoom ? 0 : AccessLog.lineCount(lines)
    }

    /// Opens the file again, as it may have been moved away.
    func reopen() {
        mailbox.post(.reopen)
    }

    /// Writes what waits, then ends the writer.
    func end() {
        mailbox.post(.end)
    }

    /// The writer's thread. Returns after `end`.
    func write(onError: @escaping (SystemError) -> Void) throws(SystemError) {
        let loop = try EventLoop()
        let writer = Writer(self, loop: loop, onError: onError)
        writer.open()
        let reader = try MailboxReader(loop: loop, mailbox: mailbox) { writer.take($0) }
        loop.run()
        withExtendedLifetime(reader) { writer.close() }
    }

    private func takeQueued() -> [UInt8] {
        queue.withLock { queue in
            var taken: [UInt8] = []
            swap(&taken, &queue)
            return taken
        }
    }

    private static func lineCount(_ lines: Span<UInt8>) -> UInt64 {
        var count: UInt64 = 0
        for index in 0..<lines.count where lines[index] == UInt8(ascii: "\n") { count += 1 }
        return count
    }

    /// The thread's side.
    private final class Writer: EventHandler {
        private let log: AccessLog
        private let loop: EventLoop
        private let onError: (SystemError) -> Void
        private var descriptor: Int32 = -1
        private var timer = Registration.none
        private var lastError: SystemError?

        init(_ log: AccessLog, loop: EventLoop, onError: @escaping (SystemError) -> Void) {
            self.log = log
            self.loop = loop
            self.onError = onError
        }

        func open() {
            timer = loop.addTimer(handler: self)
            switch log.target {
            case .standardOutput: descriptor = 1
            case .file(let path):
                do throws(SystemError) {
                    descriptor = try Files.openForAppending(path)
                } catch {
                    report(error)
                }
            }
        }

        func take(_ command: Command) {
            switch command {
            case .linesWait:
                loop.setDeadline(
                    timer, loop.now.advanced(byMilliseconds: AccessLog.gatherMilliseconds))
            case .reopen:
                writeQueued()
                close()
                open()
            case .end:
                writeQueued()
                loop.stop()
            }
        }

        func ready(_ readiness: Readiness) {}

        func deadlineReached() {
            writeQueued()
        }

        func close() {
            loop.forget(timer)
            if case .file = log.target, descriptor >= 0 { Files.close(descriptor) }
            descriptor = -1
        }

        private func writeQueued() {
            let bytes = log.takeQueued()
            guard !bytes.isEmpty, descriptor >= 0 else { return }
            do throws(SystemError) {
                try Files.write(bytes.span, to: descriptor)
                lastError = nil
            } catch {
                report(error)
            }
        }

        /// Once for each new kind of failure, not once a batch.
        private func report(_ error: SystemError) {
            if error != lastError { onError(error) }
            lastError = error
        }
    }
}
