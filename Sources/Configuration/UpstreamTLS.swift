package import OpenSSL

extension Configuration {
    /// How an upstream's `https` endpoints are spoken to.
    package struct UpstreamTLS: Equatable, Sendable {
        /// Who issues the endpoints' certificates, as PEM; nil for whom the system trusts.
        package let ca: String?
        /// The chain shown to endpoints that ask for one, its leaf first, as PEM.
        package let certificate: String?
        /// The leaf's key, as PEM; there exactly where `certificate` is.
        package let privateKey: String?
        /// The name that is sent and that the certificate must have; nil for the endpoint's host.
        package let serverName: String?
        /// What the files held when the configuration was read, and what is checked.
        package let settings: TLSClientContext.Settings
    }
}

extension Configuration.UpstreamTLS {
    /// What is offered to every endpoint.
    static let protocols: [ApplicationProtocol] = [.http2, .http11]

    /// Every file, in the order of the configuration.
    package var files: [String] { [ca, certificate, privateKey].compactMap { $0 } }

    /// The settings with what the files hold now; `read` gives a file's contents.
    package func settings<Fault: Error>(
        reading read: (String) throws(Fault) -> [UInt8]
    ) throws(Fault) -> TLSClientContext.Settings {
        var identity: TLSIdentity?
        if let certificate, let privateKey {
            identity = TLSIdentity(
                certificateChain: try read(certificate), privateKey: try read(privateKey),
                staple: nil)
        }
        return TLSClientContext.Settings(
            trust: try ca.map(read), identity: identity, verifiesPeer: settings.verifiesPeer,
            protocols: settings.protocols)
    }
}
