import Bytes
import Testing

@testable import HTTP2

private struct NoMemory: Error {}

/// The memory that nghttp2's sessions are made of.
@Suite struct MemoryTests {
    @Test(
        "A block holds what was asked for, and is aligned",
        arguments: [0, 1, 15, 16, 17, 48, 1024, 1025, 2928, 4096, 16394, 100_000])
    func blocks(size: Int) throws {
        var pool = MemoryPool()
        for isSession in [false, true] {
            if isSession { pool.beginSession() }
            guard let block = unsafe pool.allocate(size) else { throw NoMemory() }
            unsafe block.initializeMemory(as: UInt8.self, repeating: 0xff, count: size)
            let isAligned = UInt(bitPattern: block) % 16 == 0
            #expect(isAligned)
            let header = unsafe MemoryPool.Header.of(block).pointee
            #expect(header.capacity >= size)
            unsafe pool.release(block)
            pool.endSession()
        }
    }

    @Test("A small block that is free is given out again")
    func reuse() throws {
        var pool = MemoryPool()
        guard let first = unsafe pool.allocate(100) else { throw NoMemory() }
        unsafe pool.release(first)
        let isSame = unsafe pool.allocate(97) == first
        #expect(isSame)
        let isAnother = unsafe pool.allocate(100) != first
        #expect(isAnother)
    }

    @Test(
        "A block that grows keeps its contents",
        arguments: [(10, 16), (10, 17), (100, 1024), (1000, 1025), (2000, 50_000)])
    func growth(size: Int, larger: Int) throws {
        var pool = MemoryPool()
        guard let block = unsafe pool.allocate(size) else { throw NoMemory() }
        unsafe block.initializeMemory(as: UInt8.self, repeating: 0x5a, count: size)
        guard let grown = unsafe pool.resize(block, to: larger) else { throw NoMemory() }
        let bytes = unsafe UnsafeRawBufferPointer(start: grown, count: size)
        let isKept = unsafe bytes.allSatisfy { $0 == 0x5a }
        #expect(isKept)
        unsafe pool.release(grown)
    }

    @Test("A session's parts keep their contents where they grow", arguments: [1024, 4096, 16394])
    func growingParts(size: Int) throws {
        var pool = MemoryPool()
        pool.beginSession()
        let record = unsafe pool.allocate(2928)
        // The second ring is the one across an edge.
        let first = unsafe size == 1024 ? pool.allocate(size) : nil
        guard let part = unsafe pool.allocate(size) else { throw NoMemory() }
        pool.endSession()
        unsafe part.initializeMemory(as: UInt8.self, repeating: 0x5a, count: size)
        guard let grown = unsafe pool.resize(part, to: 3 * size) else { throw NoMemory() }
        let bytes = unsafe UnsafeRawBufferPointer(start: grown, count: size)
        let isKept = unsafe bytes.allSatisfy { $0 == 0x5a }
        #expect(isKept)
        unsafe pool.release(grown)
        if let record = unsafe record { unsafe pool.release(record) }
        if let first = unsafe first { unsafe pool.release(first) }
    }

    @Test("Blocks of many sizes do not overlap, in any order of release")
    func noOverlap() throws {
        var random = SplitMix(seed: 7)
        var pool = MemoryPool()
        var held: [(block: UnsafeMutableRawPointer, size: Int, mark: UInt8)] = unsafe []
        for turn in 0..<20_000 {
            if unsafe held.count > 200 || (unsafe !held.isEmpty && random.next() % 3 == 0) {
                let index = unsafe Int(random.next() % UInt64(held.count))
                let (block, size, mark) = unsafe held.remove(at: index)
                let bytes = unsafe UnsafeRawBufferPointer(start: block, count: size)
                let isUntouched = unsafe bytes.allSatisfy { $0 == mark }
                #expect(isUntouched)
                unsafe pool.release(block)
            } else {
                let size = Int(random.next() % (turn % 10 == 0 ? 20_000 : 600))
                let mark = UInt8(truncatingIfNeeded: turn)
                guard let block = unsafe pool.allocate(size) else { throw NoMemory() }
                unsafe block.initializeMemory(as: UInt8.self, repeating: mark, count: size)
                unsafe held.append((block, size, mark))
            }
        }
        for index in unsafe held.indices { unsafe pool.release(held[index].block) }
    }

    @Test(
        "A session's parts lie in one unit, which is used again when all of them are back",
        arguments: [(1024, 2), (4096, 1), (16394, 1)])
    func units(size: Int, count: Int) throws {
        var units = SessionUnits()
        units.begin()
        guard let record = unsafe units.take(2928) else { throw NoMemory() }
        guard let part = unsafe units.take(size) else { throw NoMemory() }
        let isNear = unsafe abs(part - record) < 3 * 4096
        #expect(isNear)
        let second = unsafe count == 2 ? units.take(size) : nil
        #expect(unsafe (second != nil) == (count == 2))
        let isNothing = unsafe units.take(size) == nil
        #expect(isNothing)
        units.end()
        unsafe units.giveBack(record)
        units.begin()
        guard let other = unsafe units.take(2928) else { throw NoMemory() }
        units.end()
        let isAnother = unsafe other != record
        #expect(isAnother)
        unsafe units.giveBack(part)
        if let second = unsafe second { unsafe units.giveBack(second) }
        units.begin()
        let isSame = unsafe units.take(2928) == record
        #expect(isSame)
        units.end()
    }

