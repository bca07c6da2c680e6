/// The keys about issuers' keys, and about what tells of them.
extension SchemaTables {
    static let keys = ObjectSchema(
        "keys",
        [
            SchemaKey("file", .string, "A file with a JWK Set; a changed file is taken up."),
            SchemaKey(
                "url", .string, "Where a JWK Set is fetched; {tenant} stands for a token's tenant."
            ),
            SchemaKey(
                "discovery", .boolean,
                "True to learn from the issuer's metadata where its JWK Set is."),
            SchemaKey("jwks", .anything, "A JWK Set in place."),
            SchemaKey(
                "secretFile", .string,
                "A file whose bytes, less one final newline, are the secret for HS algorithms."),
            SchemaKey(
                "refresh", .duration(.milliseconds(100) ... .seconds(86400)),
                "Most time between two fetches; what the answer says, or 10m, if absent."),
            SchemaKey(
                "timeout", .duration(.milliseconds(100) ... .seconds(60)), "For a whole fetch.",
                default: #""5s""#),
            SchemaKey(
                "maxStale", .duration(.seconds(1) ... .seconds(30 * 86400)),
                "How long keys are used after the last fetch that succeeded.", default: #""24h""#),
            SchemaKey(
                "unknownKeyCooldown", .duration(.milliseconds(100) ... .seconds(3600)),
                "Least time between two fetches that tokens with an unknown key cause.",
                default: #""30s""#),
            SchemaKey(
                "ca", .string,
                "A PEM file with the only issuers of certificates that are trusted; those that the "
                    + "system trusts if absent."),
            SchemaKey(
                "unsafePlainHTTP", .boolean,
                "Fetches in clear text: whoever is in between makes keys of their own.",
                default: "false"),
            SchemaKey(later: "unsafeFetchedSecrets"),
        ])

    /// What makes sense only with `url` or `discovery`.
    static let optionsOfFetching = [
        "refresh", "timeout", "maxStale", "unknownKeyCooldown", "ca", "unsafePlainHTTP",
    ]

    static let tenants = ObjectSchema(
        "tenants",
        [
            SchemaKey("allow", .array(.string), "The tenants admitted; any if absent."),
            SchemaKey(
                "claim", .string, "A claim that must be the tenant; a name or JSON Pointer."),
            SchemaKey(
                "max", .integer(1...10_000), "Most tenants whose keys are held at a time.",
                default: "100"),
        ])

    static let admin = ObjectSchema(
        "admin",
        [
            SchemaKey(
                "address", .string, #""127.0.0.1:9901" or "unix:/run/bearward-admin.sock"."#,
                isRequired: true)
        ])
}
