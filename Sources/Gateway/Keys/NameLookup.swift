internal import EventLoop

/// Asks for the addresses of key servers' names without making the loop wait.
///
/// Asking may block for as long as the resolver likes, and cannot be interrupted: each name is
/// asked for in a thread of its own that ends with the answer, so that a name that hangs delays no
/// other. There is one such thread for a name at most: whoever asks meanwhile waits for the same
/// answer. Who has given up waiting is not told.
final class NameLookup {
    /// Names to addresses, in the calling thread.
    typealias Resolve = @Sendable (String) throws(SystemError) -> [SocketAddress]

    /// Somebody's place among those who wait.
    struct Ticket: Equatable {
        fileprivate let host: String
        fileprivate let number: Int
    }

    private struct Answer: Sendable {
        let host: String
        let result: Result<[SocketAddress], SystemError>
    }

    private struct Asker {
        let number: Int
        let port: UInt16
        let onAnswer: (Result<[SocketAddress], SystemError>) -> Void
    }

    /// Threads at most. Names come from the configuration, and from discovery documents, whose
    /// issuers could name another one each time.
    private static let maxThreads = 128

    private let loop: EventLoop
    private let resolve: Resolve
    private let mailbox: Mailbox<Answer>
    private var reader: MailboxReader<Answer>?
    /// Who waits, by name; a name stays until its thread has answered.
    private var asked: [String: [Asker]] = [:]
    private var lastNumber = 0

    init(
        loop: EventLoop,
        resolve: @escaping Resolve = { host throws(SystemError) in
            try Resolver.addresses(of: host, port: 0)
        }
    ) throws(SystemError) {
        self.loop = loop
        self.resolve = resolve
        mailbox = try Mailbox()
        reader = try MailboxReader(loop: loop, mailbox: mailbox) { [weak self] in self?.take($0) }
    }

    /// Threads that have not answered yet.
    var threadCount: Int { asked.count }

    /// The addresses of a host that needs no asking: a literal one, or this machine under the name
    /// that is its own everywhere (RFC 6761, section 6.3).
    static func fixedAddresses(of host: String, port: UInt16) -> [SocketAddress]? {
        if let literal = IPAddress(host) { return [.ip(literal, port: port)] }
        guard host == "localhost" || host == "localhost." else { return nil }
        return [.ip(.v4(0x7f00_0001), port: port), .ip(.v6(high: 0, low: 1), port: port)]
    }

    /// Asks. The answer comes in a turn of the loop, unless `forget` comes first. The host is in
    /// lower case.
    func ask(
        _ host: String, port: UInt16,
        onAnswer: @escaping (Result<[SocketAddress], SystemError>) -> Void
    ) throws(SystemError) -> Ticket {
        if asked[host] == nil { try start(host) }
        lastNumber &+= 1
        asked[host, default: []].append(Asker(number: lastNumber, port: port, onAnswer: onAnswer))
        return Ticket(host: host, number: lastNumber)
    }

    /// The answer is of no use any more.
    func forget(_ ticket: Ticket) {
        asked[ticket.host]?.removeAll { $0.number == ticket.number }
    }

    private func start(_ host: String) throws(SystemError) {
        guard asked.count < NameLookup.maxThreads else { throw .outOfMemory }
        let (mailbox, resolve) = (self.mailbox, self.resolve)
        let thread = try Thread.start(name: "name-lookup") {
            do throws(SystemError) {
                mailbox.post(Answer(host: host, result: .success(try resolve(host))))
            } catch {
                mailbox.post(Answer(host: host, result: .failure(error)))
            }
        }
        thread.detach()
        asked[host] = []
    }

    private func take(_ answer: Answer) {
        let askers = asked.removeValue(forKey: answer.host) ?? []
        for asker in askers {
            asker.onAnswer(
                answer.result.map { addresses in
                    addresses.compactMap { address in
                        address.ipAddress.map { .ip($0, port: asker.port) }
                    }
                })
        }
    }
}
