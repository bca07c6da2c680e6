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
        let identity = identity(reader)
        let name = serverName(reader)
        let settings = TLSClientContext.Settings(
            trust: ca?.contents, identity: identity?.identity,
            verifiesPeer: !reader.boolean("unsafeNoVerification"),
            protocols: Configuration.UpstreamTLS.protocols)
        if let ca { check(settings, ca, reader.diagnostics) }
        return Configuration.UpstreamTLS(
            ca: ca?.path, certificate: identity?.certificate.path,
            privateKey: identity?.privateKey.path, serverName: name, settings: settings)
    }

    /// The certificate to show, judged by itself, so that what is wrong with `ca` is found too; nil
    /// where there is none or a problem.
    private func identity(_ reader: ObjectReader) -> IdentityFiles? {
        let certificate = files.material("certificate", of: reader)
        let privateKey = files.material("privateKey", of: reader)
        for (one, other) in [("certificate", "privateKey"), ("privateKey", "certificate")] {
            if let value = reader.value(one), !reader.has(other) {
                reader.diagnostics.error("\"\(one)\" needs \"\(other)\"", at: value.offset)
            }
        }
        guard let certificate, let privateKey else { return nil }
        let files = IdentityFiles(certificate: certificate, privateKey: privateKey, ocsp: nil)
        let settings = TLSClientContext.Settings(
            trust: nil, identity: files.identity, verifiesPeer: false, protocols: [])
        do throws(TLSMaterialError) {
            _ = try TLSClientContext(settings)
            return files
        } catch {
            files.report(error, reader.diagnostics)
            return nil
        }
    }

    /// Makes a context of a certificate that is good: what is left to go wrong is `ca`. Without it
    /// there is nothing to check, and the system's trust store takes its time to read.
    private func check(
        _ settings: TLSClientContext.Settings, _ ca: MaterialFile, _ diagnostics: Diagnostics
    ) {
        do throws(TLSMaterialError) {
            _ = try TLSClientContext(settings)
        } catch {
            diagnostics.error("\"ca\": \(error)", at: ca.offset)
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
