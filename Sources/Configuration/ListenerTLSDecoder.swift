import HTTP
import JSON
import OpenSSL

/// `listeners[].tls`.
struct ListenerTLSDecoder {
    let files: FileAccess
    /// Every request field that a route writes, where the configuration names it.
    let fieldsOfRoutes: [Located<String>]

    /// The fields that carry a client's certificate.
    private struct Headers {
        var subject: Located<String>?
        var thumbprint: Located<String>?
    }

    /// The listener's `tls`; nil where it has none, or one with problems.
    func decode(
        _ listener: ObjectReader, protocols: [ApplicationProtocol]
    ) -> Configuration.ListenerTLS? {
        guard let value = listener.value("tls"),
            let reader = ObjectReader(
                value, as: SchemaTables.listenerTLS, listener.diagnostics)
        else { return nil }
        let identities = identities(reader)
        let mode = clientCertificates(reader)
        let clientCA = files.material("clientCA", of: reader)
        let headers = headers(reader, mode)
        let version = reader.choice("minimumVersion")
        if identities == nil, let clientCA { checkAlone(clientCA, reader) }
        guard let identities, let mode, let version, mode == .none || clientCA != nil else {
            return nil
        }
        let settings = TLSServerContext.Settings(
            identities: identities.map(\.identity), clientCA: clientCA?.contents,
            clientCertificates: mode,
            minimumVersion: version == "1.3" ? .tls13 : .tls12, protocols: protocols)
        check(settings, clientCA, reader)
        return Configuration.ListenerTLS(
            certificates: identities.map {
                .init(
                    certificate: $0.certificate.path, privateKey: $0.privateKey.path,
                    ocsp: $0.ocsp?.path)
            },
            clientCA: clientCA?.path, settings: settings, subjectHeader: headers.subject?.value,
            thumbprintHeader: headers.thumbprint?.value)
    }

    /// The certificates; nil where there is none or one of them has a problem.
    private func identities(_ reader: ObjectReader) -> [IdentityFiles]? {
        guard reader.has("certificates"), let elements = reader.elements("certificates") else {
            return nil
        }
        if elements.isEmpty {
            reader.diagnostics.error(
                "\"certificates\" is empty",
                at: reader.value("certificates")?.offset ?? reader.offset)
            return nil
        }
        let identities = elements.compactMap { identity($0, reader.diagnostics) }
        return identities.count == elements.count ? identities : nil
    }

    /// One of the certificates, judged by itself, so that what is wrong with the next is found too.
    private func identity(_ value: JSONValue, _ diagnostics: Diagnostics) -> IdentityFiles? {
        guard let reader = ObjectReader(value, as: SchemaTables.certificate, diagnostics) else {
            return nil
        }
        let certificate = files.material("certificate", of: reader)
        let privateKey = files.material("privateKey", of: reader)
        let ocsp = files.material("ocsp", of: reader)
        guard let certificate, let privateKey, ocsp != nil || !reader.has("ocsp") else {
            return nil
        }
        let files = IdentityFiles(certificate: certificate, privateKey: privateKey, ocsp: ocsp)
        let settings = TLSServerContext.Settings(
            identities: [files.identity], clientCA: nil, clientCertificates: .none,
            minimumVersion: .tls12, protocols: [])
        do throws(TLSMaterialError) {
            _ = try TLSServerContext(settings, tickets: TLSTicketKeys())
            return files
        } catch {
            files.report(error, diagnostics)
            return nil
        }
    }

    /// Makes a context of certificates that are each good: what is left to go wrong is the file of
    /// clients' issuers.
    private func check(
        _ settings: TLSServerContext.Settings, _ clientCA: MaterialFile?,
        _ reader: ObjectReader
    ) {
        do throws(TLSMaterialError) {
            _ = try TLSServerContext(settings, tickets: TLSTicketKeys())
        } catch {
            if let clientCA {
                reader.diagnostics.error("\"clientCA\": \(error)", at: clientCA.offset)
            } else {
                reader.diagnostics.error("\"tls\": \(error)", at: reader.offset)
            }
        }
    }

    /// Judges the file of clients' issuers where no context can be made, since the certificates
    /// have problems of their own.
    private func checkAlone(_ clientCA: MaterialFile, _ reader: ObjectReader) {
        do throws(TLSMaterialError) {
            _ = try TLSClientContext(TLSClientContext.Settings(trust: clientCA.contents))
        } catch {
            reader.diagnostics.error("\"clientCA\": \(error)", at: clientCA.offset)
        }
    }

    // MARK: Clients' certificates

    private func clientCertificates(
        _ reader: ObjectReader
    ) -> TLSServerContext.ClientCertificates? {
        guard let choice = reader.choice("clientCertificate") else { return nil }
        let clientCA = reader.value("clientCA")
        if choice == "none" {
            if let clientCA {
                reader.diagnostics.error(
                    "\"clientCA\" needs \"clientCertificate\"", at: clientCA.offset,
                    hint: "write \"clientCertificate\": \"optional\" or \"required\"")
            }
            return TLSServerContext.ClientCertificates.none
        }
        if clientCA == nil {
            reader.diagnostics.error(
                "\"clientCertificate\" needs \"clientCA\"",
                at: reader.value("clientCertificate")?.offset ?? reader.offset)
        }
        return choice == "optional" ? .optional : .required
    }

    private func headers(
        _ reader: ObjectReader, _ mode: TLSServerContext.ClientCertificates?
    ) -> Headers {
        var headers = Headers()
        guard let value = reader.value("clientCertificateHeaders"),
            let names = ObjectReader(
                value, as: SchemaTables.clientCertificateHeaders, reader.diagnostics)
        else { return headers }
        if mode == TLSServerContext.ClientCertificates.none {
            reader.diagnostics.error(
                "\"clientCertificateHeaders\" needs \"clientCertificate\"", at: value.offset,
                hint: "write \"clientCertificate\": \"optional\" or \"required\"")
        }
        headers.subject = header("subject", names)
        headers.thumbprint = header("thumbprint", names)
        if let subject = headers.subject, let thumbprint = headers.thumbprint,
            FieldNameRules.comparable(subject.value) == FieldNameRules.comparable(thumbprint.value)
        {
            reader.diagnostics.error(
                "back ends take \(thumbprint.value) for the same field as \(subject.value)",
                at: thumbprint.offset, other: subject.offset)
        }
        return headers
    }

    private func header(_ key: String, _ reader: ObjectReader) -> Located<String>? {
        guard let name = reader.string(key) else { return nil }
        let isAuthorization = FieldNameRules.kind(name.value) == .authorization
        if let fault = isAuthorization
            ? "Authorization carries no certificate" : FieldNameRules.faultInRequest(name.value)
        {
            reader.diagnostics.error(fault, at: name.offset)
        }
        let own = FieldNameRules.comparable(name.value)
        if let twin = fieldsOfRoutes.first(where: {
            FieldNameRules.comparable($0.value) == own
        }) {
            reader.diagnostics.error(
                "a route writes \(twin.value) too,", at: name.offset, other: twin.offset)
        }
        return name
    }
}
