internal import COpenSSL

/// Owns an `SSL_CTX` with certificates of different kinds of keys for the same names.
@safe
final class CertificateContext {
    let pointer: OpaquePointer

    /// What the callbacks read; the identities and protocols that it points to are owned here too.
    private let record: UnsafeMutablePointer<copenssl_server>
    private let identities: [LoadedIdentity]
    private let tickets: TLSTicketKeys

    init(
        _ identities: [(index: Int, LoadedIdentity)], _ settings: TLSServerContext.Settings,
        tickets: TLSTicketKeys
    ) throws(TLSMaterialError) {
        self.identities = identities.map(\.1)
        self.tickets = tickets
        let record = unsafe Self.makeRecord(self.identities, settings.protocols, tickets)
        let scope = Self.sessionScope(settings)
        let created = unsafe scope.withUnsafeBufferPointer { scope in
            unsafe copenssl_server_context(
                record, settings.minimumVersion == .tls13 ? 1 : 0, scope.baseAddress,
                UInt32(scope.count))
        }
        guard let created = unsafe created else {
            unsafe Self.free(record)
            throw .refused("the listener's TLS settings")
        }
        unsafe self.record = unsafe record
        unsafe pointer = unsafe created
        for (index, identity) in identities {
            let problem = unsafe copenssl_use_identity(pointer, identity.record)
            if let error = TLSMaterialError(problem, identity: index) { throw error }
        }
    }

    deinit {
        // Sessions hold references of their own, and keep this object alive with its record.
        unsafe SSL_CTX_free(pointer)
        unsafe Self.free(record)
    }

    @unsafe
    private static func makeRecord(
        _ identities: [LoadedIdentity], _ protocols: [ApplicationProtocol], _ tickets: TLSTicketKeys
    ) -> UnsafeMutablePointer<copenssl_server> {
        let names = ApplicationProtocol.list(protocols)
        let list = UnsafeMutablePointer<UInt8>.allocate(capacity: max(names.count, 1))
        for i in names.indices { unsafe list[i] = names[i] }
        let places = UnsafeMutablePointer<UnsafePointer<copenssl_identity>?>.allocate(
            capacity: identities.count)
        for i in identities.indices {
            unsafe (places + i).initialize(to: UnsafePointer(identities[i].record))
        }
        let record = UnsafeMutablePointer<copenssl_server>.allocate(capacity: 1)
        unsafe record.initialize(
            to: copenssl_server(
                tickets: tickets.record, protocols: list, protocols_length: UInt32(names.count),
                identities: places, identity_count: identities.count))
        return unsafe record
    }

    @unsafe
    private static func free(_ record: UnsafeMutablePointer<copenssl_server>) {
        unsafe record.pointee.protocols?.deallocate()
        unsafe record.pointee.identities?.deallocate()
        unsafe record.deallocate()
    }

    /// Tickets are taken only where the same rules hold for clients: who a client is, or that it is
    /// nobody, was decided under those.
    private static func sessionScope(_ settings: TLSServerContext.Settings) -> [UInt8] {
        let mode: UInt8 =
            switch settings.clientCertificates {
            case .none: 0
            case .optional: 1
            case .required: 2
            }
        let rules = [mode] + (mode == 0 ? [] : settings.clientCA ?? [])
        return SHA256.digest(of: rules.span)
    }
}

/// Owns the `BIO_METHOD` of a context's sessions.
@safe
final class StreamMethod {
    let pointer: OpaquePointer

    init() throws(TLSMaterialError) {
        guard let method = unsafe copenssl_stream_method() else { throw .refused("out of memory") }
        unsafe pointer = unsafe method
    }

    deinit {
        unsafe BIO_meth_free(pointer)
    }
}
