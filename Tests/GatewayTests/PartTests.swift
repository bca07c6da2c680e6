import Bytes
import Configuration
import EventLoop
import HTTP
import JWT
import Keys
import Logging
import Synchronization
import Testing

@testable import Gateway

/// Small parts that need no peer.
@Suite struct PartTests {
    @Test(
        "A date is written as RFC 9110 has it",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (1_735_689_600, "Wed, 01 Jan 2025 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (2_147_483_648, "Tue, 19 Jan 2038 03:14:08 GMT"),
        ] as [(Int64, String)])
    func date(_ seconds: Int64, _ text: String) {
        #expect(DateField.text(seconds) == text)
        var field = DateField()
        field.update(unixSeconds: seconds)
        field.update(unixSeconds: seconds)
        var output = ByteBuffer()
        field.append(to: &output)
        #expect(output.text == "Date: \(text)\r\n")
    }

    @Test(
        "A body is held to the length that its head names",
        arguments: [
            (BodyFraming.none, [], true, true), (.none, [1], false, false),
            (.length(3), [3], true, true), (.length(3), [1, 2], true, true),
            (.length(3), [1, 1], true, false), (.length(3), [4], false, false),
            (.length(3), [3, 1], false, false), (.length(.max), [9], true, false),
            (.chunked, [], true, true), (.chunked, [7, 9], true, true),
            (.untilClose, [5], true, true),
        ] as [(BodyFraming, [Int], Bool, Bool)])
    func bodyLength(_ framing: BodyFraming, _ parts: [Int], isWithin: Bool, isWhole: Bool) {
        var length = BodyLength(framing)
        var fits = true
        for part in parts { fits = length.take(part) && fits }
        #expect(fits == isWithin)
        #expect(length.isWhole == isWhole)
    }

    @Test("Ids that are made are 32 hexadecimal digits, and none comes twice")
    func madeIDs() {
        var (ids, others) = (RequestIDs(), RequestIDs())
        var seen: Set<String> = []
        for _ in 0..<10_000 {
            var id = ByteBuffer()
            var other = ByteBuffer()
            ids.make(into: &id)
            others.make(into: &other)
            #expect(id.count == 32)
            seen.insert(id.text)
            seen.insert(other.text)
        }
        #expect(seen.count == 20_000)
        #expect(seen.allSatisfy { $0.allSatisfy { "0123456789abcdef".contains($0) } })
    }

    @Test(
        "Edits take every way of writing a name, and leave others",
        arguments: [
            (
                ["X-A"], "X-A: 1\r\nx_a: 2\r\nX.A: 3\r\nX-AB: 4\r\nX--A: 5\r\n",
                "X-AB: 4\r\nX--A: 5\r\n"
            ),
            (["x.b_c"], "X-B-C: 1\r\nXB-C: 2\r\n", "XB-C: 2\r\n"), ([], "A: b\r\n", "A: b\r\n"),
            (["A", "C"], "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n", "B: 2\r\nD: 4\r\n"),
        ])
    func edits(_ removed: [String], _ lines: String, _ kept: String) throws {
        let json = removed.map { "\"\($0)\"" }.joined(separator: ",")
        let configuration = try decode(
            proxyJSON(
                upstreams: #"{"up":{"endpoints":["http://127.0.0.1:9"]}}"#,
                routes: """
                    [{"path":"/**","access":"public","upstream":"up",
                      "responseHeaders":{"remove":[\(json)],"set":{"Z-Set":"1"}}}]
                    """))
        let edits = FieldEdits(configuration.routes[0].responseFields)
        #expect(String(decoding: edits.lines, as: UTF8.self) == "Z-Set: 1\r\n")
        try withFields(lines + "z_set: 0\r\n") { fields, bytes in
            edits.drop(from: fields, bytes)
            var output = ByteBuffer()
            fields.appendKept(bytes, to: &output)
            #expect(output.text == "Host: a\r\n" + kept)
        }
    }

    // MARK: The access log

    @Test("Lines beyond the queue's bound are dropped and counted, whole ones; the rest is written")
    func logBound() throws {
        let folder = TemporaryFolder()
        let log = try AccessLog(.file(path: folder.path("log")))
        let line = Array((String(repeating: "x", count: 1023) + "\n").utf8)
        let lines = Array(repeatElement(line, count: 64).joined())
        var dropped: UInt64 = 0
        for _ in 0..<100 { dropped += log.append(lines.span) }
        // 4 MiB hold 64 times as many.
        #expect(dropped == 36 * 64)
        log.end()
        try log.write { Issue.record("\($0)") }
        let written = try Files.read(folder.path("log"), maxBytes: 8 << 20)
        #expect(written.count == 4 << 20)
        #expect(log.append(lines.span) == 0)
    }

    @Test("A log that was moved away is opened anew")
    func logReopened() throws {
        let folder = TemporaryFolder()
        let path = folder.path("log")
        let log = try AccessLog(.file(path: path))
        let writer = try Thread.start(name: "log") {
            do { try log.write { Issue.record("\($0)") } } catch { Issue.record("\(error)") }
        }
        #expect(log.append(Array("1\n".utf8).span) == 0)
        log.reopen()
        try waitUntil { try Files.read(path, maxBytes: 100).count == 2 }
        try folder.move("log", to: "old")
        log.reopen()
        try waitUntil { Files.fingerprint(path) != nil }
        #expect(log.append(Array("2\n".utf8).span) == 0)
        log.end()
        writer.join()
        #expect(try Files.read(folder.path("old"), maxBytes: 100) == Array("1\n".utf8))
        #expect(try Files.read(path, maxBytes: 100) == Array("2\n".utf8))
    }

