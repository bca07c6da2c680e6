package import OpenSSL

extension Configuration {
    /// How a listener ends TLS.
    package struct ListenerTLS: Equatable, Sendable {
        /// The files of one certificate, the configuration's folder in front where they were
        /// relative.
        package struct CertificateFiles: Equatable, Sendable {
            /// The chain, its leaf first, as PEM.
            package let certificate: String
            /// The leaf's key, as PEM.
            package let privateKey: String
            /// An OCSP response about the leaf, as DER.
            package let ocsp: String?
        }

        /// At least one; the first is for names that no other has.
        package let certificates: [CertificateFiles]
        /// Who issues clients' certificates, as PEM; nil where clients are not asked for one.
        package let clientCA: String?
        /// What the files held when the configuration was read, and what is admitted.
        package let settings: TLSServerContext.Settings
        /// The request field for the client certificate's subject.
        package let subjectHeader: String?
        /// The request field for the client certificate's thumbprint.
        package let thumbprintHeader: String?
    }
}

extension Configuration.ListenerTLS {
    /// Every file, in the order of the configuration.
    package var files: [String] {
        certificates.flatMap { [$0.certificate, $0.privateKey] + [$0.ocsp].compactMap { $0 } }
            + [clientCA].compactMap { $0 }
    }

    /// The settings with what the files hold now; `read` gives a file's contents.
    package func settings<Fault: Error>(
        reading read: (String) throws(Fault) -> [UInt8]
    ) throws(Fault) -> TLSServerContext.Settings {
        var identities: [TLSIdentity] = []
        for files in certificates {
            identities.append(
                TLSIdentity(
                    certificateChain: try read(files.certificate),
                    privateKey: try read(files.privateKey),
                    staple: try files.ocsp.map(read)))
        }
        return TLSServerContext.Settings(
            identities: identities, clientCA: try clientCA.map(read),
            clientCertificates: settings.clientCertificates,
            minimumVersion: settings.minimumVersion, protocols: settings.protocols)
    }
}
