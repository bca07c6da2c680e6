import OpenSSL

/// The files of one certificate, read.
struct IdentityFiles {
    let certificate: MaterialFile
    let privateKey: MaterialFile
    let ocsp: MaterialFile?

    /// What the files hold.
    var identity: TLSIdentity {
        TLSIdentity(
            certificateChain: certificate.contents, privateKey: privateKey.contents,
            staple: ocsp?.contents)
    }

    /// Reports what is wrong with the files, at the one that is to blame.
    func report(_ error: TLSMaterialError, _ diagnostics: Diagnostics) {
        switch error {
        case .noPrivateKey, .badPrivateKey, .encryptedPrivateKey, .keyMismatch:
            diagnostics.error("\"privateKey\": \(error)", at: privateKey.offset)
        case .badStaple:
            diagnostics.error("\"ocsp\": \(error)", at: ocsp?.offset ?? certificate.offset)
        case .noCertificate, .badCertificate, .weakKey, .noIdentity, .badTrustStore,
            .noClientAuthority, .refused:
            diagnostics.error("\"certificate\": \(error)", at: certificate.offset)
        }
    }
}
