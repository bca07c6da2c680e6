import EventLoop
import Synchronization
import Testing

@testable import Gateway

@Suite("Looking key servers' names up")
struct NameLookupTests {
    /// A loop, its look-ups, and what they asked the resolver for.
    private final class Asking {
        let loop: EventLoop
        let names: NameLookup
        let gates: [String: Gate]
        private let asked: Box
        private(set) var answers: [String: [Result<[SocketAddress], SystemError>]] = [:]

        private final class Box: Sendable {
            let hosts = Mutex<[String]>([])
        }

        /// Names lead to 192.0.2.1, those with a gate when it is open; `nobody` leads nowhere.
        init(gates: [String: Gate] = [:]) throws {
            let asked = Box()
            self.asked = asked
            self.gates = gates
            loop = try EventLoop()
            names = try NameLookup(loop: loop) { host throws(SystemError) in
                asked.hosts.withLock { $0.append(host) }
                gates[host]?.wait()
                if host == "nobody" { throw .addressNotFound }
                return [.ip(.v4(0xc000_0201), port: 0), .unix("/none")]
            }
        }

        var askedHosts: [String] { asked.hosts.withLock { $0 } }

        @discardableResult
        func ask(_ host: String, port: UInt16 = 443, as name: String? = nil) throws
            -> NameLookup.Ticket
        {
            try names.ask(host, port: port) { [unowned self] in
                answers[name ?? host, default: []].append($0)
            }
        }

        func turn(until isDone: () -> Bool) {
            for _ in 0..<2000 where !isDone() { loop.turn(maxWait: 5) }
            #expect(isDone())
        }
    }

    private func address(_ port: UInt16) -> [SocketAddress] {
        [.ip(.v4(0xc000_0201), port: port)]
    }

    @Test("Each asker hears of IP addresses with its own port, and of failures")
    func answers() throws {
        let asking = try Asking()
        try asking.ask("a", port: 1)
        try asking.ask("nobody")
        asking.turn { asking.answers.count == 2 }
        #expect(asking.answers["a"] == [.success(address(1))])
        #expect(asking.answers["nobody"] == [.failure(.addressNotFound)])
        #expect(asking.names.threadCount == 0)
    }

    @Test("A name that hangs delays no other, and is asked for once at a time")
    func hanging() throws {
        let gate = Gate()
        let asking = try Asking(gates: ["slow": gate])
        for number in 0..<20 { try asking.ask("slow", port: UInt16(number), as: "\(number)") }
        try asking.ask("fast")
        asking.turn { asking.answers["fast"] != nil }
        #expect(asking.answers.count == 1)
        #expect(asking.names.threadCount == 1)
        gate.open()
        asking.turn { asking.answers.count == 21 }
        for number in 0..<20 {
            #expect(asking.answers["\(number)"] == [.success(address(UInt16(number)))])
        }
        #expect(asking.askedHosts.sorted() == ["fast", "slow"])
    }

    @Test("Who has given up is not told; who asks then waits for the same answer")
    func forgotten() throws {
        let gate = Gate()
        let asking = try Asking(gates: ["slow": gate])
        let first = try asking.ask("slow", as: "first")
        asking.names.forget(first)
        asking.names.forget(first)
        try asking.ask("slow", as: "second")
        gate.open()
        asking.turn { asking.answers["second"] != nil }
        #expect(asking.answers["first"] == nil)
        #expect(asking.askedHosts == ["slow"])
        // Behind the answer its ticket means nothing.
        asking.names.forget(first)
        try asking.ask("slow", as: "third")
        asking.turn { asking.answers["third"] != nil }
        #expect(asking.askedHosts == ["slow", "slow"])
    }

    @Test("There are only so many threads, and room again when they end")
    func bound() throws {
        let gate = Gate()
        let hosts = (0..<128).map { "h\($0)" }
        let gates = Dictionary(uniqueKeysWithValues: hosts.map { ($0, gate) })
        let asking = try Asking(gates: gates)
        for host in hosts { try asking.ask(host) }
        #expect(throws: SystemError.outOfMemory) { try asking.ask("one more") }
        // One that is being asked for can be waited for.
        try asking.ask("h0", as: "again")
        gate.open()
        asking.turn { asking.answers.count == 129 }
        try asking.ask("one more")
        asking.turn { asking.answers.count == 130 }
    }

    @Test("Nobody is told when all of it has gone before the answer")
    func gone() throws {
        let gate = Gate()
        var asking: Asking? = try Asking(gates: ["slow": gate])
        try asking?.ask("slow")
        asking = nil
        gate.open()
        #expect(asking == nil)
    }

    @Test(
        "Literals, and this machine's own name, need no asking",
        arguments: [
            ("127.0.0.1", ["127.0.0.1:7"]), ("192.0.2.9", ["192.0.2.9:7"]),
            ("::1", ["[::1]:7"]), ("2001:db8::1", ["[2001:db8::1]:7"]),
            ("localhost", ["127.0.0.1:7", "[::1]:7"]),
            ("localhost.", ["127.0.0.1:7", "[::1]:7"]),
        ])
    func fixed(_ host: String, _ addresses: [String]) {
        #expect(
            NameLookup.fixedAddresses(of: host, port: 7)?.map(\.description) == addresses)
    }

    @Test(
        "Other names do",
        arguments: ["localhost.example", "a.localhost", "example.com", "127.1", "0x7f.1", ""])
    func named(_ host: String) {
        #expect(NameLookup.fixedAddresses(of: host, port: 7) == nil)
    }
}
