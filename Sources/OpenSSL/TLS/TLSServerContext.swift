internal import COpenSSL

/// What a listener needs to accept TLS connections. Belongs to one worker; a reload makes a new
/// one, and sessions keep the one they began with.
@safe
package final class TLSServerContext {
    /// Whether clients are asked for a certificate.
    package enum ClientCertificates: Sendable, Equatable {
        case none
        case optional
        case required
    }

    /// What a listener is configured to do: plain data that crosses threads.
    package struct Settings: Sendable, Equatable {
        /// The first answers to names that none is for.
        package var identities: [TLSIdentity]
        /// PEM: the authorities that issue clients' certificates.
        package var clientCA: [UInt8]?
        /// Whether clients are asked for a certificate.
        package var clientCertificates: ClientCertificates
        /// The oldest version spoken.
        package var minimumVersion: TLSVersion
        /// In order of preference; empty to leave ALPN out.
        package var protocols: [ApplicationProtocol]

        /// Settings for a listener.
        package init(
            identities: [TLSIdentity], clientCA: [UInt8]? = nil,
            clientCertificates: ClientCertificates = .none, minimumVersion: TLSVersion = .tls12,
            protocols: [ApplicationProtocol] = [.http2, .http11]
        ) {
            self.identities = identities
            self.clientCA = clientCA
            self.clientCertificates = clientCertificates
            self.minimumVersion = minimumVersion
            self.protocols = protocols
        }
    }

    private let tickets: TLSTicketKeys
    private let method: StreamMethod
    /// One for each group of certificates; the first is where sessions begin.
    private let contexts: [CertificateContext]
    private let names: ServerNames

    /// Checks and loads everything.
    package init(_ settings: Settings, tickets: TLSTicketKeys) throws(TLSMaterialError) {
        guard !settings.identities.isEmpty else { throw .noIdentity }
        var identities: [LoadedIdentity] = []
        for (index, identity) in settings.identities.enumerated() {
            identities.append(try LoadedIdentity(identity, index: index))
        }
        let groups = IdentityGroups(identities.map { ($0.names, $0.keyType) })
        var contexts: [CertificateContext] = []
        for group in groups.groups {
            contexts.append(
                try CertificateContext(
                    group.map { (index: $0, identities[$0]) }, settings, tickets: tickets))
        }
        try Self.askClients(contexts, settings)
        self.contexts = contexts
        names = ServerNames(groups.names)
        self.tickets = tickets
        method = try StreamMethod()
        if contexts.count > 1 { chooseByName() }
    }

    /// A server's end of a connection on a non-blocking socket, which stays the caller's and must
    /// outlive the session.
    package func makeSession(descriptor: Int32) throws(OpenSSLError) -> TLSSession {
        let stream = TLSStream(descriptor)
        guard
            let ssl = unsafe copenssl_accepting(
                contexts[0].pointer, method.pointer, stream.pointer)
        else { throw refusal() }
        return unsafe TLSSession(owning: ssl, stream, keeping: self)
    }

    private static func askClients(
        _ contexts: [CertificateContext], _ settings: Settings
    ) throws(TLSMaterialError) {
        if settings.clientCertificates == .none { return }
        guard let authorities = settings.clientCA else { throw .noClientAuthority }
        let store = try TrustStore.parsing(authorities)
        let isRequired = settings.clientCertificates == .required
        for context in contexts {
            let done = unsafe copenssl_ask_clients(
                context.pointer, store.pointer, store.subjects, isRequired ? 1 : 0)
            guard done == 1 else { throw .refused("the client authorities") }
        }
    }

    /// Sessions begin with the first context; the name that a client asks for moves them on.
    private func chooseByName() {
        // Sessions keep this object alive, and only they call back.
        unsafe copenssl_on_server_name(
            contexts[0].pointer,
            { ssl, _, context in
                guard let ssl = unsafe ssl, let context = unsafe context else {
                    return SSL_TLSEXT_ERR_NOACK
                }
                let server = unsafe Unmanaged<TLSServerContext>.fromOpaque(context)
                return unsafe server._withUnsafeGuaranteedRef { unsafe $0.choose(for: ssl) }
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func choose(for ssl: OpaquePointer) -> Int32 {
        guard let name = unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else {
            return SSL_TLSEXT_ERR_NOACK
        }
        // OpenSSL ends the name with NUL and refuses names that have one inside.
        let octets = unsafe UnsafeRawBufferPointer(start: name, count: copenssl_length(name))
        guard let place = unsafe names.context(for: Span(_unsafeBytes: octets)) else {
            return SSL_TLSEXT_ERR_NOACK
        }
        // Also for the first: a second ClientHello may change its mind.
        if unsafe SSL_set_SSL_CTX(ssl, contexts[place].pointer) == nil {
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }
        return SSL_TLSEXT_ERR_OK
    }
}
