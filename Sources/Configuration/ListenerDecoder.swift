import JSON
import OpenSSL

/// `listeners`.
struct ListenerDecoder {
    let files: FileAccess
    /// Every request field that a route writes, where the configuration names it.
    let fieldsOfRoutes: [Located<String>]

    /// The listeners, each at its address's place.
    func decode(_ root: ObjectReader) -> [Located<Configuration.Listener>] {
        guard root.has("listeners"), let elements = root.elements("listeners") else { return [] }
        if elements.isEmpty {
            root.diagnostics.error(
                "\"listeners\" is empty", at: root.value("listeners")?.offset ?? root.offset)
        }
        var listeners: [Located<Configuration.Listener>] = []
        for element in elements {
            guard let reader = ObjectReader(element, as: SchemaTables.listener, root.diagnostics)
            else { continue }
            let protocols = protocols(reader)
            let proxies = trustedProxies(reader)
            let tls = ListenerTLSDecoder(files: files, fieldsOfRoutes: fieldsOfRoutes)
                .decode(reader, protocols: protocols)
            guard let address = files.listenAddress(reader) else { continue }
            if let twin = listeners.first(where: { $0.value.address == address.value }),
                !address.value.letsTheSystemChoose
            {
                root.diagnostics.error(
                    "the same address as the listener", at: address.offset, other: twin.offset)
            }
            let listener = Configuration.Listener(
                address: address.value, trustedProxies: proxies, tls: tls, protocols: protocols)
            listeners.append(Located(value: listener, offset: address.offset))
        }
        return listeners
    }

    private func protocols(_ reader: ObjectReader) -> [ApplicationProtocol] {
        guard let choices = reader.choices("protocols") else { return [] }
        if reader.elements("protocols")?.isEmpty == true {
            reader.diagnostics.error(
                "\"protocols\" is empty", at: reader.value("protocols")?.offset ?? reader.offset)
        }
        var seen: [Located<String>] = []
        for choice in choices {
            if let twin = seen.first(where: { $0.value == choice.value }) {
                reader.diagnostics.error(
                    "\"\(choice.value)\" stands here and", at: choice.offset, other: twin.offset)
            }
            seen.append(choice)
        }
        return choices.map { $0.value == "h2" ? .http2 : .http11 }
    }

    private func trustedProxies(_ reader: ObjectReader) -> TrustedProxies {
        var proxies = TrustedProxies()
        for text in reader.strings("trustedProxies") ?? [] {
            if text.value == "unix" {
                proxies.addUnix()
                continue
            }
            do {
                proxies.add(try AddressRange(text.value))
            } catch {
                report(error, text, reader.diagnostics)
            }
        }
        return proxies
    }

    private func report(
        _ fault: AddressRange.Fault, _ text: Located<String>, _ diagnostics: Diagnostics
    ) {
        switch fault {
        case .notAnAddress:
            diagnostics.error(
                "each of \"trustedProxies\" must be a network, an address or \"unix\"",
                at: text.offset, hint: "write \"10.0.0.0/8\", \"::1\" or \"unix\"")
        case .prefixLength:
            diagnostics.error("the network's prefix is no length of its address", at: text.offset)
        case .hostBits(let network):
            diagnostics.error(
                "the network has bits beyond its prefix", at: text.offset,
                hint: "did you mean \"\(network)\"?")
        }
    }
}
