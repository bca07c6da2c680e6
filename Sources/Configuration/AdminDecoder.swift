import HTTP
import JSON

/// `admin`.
struct AdminDecoder {
    let files: FileAccess

    /// The settings; nil where there are none, or a problem.
    func decode(
        _ root: ObjectReader, besides listeners: [Located<Configuration.Listener>]
    ) -> Configuration.AdminSettings? {
        guard let value = root.value("admin"),
            let reader = ObjectReader(value, as: SchemaTables.admin, root.diagnostics),
            let address = files.listenAddress(reader)
        else { return nil }
        if let twin = listeners.first(where: { $0.value.address == address.value }),
            !address.value.letsTheSystemChoose
        {
            root.diagnostics.error(
                "the same address as the listener", at: address.offset, other: twin.offset)
        }
        if !address.value.isLocal {
            root.diagnostics.warning(
                "\"admin\" is not on loopback: whoever reaches it reads what it tells and starts "
                    + "fetches of keys", at: address.offset,
                hint: "write \"127.0.0.1:PORT\" or a unix socket unless the network keeps others "
                    + "away")
        }
        return Configuration.AdminSettings(address: address.value)
    }
}

extension FileAccess {
    /// The `address` to listen at; nil with a report where it is none.
    func listenAddress(_ reader: ObjectReader) -> Located<Configuration.ListenAddress>? {
        guard let text = reader.string("address") else { return nil }
        if text.value.hasPrefix("unix:") {
            let path = String(text.value.dropFirst(5))
            let resolved = resolve(path)
            if let fault = path.isEmpty ? "no path" : AddressText.faultOfSocketPath(resolved) {
                reader.diagnostics.error("\"address\": \(fault)", at: text.offset)
                return nil
            }
            return Located(value: .unix(path: resolved), offset: text.offset)
        }
        guard let (host, port) = AddressText.hostAndPort(text.value) else {
            let hint =
                text.value.hasPrefix("*:") || text.value.hasPrefix(":")
                ? "for every address write \"0.0.0.0:PORT\" or \"[::]:PORT\""
                : "write \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/run/bearward.sock\""
            reader.diagnostics.error("\"address\" is no address", at: text.offset, hint: hint)
            return nil
        }
        return Located(value: .tcp(host: host, port: port), offset: text.offset)
    }
}

extension Configuration.ListenAddress {
    /// Port 0 is another port each time.
    var letsTheSystemChoose: Bool {
        if case .tcp(_, 0) = self { return true }
        return false
    }

    /// Whether only this machine reaches it.
    fileprivate var isLocal: Bool {
        guard case .tcp(let host, _) = self else { return true }
        if let octets = IPAddressText.octets(host) {
            let loopback6 = [UInt8](repeating: 0, count: 15) + [1]
            return octets == loopback6 || octets.count == 4 && octets[0] == 127
        }
        return host.lowercased() == "localhost"
    }
}