    @Test("A session at rest keeps its record, and a table of streams with something in it")
    func restingPages() throws {
        var units = SessionUnits()
        for mark in [UInt8(0), 1] {
            units.begin()
            guard let record = unsafe units.take(2928), let ring = unsafe units.take(1024),
                let edge = unsafe units.take(1024), let table = unsafe units.take(4096),
                let frame = unsafe units.take(16394)
            else { throw NoMemory() }
            units.end()
            unsafe record.initializeMemory(as: UInt8.self, repeating: 7, count: 2928)
            unsafe ring.initializeMemory(as: UInt8.self, repeating: 7, count: 1024)
            unsafe edge.initializeMemory(as: UInt8.self, repeating: 7, count: 1024)
            unsafe table.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
            unsafe table.storeBytes(of: mark, toByteOffset: 4095, as: UInt8.self)
            unsafe frame.initializeMemory(as: UInt8.self, repeating: 7, count: 16394)
            unsafe SessionUnits.rest(record)
            let isRecordKept = unsafe record.load(fromByteOffset: 2927, as: UInt8.self) == 7
            let isRingKept = unsafe ring.load(fromByteOffset: 1023, as: UInt8.self) == 7
            let isEdgeKept = unsafe edge.load(fromByteOffset: 0, as: UInt8.self) == 7
            let isTableSame = unsafe table.load(fromByteOffset: 4095, as: UInt8.self) == mark
            let isFrameGone = unsafe frame.load(fromByteOffset: 16000, as: UInt8.self) == 0
            #expect(isRecordKept && isRingKept && isEdgeKept && isTableSame && isFrameGone)
            unsafe units.giveBack(frame)
            unsafe units.giveBack(table)
            unsafe units.giveBack(record)
            unsafe units.giveBack(ring)
            unsafe units.giveBack(edge)
            units.begin()
            let isUsedAgain = unsafe units.take(2928) == record
            #expect(isUsedAgain)
            units.end()
            unsafe units.giveBack(record)
        }
    }

    @Test("Sizes that no session's part has come from elsewhere", arguments: [1025, 4096, 20_000])
    func foreignSizes(size: Int) {
        var units = SessionUnits()
        units.begin()
        let isNothing = unsafe units.take(size) == nil
        #expect(isNothing)
    }

    @Test("Outside of a session's making, nothing comes from units", arguments: [2928, 16394])
    func outside(size: Int) {
        var units = SessionUnits()
        let isNothing = unsafe units.take(size) == nil
        #expect(isNothing)
    }

    @Test("Units of many sessions are apart, also after many were given back")
    func manyUnits() throws {
        var units = SessionUnits()
        for _ in 0..<2 {
            var records: [UnsafeMutableRawPointer] = unsafe []
            for _ in 0..<200 {
                units.begin()
                guard let record = unsafe units.take(2928) else { throw NoMemory() }
                unsafe records.append(record)
                units.end()
            }
            let areApart = unsafe Set(records).count == 200
            #expect(areApart)
            for index in unsafe records.indices { unsafe units.giveBack(records[index]) }
        }
    }

    @Test("Of the sessions without a stream, the few that were busy last keep their memory")
    func rest() {
        let memory = HTTP2Memory()
        var peers: [(client: Peer, server: Peer)] = []
        for _ in 0..<40 {
            let client = Peer(.client, memory: memory)
            let server = Peer(.server, memory: memory)
            peers.append((client, server))
            exchange(client, server)
        }
        #expect(peers.filter { keepsMemory($0.client) || keepsMemory($0.server) }.count <= 16)
        // It is theirs again when they need it, and the memory of one that goes is not missed.
        exchange(peers[0].client, peers[0].server)
        #expect(keepsMemory(peers[0].client) && keepsMemory(peers[0].server))
        peers.removeLast(20)
        for (client, server) in peers { exchange(client, server) }
    }

    private func exchange(_ client: Peer, _ server: Peer) {
        let head = Array("GET / HTTP/1.1\r\nhost: a\r\n\r\n".utf8)
        #expect(client.session.request(head.span, isSecure: false, isEnd: true) != nil)
        server.onHead = { [unowned server] stream, _ in
            let head = Array("HTTP/1.1 204 \r\n\r\n".utf8)
            server.session.respond(stream, head.span, isEnd: true)
        }
        for _ in 0..<3 {
            server.receive(client.output())
            client.receive(server.output())
        }
        #expect(client.session.openStreams == 0 && server.session.openStreams == 0)
    }

    private func keepsMemory(_ peer: Peer) -> Bool {
        unsafe peer.session.state.pointee.composer.arena.capacity > 0
    }
}