    @Test("A log that cannot be written says so once, costs lines and nothing else")
    func logUnwritable() throws {
        let log = try AccessLog(.file(path: "/dev/full"))
        let errors = Atomic<Int>(0)
        let writer = try Thread.start(name: "log") {
            do {
                try log.write { _ in errors.wrappingAdd(1, ordering: .relaxed) }
            } catch { Issue.record("\(error)") }
        }
        for _ in 0..<3 {
            #expect(log.append(Array("x\n".utf8).span) == 0)
            log.reopen()
        }
        log.end()
        writer.join()
        #expect(errors.load(ordering: .relaxed) == 1)
    }

    @Test("A log whose path leads nowhere fails at the start")
    func logMissing() {
        #expect(throws: SystemError.self) {
            try AccessLog(.file(path: "/nowhere/at/all"))
        }
    }

    // MARK: Key files

    private static let key =
        #"{"crv":"Ed25519","kty":"OKP","x":"JxOcSOTN8FZN03zb5k6FmKpJvpK-rJZoJssV5c-jTx0"}"#
    private static let other =
        #"{"crv":"P-256","kty":"EC","x":"A-n1taRrSCcjiO8RSfl7NbDwCFk24A-ISeFEMZDM0k0","#
        + #""y":"xupHQCzUd9mOpFDbYlzImnZel_ezA9cpxpuQQanOv1s"}"#

    private func issuers(_ path: String) throws -> [Configuration.Issuer] {
        try decode(
            """
            {"listeners":[{"address":"127.0.0.1:0"}],
             "issuers":{"login":{"issuer":"i","audiences":["a"],"keys":{"file":"\(path)"}}},
             "upstreams":{"up":{"endpoints":["http://127.0.0.1:9"]}},
             "routes":[{"path":"/**","upstream":"up"}]}
            """
        ).issuers
    }

    @Test("A changed key file is taken up; one that is bad or gone leaves the last good keys")
    func keyFiles() throws {
        let folder = TemporaryFolder()
        let errors = ErrorCount()
        let logger = Logger(label: "test") { _ in CountingHandler(count: errors) }
        let loop = try EventLoop()
        var sets: [Int] = []
        var faults: [KeyFault] = []
        let files = KeyFiles(
            try issuers(folder.path("keys")), loop: loop, logger: logger,
            onKeys: {
                #expect($0 == 0)
                sets.append($1.keys.count)
            },
            onFault: {
                #expect($0 == 0)
                faults.append($1.keyFault)
            })
        // Missing at the start: said once, however often it is looked for.
        files.start()
        files.deadlineReached()
        #expect(sets == [] && errors.value == 1 && faults == [.unreadableFile])
        try folder.write("{\"keys\":[\(Self.key)]}", to: "keys")
        files.deadlineReached()
        files.deadlineReached()
        #expect(sets == [1])
        try folder.write("{\"keys\":[\(Self.key),\(Self.other)]}", to: "keys")
        files.deadlineReached()
        #expect(sets == [1, 2])
        let bad = ["", "{", "{\"keys\":[]}", #"{"keys":[{"kty":"oct","k":"AAAA"}]}"#]
        for text in bad {
            try folder.write(text, to: "keys")
            for _ in 0..<2 { files.deadlineReached() }
        }
        #expect(sets == [1, 2] && errors.value == 5, "each is another fault")
        #expect(faults.dropFirst() == [.notJSON, .notJSON, .noUsableKey, .noUsableKey])
        // As it was: no news for the workers, and the next fault is told again.
        try folder.write("{\"keys\":[\(Self.key),\(Self.other)]}", to: "keys")
        files.deadlineReached()
        #expect(sets == [1, 2])
        try folder.remove("keys")
        files.deadlineReached()
        files.deadlineReached()
        #expect(sets == [1, 2] && errors.value == 6 && faults.last == .unreadableFile)
        try folder.write("{\"keys\":[\(Self.other)]}", to: "keys")
        files.deadlineReached()
        #expect(sets == [1, 2, 1] && errors.value == 6)
    }

    @Test("A key file that is far too large is not read whole")
    func hugeKeyFile() throws {
        let folder = TemporaryFolder()
        try folder.write(String(repeating: " ", count: 16 << 20), to: "keys")
        let errors = ErrorCount()
        let logger = Logger(label: "test") { _ in CountingHandler(count: errors) }
        let files = KeyFiles(
            try issuers(folder.path("keys")), loop: try EventLoop(), logger: logger,
            onKeys: { _, _ in Issue.record("keys from a file of blanks") }, onFault: { _, _ in })
        files.start()
        #expect(errors.value == 1)
    }
}

/// Waits for something that another thread does.
private func waitUntil(_ isDone: () throws -> Bool) throws {
    let start = Instant.now
    while try !isDone() {
        try #require(Instant.now.milliseconds(since: start) < 10_000)
    }
}

private final class ErrorCount: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .relaxed) }

    func add() { count.wrappingAdd(1, ordering: .relaxed) }
}

/// Counts errors.
private struct CountingHandler: LogHandler {
    let count: ErrorCount
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(count: ErrorCount) { self.count = count }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        if event.level == .error { count.add() }
    }
}
