import EventLoop
import Glibc
import Synchronization
import Testing

@testable import Gateway

/// `maxConnections`: who waits, for how long, and who comes next.
@Suite struct SlotTests {
    private static let one = #""maxConnections":1,"timeouts":{"connect":"300ms"}"#
    private static let patient = #""maxConnections":1"#

    @Test(
        "A request waits for a slot and takes the connection of the one before",
        arguments: [
            get("/2"), "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ])
    func waiting(_ request: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, upstreamSettings: Self.patient)
        let first = try gateway.connect()
        first.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        let second = try gateway.connect()
        second.send(request)
        #expect(!connection.hasInput(within: 50))
        connection.send(ok())
        #expect(first.readStatus() == 200)
        #expect(connection.readHead().contains(" /2 HTTP/1.1"))
        if request.contains("chunked") {
            #expect(connection.read(through: "0\r\n\r\n") == "5\r\nhello\r\n0\r\n\r\n")
        } else if request.hasPrefix("POST") {
            #expect(connection.read(5) == "hello")
        }
        connection.send(ok())
        #expect(second.readStatus() == 200)
    }

    @Test(
        "A request waits for timeouts.connect and is then answered 503 with Retry-After",
        arguments: [
            get(), post(5), post(5) + "hello", post(500_000) + filler(400_000),
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ])
    func tooLong(_ request: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, upstreamSettings: Self.one)
        let first = try gateway.connect()
        first.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        let second = try gateway.connect()
        let start = Instant.now
        second.send(request)
        let answer = second.readMessage()
        #expect(answer.status == 503)
        #expect(answer.value(of: "Retry-After") == "5")
        #expect(answer.contains("urn:bearward:problem:overloaded"))
        #expect(Instant.now.milliseconds(since: start) >= 290)
        #expect(try upstream.acceptIfAny(within: 0) == nil)
        connection.send(ok())
        #expect(first.readStatus() == 200)
    }

