import JSON
import OpenSSL

/// `upstreams.NAME.tls`.
struct UpstreamTLSDecoder {
    let files: FileAccess

    /// How `https` endpoints are spoken to; nil where there is none, or a problem.
    func decode(
        _ upstream: ObjectReader, _ endpoints: [Configuration.Endpoint]
    ) -> Configuration.UpstreamTLS? {
        let hasTLS = endpoints.contains { $0.transport == .https }
        if let value = upstream.value("tls"), !hasTLS, !endpoints.isEmpty {
            upstream.diagnostics.error(
                "\"tls\" is for endpoints that begin with \"https://\"", at: value.offset)
        }
        guard hasTLS || upstream.has("tls"),
            let reader = upstream.object("tls", as: SchemaTables.upstreamTLS)
        else { return nil }
        let ca = files.material("ca", of: reader)
        let certificate = files.material("certificate", of: reader)
        let privateKey = files.material("privateKey", of: reader)
        checkPair(reader)
        let name = serverName(reader)
        let verifiesPeer = !reader.boolean("unsafeNoVerification")
        let isWhole =
            (ca != nil) == reader.has("ca") && (certificate != nil) == reader.has("certificate")
            && (privateKey != nil) == reader.has("privateKey")
        guard hasTLS, isWhole, (certificate == nil) == (privateKey == nil) else { return nil }
        var identity: TLSIdentity?
        if let certificate, let privateKey {
            identity = TLSIdentity(
                certificateChain: certificate.contents, privateKey: privateKey.contents,
                staple: nil)
        }
        let settings = TLSClientContext.Settings(
            trust: ca?.contents, identity: identity, verifiesPeer: verifiesPeer,
            protocols: Configuration.UpstreamTLS.protocols)
        return Configuration.UpstreamTLS(
            ca: ca?.path, certificate: certificate?.path, privateKey: privateKey?.path,
            serverName: name, settings: settings)
    }

    private func checkPair(_ reader: ObjectReader) {
        for (one, other) in [("certificate", "privateKey"), ("privateKey", "certificate")] {
            if let value = reader.value(one), !reader.has(other) {
                reader.diagnostics.error("\"\(one)\" needs \"\(other)\"", at: value.offset)
            }
        }
    }

    private func serverName(_ reader: ObjectReader) -> String? {
        guard let name = reader.string("serverName") else { return nil }
        if AddressText.isServerName(name.value) { return name.value }
        reader.diagnostics.error(
            "\"serverName\" must be a host's name or an address", at: name.offset,
            hint: "write it without scheme, brackets and port")
        return nil
    }
}
