import EventLoop
import Testing

@testable import Gateway

/// Deadlines, short ones, each with its answer. What has to happen gets seconds; what must not
/// happen is looked for well beyond the deadline. A deadline that must not pass is a second,
/// which a busy machine may take a part of.
@Suite struct DeadlineTests {
    @Test(
        "A head that is not whole after timeouts.head is 408, however often bytes come",
        arguments: [
            "G", "GET / HTTP/1.1\r\nHost: a\r\n",
        ])
    func head(_ begun: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, more: #""timeouts":{"head":"300ms"}"#, isLogging: true)
        let client = try gateway.connect()
        client.send(begun)
        let start = Instant.now
        while !client.hasInput(within: 50), Instant.now.milliseconds(since: start) < 5000 {
            client.send(begun.count == 1 ? "X" : "A: b\r\n")
        }
        let took = Instant.now.milliseconds(since: start)
        #expect(took >= 280 && took < 3000)
        let answer = client.readMessage()
        #expect(answer.status == 408)
        #expect(answer.contains("\r\nConnection: close\r\n"))
        #expect(client.waitForEnd() != .open)
        let lines = try gateway.logLines()
        #expect(lines.count == 1)
        let id = try #require(answer.value(of: "X-Request-Id"))
        #expect(lines.first?.contains(#""request_id":"\#(id)""#) == true)
        #expect(lines.first?.contains(#""reason":"request_timeout""#) == true)
    }

