import COpenSSL
import OpenSSL

/// A client of OpenSSL's own, on a plain socket BIO, for what ours never does: old versions, narrow
/// abilities, odd offers.
@safe
final class RawClient {
    /// What the client can and asks for.
    struct Abilities {
        var maximum = TLSVersion.tls13
        var minimum: Int32 = 0x0303
        var cipherList = "DEFAULT"
        var signatures: String?
        var groups: String?
        /// ALPN names, in order.
        var protocols: [String] = []
        var serverName: String?
        var asksForStatus = false
        var identity: TLSIdentity?
    }

    let ssl: OpaquePointer
    private let context: OpaquePointer

    init(_ descriptor: Int32, _ abilities: Abilities = Abilities()) {
        unsafe context = SSL_CTX_new(TLS_client_method())
        let newest = abilities.maximum == .tls12 ? 0x0303 : 0x0304
        unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(abilities.minimum), nil)
        unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, newest, nil)
        unsafe SSL_CTX_set_cipher_list(context, abilities.cipherList)
        unsafe SSL_CTX_set_security_level(context, 0)
        unsafe Self.setList(context, SSL_CTRL_SET_SIGALGS_LIST, abilities.signatures)
        unsafe Self.setList(context, SSL_CTRL_SET_GROUPS_LIST, abilities.groups)
        let offer = abilities.protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        if !offer.isEmpty { unsafe SSL_CTX_set_alpn_protos(context, offer, UInt32(offer.count)) }
        unsafe ssl = SSL_new(context)
        unsafe SSL_set_fd(ssl, descriptor)
        unsafe SSL_set_connect_state(ssl)
        if let name = abilities.serverName { set(SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, name) }
        if let identity = abilities.identity { use(identity) }
        if abilities.asksForStatus {
            unsafe SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_TYPE, 1, nil)
        }
    }

    deinit {
        unsafe SSL_free(ssl)
        unsafe SSL_CTX_free(context)
        ERR_clear_error()
    }

    /// One step of the handshake: true once complete, nil once failed.
    func handshake() -> Bool? {
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(ssl)
        let error = unsafe SSL_get_error(ssl, result)
        defer { ERR_clear_error() }
        if result == 1 { return true }
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? false : nil
    }

    /// Goes on in turn with a server until both are done. Returns whether this side was content.
    func shakeHands(with server: TLSSession) -> (
        isComplete: Bool, server: TLSSession.HandshakeOutcome
    ) {
        var ours: Bool? = false
        var theirs = TLSSession.HandshakeOutcome.wantsRead
        for _ in 0..<100 {
            if ours == false { ours = handshake() }
            if !theirs.isOver { theirs = server.handshake() }
        }
        return (ours == true, theirs)
    }

    func write(_ octets: [UInt8]) -> Int32 {
        defer { ERR_clear_error() }
        return unsafe SSL_write(ssl, octets, Int32(octets.count))
    }

    func read() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 16384)
        defer { ERR_clear_error() }
        let count = unsafe SSL_read(ssl, &buffer, Int32(buffer.count))
        return Array(buffer.prefix(Int(max(count, 0))))
    }

    /// Common name or first DNS name are the same for many; the kind of key tells certificates
    /// apart.
    var serverKeyType: Int32 {
        guard let certificate = unsafe SSL_get0_peer_certificate(ssl) else { return 0 }
        return unsafe EVP_PKEY_get_base_id(X509_get0_pubkey(certificate))
    }

    var serverThumbprint: [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        unsafe X509_digest(SSL_get0_peer_certificate(ssl), EVP_sha256(), &digest, nil)
        return digest
    }

    var cipher: String { unsafe String(cString: SSL_CIPHER_get_name(SSL_get_current_cipher(ssl))) }

    var protocolName: String {
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &count)
        return unsafe String(
            decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    /// The OCSP response that came, or nil.
    var staple: [UInt8]? {
        var response: UnsafeMutablePointer<UInt8>?
        let count = unsafe SSL_ctrl(ssl, SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP, 0, &response)
        guard count > 0 else { return nil }
        return unsafe Array(UnsafeBufferPointer(start: response, count: count))
    }

    /// Authorities that the server named when asking for a certificate.
    var authorityCount: Int32 {
        guard let names = unsafe SSL_get0_peer_CA_list(ssl) else { return 0 }
        return unsafe OPENSSL_sk_num(names)
    }

    private func use(_ identity: TLSIdentity) {
        var record = unsafe copenssl_identity()
        let (chain, key) = (identity.certificateChain, identity.privateKey)
        unsafe copenssl_identity_load(&record, chain, chain.count, key, key.count, nil, 0)
        unsafe SSL_use_cert_and_key(ssl, record.certificate, record.key, record.chain, 1)
        unsafe copenssl_identity_free(&record)
    }

    private func set(_ command: Int32, _ number: Int, _ text: String) {
        var copy = Array(text.utf8CString)
        unsafe SSL_ctrl(ssl, command, number, &copy)
    }

    private static func setList(_ context: OpaquePointer, _ command: Int32, _ list: String?) {
        guard let list else { return }
        var copy = Array(list.utf8CString)
        let done = unsafe SSL_CTX_ctrl(context, command, 0, &copy)
        precondition(done == 1)
    }
}

/// SHA-256 of a fixture's first certificate.
func thumbprint(_ name: String) -> [UInt8] {
    let pem = (certificates[name] ?? "").split(separator: "-----END")[0]
    let base64 = pem.split(separator: "\n").dropFirst().joined()
    var der = [UInt8](repeating: 0, count: base64.utf8.count)
    let padding = base64.reversed().prefix { $0 == "=" }.count
    let count = unsafe EVP_DecodeBlock(&der, Array(base64.utf8), Int32(base64.utf8.count))
    der.removeLast(der.count - Int(count) + padding)
    return SHA256.digest(of: der.span)
}