    @Test("Those who wait come in order, and who left is passed over")
    func order() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, upstreamSettings: Self.patient)
        let first = try gateway.connect()
        first.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        var waiting: [Peer] = []
        for number in 0..<4 {
            waiting.append(try gateway.connect())
            waiting[number].send(get("/\(number)"))
            // Each connection is served in its own turn: this one's answer shows that it was read.
            let probe = try gateway.connect()
            probe.send(get("/%00"))
            #expect(probe.readStatus() == 400)
        }
        waiting[1].reset()
        let probe = try gateway.connect()
        probe.send(get("/%00"))
        #expect(probe.readStatus() == 400)
        connection.send(ok())
        #expect(first.readStatus() == 200)
        for number in [0, 2, 3] {
            #expect(connection.readHead().hasPrefix("GET /\(number) "))
            connection.send(ok("\(number)"))
            #expect(waiting[number].readMessage().hasSuffix("\(number)"))
        }
    }

    @Test("Where the connection ends with a response, who waits gets a new one")
    func newConnection() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, upstreamSettings: Self.patient)
        let first = try gateway.connect()
        first.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        let second = try gateway.connect()
        second.send(post(5) + "hello")
        #expect(!second.hasInput(within: 50))
        connection.send(ok("ok", "Connection: close\r\n"))
        #expect(first.readStatus() == 200)
        let next = try upstream.accept()
        #expect(next.readHead().hasPrefix("POST / "))
        #expect(next.read(5) == "hello")
        next.send(ok())
        #expect(second.readStatus() == 200)
    }

    @Test("A connection that rests at one worker gives its slot to who waits at another")
    func acrossWorkers() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, upstreamSettings: Self.patient, more: #""workers":4"#)
        var connection: Peer?
        // The kernel spreads clients over the workers; so many end at more than one of them.
        for number in 0..<24 {
            let client = try gateway.connect()
            client.send(get("/\(number)"))
            let start = Instant.now
            var head = ""
            while head.isEmpty, Instant.now.milliseconds(since: start) < 3000 {
                if let fresh = try upstream.acceptIfAny(within: 5) { connection = fresh }
                if let connection, connection.hasInput(within: 5) { head = connection.readHead() }
            }
            try #require(head.hasPrefix("GET /\(number) "), "a connection at rest is not given up")
            connection?.send(ok())
            #expect(client.readStatus() == 200)
        }
    }

    @Test("A bound holds under threads, and every slot comes back")
    func slotsUnderThreads() throws {
        let slots = ConnectionSlots(limit: 3)
        let inside = Shared()
        let threads = try startThreads(4) {
            for _ in 0..<20_000 where slots.take() {
                inside.enter()
                inside.leave()
                slots.giveBack()
            }
        }
        for thread in threads { thread.join() }
        #expect(inside.most.load(ordering: .relaxed) <= 3)
        for _ in 0..<3 { #expect(slots.take()) }
        #expect(!slots.take())
    }

    @Test("Waiting is counted over all threads")
    func waitingCount() throws {
        let slots = ConnectionSlots(limit: 1)
        #expect(!slots.isWaitedFor)
        slots.beginWaiting()
        slots.beginWaiting()
        slots.endWaiting()
        #expect(slots.isWaitedFor)
        slots.endWaiting()
        #expect(!slots.isWaitedFor)
    }

    @Test("Clients' connections are bounded over all workers, and all places come back")
    func budgetUnderThreads() throws {
        let budget = ConnectionBudget(limit: 5, workers: 4)
        let inside = Shared()
        let next = Shared()
        let threads = try startThreads(4) {
            let worker = next.number()
            for _ in 0..<20_000 where budget.enter(worker) {
                inside.enter()
                inside.leave()
                budget.leave(worker)
            }
        }
        for thread in threads { thread.join() }
        #expect(inside.most.load(ordering: .relaxed) <= 5)
        for _ in 0..<5 { #expect(budget.enter(0)) }
        #expect(!budget.enter(1))
        budget.leave(0)
        #expect(budget.enter(1))
    }

    @Test("A worker that is ahead by more than its slack passes new connections on")
    func betterPlace() {
        let budget = ConnectionBudget(limit: 1000, workers: 3)
        for _ in 0..<16 { _ = budget.enter(0) }
        #expect(budget.betterPlace(than: 0) == nil)
        _ = budget.enter(0)
        #expect(budget.betterPlace(than: 0) == 1)
        _ = budget.enter(1)
        #expect(budget.betterPlace(than: 0) == 2)
        #expect(budget.betterPlace(than: 1) == nil)
        #expect(ConnectionBudget(limit: 1, workers: 1).betterPlace(than: 0) == nil)
    }

    @Test("A client beyond limits.connections is told so and let go; others are served")
    func connectionLimit() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""limits":{"connections":2}"#)
        let first = try gateway.connect()
        let second = try gateway.connect()
        first.send(get("/%00"))
        second.send(get("/%00"))
        #expect(first.readStatus() == 400 && second.readStatus() == 400)
        let third = try gateway.connect()
        #expect(third.readToEnd().text.status == 503)
        first.close()
        #expect(second.hasInput(within: 20) == false)
        let fourth = try gateway.connect()
        fourth.send(get("/%00"))
        #expect(fourth.readStatus() == 400)
    }

    @Test("Passed-on connections are served where they arrive")
    func passedOn() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""workers":2"#)
        var clients: [Peer] = []
        for _ in 0..<60 { clients.append(try gateway.connect()) }
        for client in clients { client.send(get("/%00")) }
        for client in clients { #expect(client.readStatus() == 400) }
    }
}

/// Counts who is inside at a time, over all threads.
private final class Shared: Sendable {
    let now = Atomic<Int>(0)
    let most = Atomic<Int>(0)

    func enter() {
        let count = now.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
        _ = most.max(count, ordering: .sequentiallyConsistent)
    }

    func leave() { now.wrappingSubtract(1, ordering: .sequentiallyConsistent) }

    func number() -> Int { now.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue }
}

/// A thread in an array.
private final class Started {
    private var thread: Thread?

    init(_ thread: consuming Thread) { self.thread = consume thread }

    func join() { thread.take()?.join() }
}

private func startThreads(_ count: Int, _ body: @escaping @Sendable () -> Void) throws -> [Started]
{
    try (0..<count).map { _ in Started(try Thread.start(name: "test", body)) }
}
