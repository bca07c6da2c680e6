internal import COpenSSL

/// What connections to an upstream or a key server need. Belongs to one worker.
@safe
package final class TLSClientContext {
    /// What is configured: plain data that crosses threads.
    package struct Settings: Sendable, Equatable {
        /// PEM: the only authorities believed; nil for the system's.
        package var trust: [UInt8]?
        /// What to show a server that asks.
        package var identity: TLSIdentity?
        /// False to believe anybody.
        package var verifiesPeer: Bool
        /// In order of preference; empty to leave ALPN out.
        package var protocols: [ApplicationProtocol]

        /// Settings for connections to one kind of peer.
        package init(
            trust: [UInt8]? = nil, identity: TLSIdentity? = nil, verifiesPeer: Bool = true,
            protocols: [ApplicationProtocol] = []
        ) {
            self.trust = trust
            self.identity = identity
            self.verifiesPeer = verifiesPeer
            self.protocols = protocols
        }
    }

    private let pointer: OpaquePointer
    private let method: StreamMethod

    /// Checks and loads everything.
    package init(_ settings: Settings) throws(TLSMaterialError) {
        let identity: LoadedIdentity? =
            if let given = settings.identity { try LoadedIdentity(given, index: 0) } else { nil }
        let method = try StreamMethod()
        unsafe pointer = try unsafe Self.makeContext(settings)
        self.method = method
        if let identity {
            // The context takes references of its own.
            let problem = unsafe copenssl_use_identity(pointer, identity.record)
            if let error = TLSMaterialError(problem, identity: 0) { throw error }
        }
    }

    deinit {
        unsafe SSL_CTX_free(pointer)
    }

    /// A client's end of a connection on a non-blocking, connected socket, which stays the caller's
    /// and must outlive the session. A session of another name or context is not resumed: it would
    /// let its certificate count for this peer. `offering`: protocols in place of the context's.
    package func makeSession(
        descriptor: Int32, to name: TLSServerName, resuming: TLSResumption? = nil,
        offering protocols: [ApplicationProtocol]? = nil
    ) throws(OpenSSLError) -> TLSSession {
        let stream = TLSStream(descriptor)
        let fits = resuming.map { $0.name == name && $0.context === self } ?? false
        let created = unsafe name.octets.withUnsafeBufferPointer { octets in
            // OpenSSL copies the name, which ends with a NUL.
            unsafe copenssl_connecting(
                pointer, method.pointer, stream.pointer, octets.baseAddress, name.count,
                name.isAddress ? 1 : 0, fits ? resuming?.pointer : nil)
        }
        guard let ssl = unsafe created else { throw refusal() }
        let session = unsafe TLSSession(owning: ssl, stream, keeping: self, client: (self, name))
        if let protocols {
            let list = ApplicationProtocol.list(protocols)
            let refused = unsafe list.withUnsafeBufferPointer {
                // OpenSSL copies the list. It says 0 where it took it.
                unsafe SSL_set_alpn_protos(ssl, $0.baseAddress, UInt32($0.count))
            }
            if refused != 0 { throw refusal() }
        }
        return session
    }

    @unsafe
    private static func makeContext(
        _ settings: Settings
    ) throws(TLSMaterialError) -> OpaquePointer {
        let protocols = ApplicationProtocol.list(settings.protocols)
        let verifies: Int32 = settings.verifiesPeer ? 1 : 0
        let make = { (store: OpaquePointer?) -> OpaquePointer? in
            unsafe protocols.withUnsafeBufferPointer { list in
                unsafe copenssl_client_context(
                    store, verifies, list.baseAddress, UInt32(list.count))
            }
        }
        let created: OpaquePointer?
        if let trust = settings.trust {
            let store = try TrustStore.parsing(trust)
            unsafe created = unsafe make(store.pointer)
        } else {
            unsafe created = unsafe make(nil)
        }
        guard let context = unsafe created else { throw .refused("the client's TLS settings") }
        return unsafe context
    }
}
