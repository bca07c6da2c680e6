internal import Bytes
internal import Configuration
internal import EventLoop
internal import HTTP

/// The admin listener: tells how the process is, and takes the wish for fresh keys.
///
/// It lives on the control thread, so that it answers however busy the workers are, and while they
/// drain. It knows nobody it tells about: `AdminActions` does.
final class AdminServer {
    /// Connections at a time. Those who ask are few: a prober, a scraper, a person.
    static let maxConnections = 16
    private static let maxFields = 64

    /// Where it listens, with the port the system chose.
    let address: SocketAddress
    let hosts: AdminHosts
    /// Describes the head parsed last; used within one call.
    let requestHead = RequestHead(maxFields: AdminServer.maxFields)

    private let socket: ListeningSocket
    private let loop: EventLoop
    private let actions: AdminActions
    private var listener: Listener?
    /// In the order in which they came.
    private var connections: [AdminConnection] = []
    private var dateField = DateField()

    init(
        _ socket: ListeningSocket, configured address: Configuration.ListenAddress,
        loop: EventLoop, actions: AdminActions
    ) {
        self.socket = socket
        self.loop = loop
        self.actions = actions
        self.address = socket.address
        hosts = AdminHosts(address)
    }

    /// Begins to serve.
    func start() throws(SystemError) {
        let listener = Listener(loop: loop, socket: socket, isShared: false) {
            [unowned self] socket, _ in accept(socket)
        }
        try listener.start()
        self.listener = listener
    }

    /// Ends: nobody is answered any more.
    func stop() {
        listener?.stop()
        listener = nil
        for connection in connections { connection.close() }
        socket.removeFile()
    }

    // MARK: For the connections

    /// Does what is asked for and tells the outcome.
    func answer(_ request: AdminRequest) throws(AdminFault) -> AdminResponse {
        switch request {
        case .health: return AdminResponse { $0.append("{\"healthy\":true}") }
        case .readiness:
            let readiness = actions.readiness()
            return AdminResponse(readiness.isReady ? 200 : 503) { readiness.write(to: &$0) }
        case .status:
            let document = actions.status()
            return AdminResponse { document.write(to: &$0) }
        case .metrics:
            var response = AdminResponse(200, contentType: KeyMetrics.contentType)
            let document = actions.status()
            KeyMetrics.write(document.issuers, to: &response.body)
            return response
        case .refresh(let issuer):
            guard let outcome = actions.refresh(issuer) else { throw .unknownIssuer }
            return AdminResponse(202) { AdminRefresh.write(outcome, to: &$0) }
        }
    }

    /// The field of the present second.
    func date() -> DateField {
        dateField.update(unixSeconds: Instant.unixMilliseconds / 1000)
        return dateField
    }

    func forget(_ connection: AdminConnection) {
        connections.removeAll { $0 === connection }
    }

    private func accept(_ socket: consuming Socket) {
        guard makeRoom() else {
            var output = ByteBuffer()
            AdminResponse(.busy).write(to: &output, isHead: false, date: date())
            // Whether the client can still read this is its affair.
            _ = output.withBytes { socket.send($0) }
            return
        }
        do throws(SystemError) {
            connections.append(try AdminConnection(socket, server: self, loop: loop))
        } catch {
            // Whoever asked sees its connection end, and asks again.
            return
        }
    }

    /// Where all places are taken, one that has its answer gives way, or else the one that has
    /// waited longest without asking: idle connections must not keep a prober out.
    private func makeRoom() -> Bool {
        if connections.count < AdminServer.maxConnections { return true }
        let idle = connections.first { $0.isDone } ?? connections.first { $0.isIdle(at: loop.now) }
        idle?.close()
        return idle != nil
    }
}
