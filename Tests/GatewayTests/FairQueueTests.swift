import Configuration
import EventLoop
import Testing

@testable import Gateway

@Suite struct FairQueueTests {
    private func sender(_ number: UInt32) -> SenderKey { .v4(number) }

    /// Brings elements named by their sender's number and their own; returns how many were taken.
    private func fill(_ queue: inout FairQueue<String>, _ count: Int, from number: UInt32) -> Int {
        (0..<count).count { queue.append("\(number).\($0)", from: sender(number)) }
    }

    private func drain(_ queue: inout FairQueue<String>) -> [String] {
        var all: [String] = []
        while let next = queue.popFirst() { all.append(next) }
        return all
    }

    @Test("One sender's elements come out in the order in which they came")
    func inOrder() {
        var queue = FairQueue<String>(maxCount: 1000, maxPerSender: 300)
        #expect(fill(&queue, 200, from: 1) == 200)
        #expect(drain(&queue) == (0..<200).map { "1.\($0)" })
        #expect(queue.isEmpty && queue.popFirst() == nil)
    }

    @Test("Senders take turns, however much each has brought")
    func turns() {
        var queue = FairQueue<String>(maxCount: 100, maxPerSender: 40)
        #expect(fill(&queue, 4, from: 1) == 4)
        #expect(fill(&queue, 1, from: 2) == 1)
        #expect(fill(&queue, 2, from: 3) == 2)
        #expect(drain(&queue) == ["1.0", "2.0", "3.0", "1.1", "3.1", "1.2", "1.3"])
    }

    @Test("A sender that comes later waits for one element of each that is there, no more")
    func latecomer() {
        var queue = FairQueue<String>(maxCount: 1000, maxPerSender: 400)
        for number: UInt32 in 1...3 { #expect(fill(&queue, 100, from: number) == 100) }
        #expect(queue.popFirst() == "1.0")
        #expect(fill(&queue, 1, from: 9) == 1)
        let next = (0..<4).map { _ in queue.popFirst() }
        #expect(next.contains("9.0"))
        #expect(queue.count == 296)
    }

    @Test(
        "What a sender may have waiting is bounded by a number and by the places that are left",
        arguments: [
            // Places, most of a sender, senders in order that each bring 1,000: how many are taken.
            (1024, 256, [256, 256, 256, 128, 64, 32]),
            (100, 100, [50, 25, 13, 6, 3, 2, 1]),
            (100, 10, [10, 10, 10, 10]),
            (1, 10, [1, 0]),
            (0, 10, [0]),
            (10, 0, [0]),
        ])
    func bounds(_ places: Int, _ most: Int, _ taken: [Int]) {
        var queue = FairQueue<String>(maxCount: places, maxPerSender: most)
        for (number, expected) in taken.enumerated() {
            #expect(fill(&queue, 1000, from: UInt32(number)) == expected)
        }
        #expect(queue.count == taken.reduce(0, +))
        #expect(queue.count <= places)
    }

    @Test(
        "What a sender's elements weigh is bounded by the weight that is left",
        arguments: [
            // The weight that the queue carries, what each sender's elements weigh, how many of
            // 1,000 are taken.
            (2048, [14, 14, 1], [73, 37, 254]),
            (2048, [1, 14, 1], [256, 64, 256]),
            (100, [60, 10, 100, 0], [1, 2, 0, 256]),
            (0, [0, 1], [256, 0]),
        ])
    func weights(_ bound: Int, _ weights: [Int], _ taken: [Int]) {
        var queue = FairQueue<Int>(maxCount: 1024, maxPerSender: 256, maxWeight: bound)
        for (number, (weight, expected)) in zip(weights, taken).enumerated() {
            let own = (0..<1000).count {
                queue.append($0, weighing: weight, from: sender(UInt32(number)))
            }
            #expect(own == expected)
        }
        while queue.popFirst() != nil {}
        // What has gone weighs nothing any more.
        let isTaken = queue.append(0, weighing: bound / 2, from: sender(9))
        #expect(isTaken)
    }

    @Test("A place that is free again is any sender's")
    func freedPlace() {
        var queue = FairQueue<String>(maxCount: 4, maxPerSender: 4)
        #expect(fill(&queue, 4, from: 1) == 2)
        #expect(queue.popFirst() == "1.0")
        #expect(queue.count == 1)
        #expect(fill(&queue, 1, from: 1) == 1)
        #expect(fill(&queue, 2, from: 2) == 1)
    }

    @Test("Random use agrees with lists of each sender's elements")
    func model() {
        var random = SystemRandomNumberGenerator()
        var queue = FairQueue<Int>(maxCount: 300, maxPerSender: 80)
        var lists: [UInt32: [Int]] = [:]
        var count = 0
        for element in 0..<5000 {
            if random.next() % 5 < 3 {
                let number = UInt32(random.next() % 7)
                let own = lists[number]?.count ?? 0
                let hasRoom = own < 80 && own < 300 - count
                #expect(queue.append(element, from: sender(number)) == hasRoom)
                if hasRoom {
                    lists[number, default: []].append(element)
                    count += 1
                }
            } else if let next = queue.popFirst() {
                // The first of some sender's.
                let owner = lists.first { $0.value.first == next }?.key
                #expect(owner != nil)
                if let owner { lists[owner]?.removeFirst() }
                count -= 1
            } else {
                #expect(count == 0)
            }
            #expect(queue.count == count)
        }
    }

    @Test(
        "Who counts as one sender",
        arguments: [
            ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true), ("::1", "127.0.0.1", false),
        ])
    func senders(_ one: String, _ other: String, _ areSame: Bool) throws {
        #expect((try key(one) == key(other)) == areSame)
    }

    @Test("Behind a proxy whose word is taken, and on a unix socket, each connection is a sender")
    func proxied() throws {
        let configuration = try decode(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["http://127.0.0.1:1"]}}"#,
                routes: #"[{"path":"/**","access":"public","upstream":"up"}]"#,
                listeners:
                    #"[{"address":"127.0.0.1:0","trustedProxies":["192.0.2.0/24"]}]"#))
        let trusted = configuration.listeners[0].trustedProxies
        let address = try #require(IPAddress("192.0.2.1"))
        let clients = (0..<2).map { _ in
            Client(.ip(address, port: 1), trusting: trusted)
        }
        #expect(SenderKey(clients[0]) == SenderKey(clients[0]))
        #expect(SenderKey(clients[0]) != SenderKey(clients[1]))
        let unix = (0..<2).map { _ in Client(.unix(""), trusting: TrustedProxies()) }
        #expect(SenderKey(unix[0]) != SenderKey(unix[1]))
    }

    private func key(_ address: String) throws -> SenderKey {
        SenderKey(
            Client(.ip(try #require(IPAddress(address)), port: 1), trusting: TrustedProxies()))
    }
}
