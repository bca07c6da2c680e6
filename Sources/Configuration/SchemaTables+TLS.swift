/// The keys about TLS.
extension SchemaTables {
    static let listenerTLS = ObjectSchema(
        "listeners[].tls",
        [
            SchemaKey(
                "certificates", .array(.object(certificate)),
                "What clients are shown, by the name they ask for; the first for any other name.",
                isRequired: true),
            SchemaKey(
                "clientCA", .string, "A PEM file with the issuers of clients' certificates."),
            SchemaKey(
                "clientCertificate", .choice(["none", "optional", "required"]),
                "Whether clients are asked for a certificate, and whether they need one.",
                default: #""none""#),
            SchemaKey(
                "clientCertificateHeaders", .object(clientCertificateHeaders),
                "Request fields that carry the client's verified certificate."),
            SchemaKey(
                "minimumVersion", .choice(["1.2", "1.3"]), "The oldest version of TLS.",
                default: #""1.2""#),
        ])

    static let certificate = ObjectSchema(
        "certificates[]",
        [
            SchemaKey(
                "certificate", .string, "A PEM file with the chain, its leaf first.",
                isRequired: true),
            SchemaKey(
                "privateKey", .string, "A PEM file with the leaf's key, not encrypted.",
                isRequired: true),
            SchemaKey("ocsp", .string, "A DER file with an OCSP response about the leaf."),
        ])

    static let clientCertificateHeaders = ObjectSchema(
        "clientCertificateHeaders",
        [
            SchemaKey("subject", .string, "The field for the subject, as RFC 4514 writes it."),
            SchemaKey(
                "thumbprint", .string,
                "The field for the SHA-256 of the certificate, base64url without padding."),
        ])

    static let upstreamTLS = ObjectSchema(
        "upstreams.NAME.tls",
        [
            SchemaKey(
                "ca", .string,
                "A PEM file with the only issuers trusted; those that the system trusts if absent."
            ),
            SchemaKey(
                "certificate", .string,
                "A PEM file with the chain shown to the upstream, its leaf first."),
            SchemaKey(
                "privateKey", .string, "A PEM file with the leaf's key, not encrypted."),
            SchemaKey(
                "serverName", .string,
                "The name asked for and checked; the endpoint's host if absent."),
            SchemaKey(
                "unsafeNoVerification", .boolean,
                "Takes any certificate: whoever is in between reads and changes everything.",
                default: "false"),
        ])
}
