/// ALPN's names for what this proxy speaks (RFC 7301, section 6).
package enum ApplicationProtocol: Sendable {
    /// `http/1.1`
    case http11
    /// `h2`
    case http2
}

/// Versions of TLS that are spoken.
package enum TLSVersion: Sendable {
    case tls12
    case tls13
}

/// What one side shows of itself: the contents of files, not yet looked at.
package struct TLSIdentity: Sendable, Equatable {
    /// The certificates as PEM, the leaf first.
    package let certificateChain: [UInt8]
    /// The leaf's key as PEM.
    package let privateKey: [UInt8]
    /// An OCSP response about the leaf, as DER.
    package let staple: [UInt8]?

    /// An identity of files' contents.
    package init(certificateChain: [UInt8], privateKey: [UInt8], staple: [UInt8]?) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.staple = staple
    }
}

/// How connections from clients are secured.
package final class TLSServerContext {
    /// Whether clients are asked for a certificate.
    package enum ClientCertificates: Sendable {
        case none
        case optional
        case required
    }

    /// What a context is made of.
    package struct Settings: Sendable, Equatable {
        /// At least one; the first is for names that no other has.
        package let identities: [TLSIdentity]
        /// Who issues clients' certificates, as PEM.
        package let clientCA: [UInt8]?
        /// Whether clients are asked for a certificate.
        package let clientCertificates: ClientCertificates
        /// The oldest version admitted.
        package let minimumVersion: TLSVersion
        /// What is spoken, in order of preference.
        package let protocols: [ApplicationProtocol]

        /// Settings of files' contents.
        package init(
            identities: [TLSIdentity], clientCA: [UInt8]?, clientCertificates: ClientCertificates,
            minimumVersion: TLSVersion, protocols: [ApplicationProtocol]
        ) {
            self.identities = identities
            self.clientCA = clientCA
            self.clientCertificates = clientCertificates
            self.minimumVersion = minimumVersion
            self.protocols = protocols
        }
    }
}

/// How connections to servers are secured.
package final class TLSClientContext {
    /// What a context is made of.
    package struct Settings: Sendable, Equatable {
        /// The only issuers trusted, as PEM; nil for those that the system trusts.
        package let trust: [UInt8]?
        /// What servers are shown that ask for a certificate.
        package let identity: TLSIdentity?
        /// Whether the server's certificate is checked.
        package let verifiesPeer: Bool
        /// What is offered, in order of preference.
        package let protocols: [ApplicationProtocol]

        /// Settings of files' contents.
        package init(
            trust: [UInt8]?, identity: TLSIdentity?, verifiesPeer: Bool,
            protocols: [ApplicationProtocol]
        ) {
            self.trust = trust
            self.identity = identity
            self.verifiesPeer = verifiesPeer
            self.protocols = protocols
        }
    }
}
