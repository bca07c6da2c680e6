internal import CLinux
internal import Glibc
internal import Synchronization

/// The one way from another thread into a loop: plain values in a queue, and a descriptor that
/// wakes the loop.
package final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    /// The eventfd; closed with the mailbox, which both sides hold.
    fileprivate let descriptor: Int32

    /// An empty mailbox.
    package init() throws(SystemError) {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard descriptor >= 0 else { throw .last(.eventfd) }
    }

    deinit {
        close(descriptor)
    }

    /// Leaves a message. Wakes the reader where it was not already woken for an earlier one.
    package func post(_ message: Message) {
        let wasEmpty = messages.withLock { messages in
            messages.append(message)
            return messages.count == 1
        }
        if wasEmpty { eventfd_write(descriptor, 1) }
    }

    fileprivate func takeAll() -> [Message] {
        var count: eventfd_t = 0
        // The counter is a local; reading it makes the descriptor quiet again.
        _ = unsafe eventfd_read(descriptor, &count)
        return messages.withLock { messages in
            let all = messages
            messages = []
            return all
        }
    }
}

/// A mailbox's end in the loop that reads it.
package final class MailboxReader<Message: Sendable>: EventHandler {
    private let loop: EventLoop
    private let mailbox: Mailbox<Message>
    private let onMessage: (Message) -> Void
    private var registration = Registration.none

    /// Begins to read: each message is handed over in order, in a turn of the loop.
    package init(
        loop: EventLoop, mailbox: Mailbox<Message>, onMessage: @escaping (Message) -> Void
    ) throws(SystemError) {
        self.loop = loop
        self.mailbox = mailbox
        self.onMessage = onMessage
        registration = try loop.add(mailbox.descriptor, .incoming, handler: self)
    }

    /// Takes what was posted.
    package func ready(_ readiness: Readiness) {
        for message in mailbox.takeAll() { onMessage(message) }
    }
}
