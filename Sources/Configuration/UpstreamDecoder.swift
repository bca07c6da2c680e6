import JSON

/// `upstreams`.
struct UpstreamDecoder {
    let files: FileAccess

    func decode(_ root: ObjectReader) -> [Configuration.Upstream] {
        root.members("upstreams").compactMap { member in
            ObjectReader(member.value, as: SchemaTables.upstream, root.diagnostics)
                .flatMap { upstream(member.name, $0) }
        }
    }

    private func upstream(_ name: String, _ reader: ObjectReader) -> Configuration.Upstream? {
        let endpoints = endpoints(reader)
        let tls = UpstreamTLSDecoder(files: files).decode(reader, endpoints)
        let balance = reader.choice("balance").flatMap {
            Configuration.Upstream.Balance(rawValue: $0)
        }
        let timeouts = timeouts(reader)
        let maxConnections = reader.integer("maxConnections")
        let retries = reader.integer("retries")
        let resolveInterval = reader.duration("resolveInterval")
        guard let balance, let timeouts, let retries, let resolveInterval else { return nil }
        return Configuration.Upstream(
            name: name, endpoints: endpoints, balance: balance, timeouts: timeouts,
            maxConnections: maxConnections, retries: retries, resolveInterval: resolveInterval,
            tls: tls)
    }

    private func timeouts(_ reader: ObjectReader) -> Configuration.UpstreamTimeouts? {
        guard let reader = reader.object("timeouts", as: SchemaTables.upstreamTimeouts) else {
            return nil
        }
        let connect = reader.duration("connect")
        let response = reader.duration("response")
        let idle = reader.duration("idle")
        let stream = reader.duration("stream")
        guard let connect, let response, let idle, let stream else { return nil }
        return Configuration.UpstreamTimeouts(
            connect: connect, response: response, idle: idle, stream: stream)
    }

    private func endpoints(_ reader: ObjectReader) -> [Configuration.Endpoint] {
        guard reader.has("endpoints"), let texts = reader.strings("endpoints") else { return [] }
        if reader.elements("endpoints")?.isEmpty == true {
            reader.diagnostics.error(
                "\"endpoints\" is empty", at: reader.value("endpoints")?.offset ?? reader.offset)
        }
        return texts.compactMap { endpoint($0, reader.diagnostics) }
    }

    private func endpoint(
        _ text: Located<String>, _ diagnostics: Diagnostics
    ) -> Configuration.Endpoint? {
        if text.value.hasPrefix("unix:") {
            let path = String(text.value.dropFirst(5))
            let resolved = files.resolve(path)
            if let fault = path.isEmpty ? "no path" : AddressText.faultOfSocketPath(resolved) {
                diagnostics.error("endpoint: \(fault)", at: text.offset)
                return nil
            }
            return .unix(path: resolved)
        }
        guard let (transport, authority) = split(text.value) else {
            diagnostics.error(
                "endpoint without a scheme", at: text.offset,
                hint: "write \"http://host:port\", \"https://host:port\", \"h2c://host:port\" "
                    + "or \"unix:/path\"")
            return nil
        }
        if authority.contains("/") {
            diagnostics.error(
                "an endpoint has no path", at: text.offset,
                hint: "a route's \"rewrite\" can add one")
            return nil
        }
        guard
            let (host, port) = AddressText.hostAndPort(
                authority, defaultPort: transport.defaultPort), port > 0,
            transport != .https || AddressText.isServerName(host)
        else {
            diagnostics.error("the endpoint has no valid host and port", at: text.offset)
            return nil
        }
        return .tcp(transport, host: host, port: port)
    }

    /// The scheme and what follows it.
    private func split(_ text: String) -> (Configuration.Endpoint.Transport, String)? {
        for transport in [Configuration.Endpoint.Transport.http, .https, .h2c] {
            let scheme = transport.rawValue + "://"
            if text.hasPrefix(scheme) { return (transport, String(text.dropFirst(scheme.count))) }
        }
        return nil
    }
}