    @Test("A new connection without a byte is closed after timeouts.head, without a word")
    func silentClient() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""timeouts":{"head":"100ms"}"#)
        #expect(try gateway.connect().readToEnd() == ("", .closed))
    }

    @Test("Between requests timeouts.idle counts, and from the next one's first byte timeouts.head")
    func idle() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, more: #""timeouts":{"idle":"300ms","head":"100ms"}"#)
        let client = try gateway.connect()
        client.send(get("/%00"))
        #expect(client.readStatus() == 400)
        let start = Instant.now
        #expect(client.readToEnd() == ("", .closed))
        #expect(Instant.now.milliseconds(since: start) >= 250)
        let second = try gateway.connect()
        second.send(get("/%00") + "G")
        #expect(second.readStatus() == 400)
        #expect(second.readStatus() == 408)
    }

    @Test(
        "A body that stands still for timeouts.body is 408",
        arguments: [
            post(5), post(5) + "hel",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n",
        ])
    func body(_ request: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""timeouts":{"body":"200ms"}"#)
        let client = try gateway.connect()
        client.send(request)
        let connection = try upstream.accept()
        let answer = client.readMessage()
        #expect(answer.status == 408)
        #expect(answer.contains("urn:bearward:problem:request_timeout"))
        #expect(!connection.readToEnd().text.hasSuffix("0\r\n\r\n"))
        #expect(client.waitForEnd() != .open)
    }

    @Test("A body that goes on, however slowly, is not late", arguments: ["identity", "chunked"])
    func slowBody(_ coding: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""timeouts":{"body":"1s"}"#)
        let client = try gateway.connect()
        client.send(
            coding == "chunked"
                ? "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" : post(10))
        let connection = try upstream.accept()
        _ = connection.readHead()
        for _ in 0..<10 {
            client.send(coding == "chunked" ? "1\r\nx\r\n" : "x")
            #expect(!client.hasInput(within: 150))
        }
        if coding == "chunked" { client.send("0\r\n\r\n") }
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test("The pool's deadline does not end an upload on a connection taken from it")
    func uploadOnReusedConnection() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, upstreamSettings: #""timeouts":{"idle":"1s"}"#)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
        client.send(post(10))
        _ = connection.readHead()
        for _ in 0..<10 {
            client.send("x")
            #expect(!client.hasInput(within: 150))
        }
        #expect(connection.read(10) == "xxxxxxxxxx")
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test("An upstream that takes no more of a body for timeouts.body is 504")
    func bodyStalled() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""timeouts":{"body":"200ms"}"#)
        let client = try gateway.connect()
        let most = 64 << 20
        client.send(post(most))
        let connection = try upstream.accept()
        let block = [UInt8](repeating: 0x61, count: 65_536)
        _ = client.flood(block, for: 150, atMost: most)
        let answer = client.readMessage()
        #expect(answer.status == 504)
        #expect(answer.contains("urn:bearward:problem:upstream_timeout"))
        withExtendedLifetime(connection) {}
    }

    @Test(
        "A response that has not begun after timeouts.response is 504; the next request is served",
        arguments: ["", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"])
    func response(_ begun: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, upstreamSettings: #""timeouts":{"response":"200ms"}"#)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(begun)
        var answer = client.readMessage()
        if answer.status == 103 { answer = client.readMessage() }
        #expect(answer.status == 504)
        #expect(connection.waitForEnd() != .open)
        client.send(get())
        let next = try upstream.accept()
        _ = next.readHead()
        next.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test("A route's timeouts take the place of its upstream's")
    func routeTimeout() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, route: #""timeouts":{"response":"100ms"}"#)
        let client = try gateway.connect()
        client.send(get())
        #expect(client.readStatus() == 504)
    }

    @Test("The response's deadline begins with the request's end, not with its head")
    func responseAfterUpload() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, upstreamSettings: #""timeouts":{"response":"1s"}"#)
        let client = try gateway.connect()
        client.send(post(10))
        let connection = try upstream.accept()
        for _ in 0..<10 {
            client.send("x")
            #expect(!client.hasInput(within: 150))
        }
        _ = connection.readHead()
        connection.send(ok())
        #expect(client.readStatus() == 200)
    }

    @Test(
        "A response that falls silent for timeouts.stream is cut off, and does not look whole",
        arguments: [
            "Content-Length: 5\r\n\r\nhel", "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
            "Connection: close\r\n\r\nhel",
        ])
    func streamSilence(_ rest: String) throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, upstreamSettings: #""timeouts":{"stream":"200ms"}"#, isLogging: true)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 200 OK\r\n\(rest)")
        let (text, ending) = client.readToEnd()
        #expect(text.contains("hel") && !text.contains("0\r\n\r\n"))
        #expect(ending == .reset)
        let line = try gateway.logLines().first ?? ""
        #expect(line.contains(#""status":200"#) && line.contains(#""reason":"upstream_timeout""#))
    }

    @Test("A response that goes on, however slowly, is not late")
    func slowResponse() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(
            to: upstream, upstreamSettings: #""timeouts":{"stream":"1s","response":"1s"}"#)
        let client = try gateway.connect()
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        _ = client.readHead()
        for _ in 0..<10 {
            connection.send("x")
            #expect(client.read(1) == "x")
            #expect(!client.hasInput(within: 150))
        }
        #expect(client.exchange(over: connection).status == 200)
    }

    @Test("A client that takes nothing of its response for timeouts.body is let go")
    func stalledReader() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""timeouts":{"body":"200ms"}"#)
        let client = try gateway.connect(receiveBuffer: 4096)
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(64 << 20)\r\n\r\n")
        let block = [UInt8](repeating: 0x61, count: 65_536)
        _ = connection.flood(block, for: 150, atMost: 64 << 20)
        #expect(connection.waitForEnd() != .open)
        withExtendedLifetime(client) {}
    }

    @Test("Once a slow reader has caught up, its connection lives on past timeouts.body")
    func slowReaderThatCatchesUp() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream, more: #""timeouts":{"body":"1s"}"#)
        let client = try gateway.connect(receiveBuffer: 4096)
        client.send(get())
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(64 << 20)\r\n\r\n")
        let block = [UInt8](repeating: 0x61, count: 65_536)
        let count = connection.flood(block, for: 50, atMost: 64 << 20)
        _ = client.readHead()
        #expect(client.read(count).utf8.count == count)
        #expect(!client.hasInput(within: 1800))
        connection.send("x")
        #expect(client.read(1) == "x")
    }

    @Test("A client that does not end its side is let go a while after its last answer")
    func lingering() throws {
        let upstream = try ScriptedUpstream()
        let gateway = try publicGateway(to: upstream)
        let client = try gateway.connect()
        client.send(get("/%00", "Connection: close\r\n"))
        #expect(client.readStatus() == 400)
        #expect(client.waitForEnd() == .closed)
        // The proxy's side is gone once what is sent there is answered by a reset.
        let start = Instant.now
        var isGone = false
        while !isGone, Instant.now.milliseconds(since: start) < 6000 {
            client.send("x")
            isGone = client.isBroken(within: 100)
        }
        #expect(isGone)
        #expect(Instant.now.milliseconds(since: start) > 1000)
    }
}
