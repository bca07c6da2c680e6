import Testing

/// A request without a body.
func get(_ path: String = "/", _ fields: String = "") -> String {
    "GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
}

/// A request's head that announces a body of known length.
func post(_ length: Int, _ fields: String = "") -> String {
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\n\(fields)\r\n"
}

/// A response with a body.
func ok(_ body: String = "ok", _ fields: String = "") -> String {
    "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
}

extension Peer {
    /// Sends a request as a client and lets it be answered at an upstream's connection.
    func exchange(
        over connection: Peer, _ request: String = get(), _ response: String = ok()
    ) -> String {
        send(request)
        _ = connection.readHead()
        connection.send(response)
        return readMessage()
    }

    /// The status of the next message, its body read past. 0: there is none.
    func readStatus() -> Int {
        readMessage().status
    }
}

extension String {
    /// The status code in a response's first line, 0 where there is none.
    var status: Int {
        hasPrefix("HTTP/1.1 ") ? Int(dropFirst(9).prefix(3)) ?? 0 : 0
    }
}

/// A text so long that it goes through in several pieces.
func filler(_ count: Int) -> String { String(repeating: "0123456789abcdef", count: count / 16) }
