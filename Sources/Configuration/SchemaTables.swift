/// Every key of `proxy.json`.
enum SchemaTables {
    private static let mostTime = Duration.seconds(365 * 86400)

    static let root = ObjectSchema(
        "the configuration",
        [
            SchemaKey("$schema", .string, "The schema that editors check this file against."),
            SchemaKey(
                "realm", .string, "The realm that challenges name.", default: #""api""#),
            SchemaKey(
                "identityHeaders", .array(.string),
                "Fields that clients may never send, because back ends believe them; a final * "
                    + "stands for any ending. A list replaces the default.",
                default: """
                    ["Remote-User", "X-Remote-User", "X-User", "X-Original-User", \
                    "X-Auth-Subject", "X-Auth-User", "X-JWT-*", "X-Real-IP", "True-Client-IP", \
                    "Client-Cert", "X-SSL-*"]
                    """),
            SchemaKey(
                "listeners", .array(.object(listener)), "Where clients connect.", isRequired: true),
            SchemaKey(
                "issuers", .map(.object(issuer)), "Who issues tokens, by a name of yours."),
            SchemaKey(
                "upstreams", .map(.object(upstream)), "What stands behind, by a name of yours.",
                isRequired: true),
            SchemaKey(
                "routes", .array(.object(route)),
                "What may be asked for. The order does not matter: the best host and path decide.",
                isRequired: true),
            SchemaKey("limits", .object(limits), "Bounds on what clients send."),
            SchemaKey("timeouts", .object(timeouts), "How long clients may take."),
            SchemaKey(
                "tokenCache", .object(tokenCache), "The cache of verified tokens, each worker's."),
            SchemaKey(
                "workers", .integer(1...1024), "Threads that serve; one for each core if absent."),
            SchemaKey("log", .object(log), "What is written down."),
            SchemaKey(
                "admin", .object(admin), "The listener that tells of the process; none if absent."),
            SchemaKey(
                "stateDirectory", .string,
                "A folder for what survives a restart: the last good keys."),
        ])

    static let listener = ObjectSchema(
        "listeners[]",
        [
            SchemaKey(
                "address", .string, #""host:port", "[::1]:8080" or "unix:/run/bearward.sock"."#,
                isRequired: true),
            SchemaKey(
                "protocols", .array(.choice(["h2", "http/1.1"])),
                "The protocols spoken, in order of preference.", default: #"["h2", "http/1.1"]"#),
            SchemaKey("tls", .object(listenerTLS), "How TLS is ended; none if absent."),
            SchemaKey(
                "trustedProxies", .array(.string),
                "Networks whose X-Forwarded-* and Forwarded fields are believed and extended; "
                    + #""unix" for a unix peer."#, default: "[]"),
            SchemaKey(later: "proxyProtocol"),
        ])

    static let issuer = ObjectSchema(
        "issuers.NAME",
        [
            SchemaKey(
                "issuer", .string,
                "The exact iss of its tokens; with tenants, a URL where {tenant} is a segment.",
                isRequired: true),
            SchemaKey("audiences", .array(.string), "A token's aud must name one of these."),
            SchemaKey(
                "algorithms",
                .array(
                    .choice([
                        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
                        "ES512", "EdDSA", "Ed25519", "Ed448", "HS256", "HS384", "HS512",
                    ])),
                "Admitted signature algorithms; those that fit the keys if absent."),
            SchemaKey(
                "leeway", .duration(.zero ... .seconds(300)), "By how much clocks may differ.",
                default: #""60s""#),
            SchemaKey(
                "maxLifetime", .duration(.seconds(1)...mostTime),
                "Most time between iat and exp."),
            SchemaKey(
                "types", .array(.either([.string, .null])),
                "Admitted typ values; null stands for an absent one.",
                default: #"[null, "JWT", "at+jwt"]"#),
            SchemaKey(
                "requiredClaims", .array(.string),
                "Claims that must be there besides exp; names or JSON Pointers.", default: "[]"),
            SchemaKey(
                "scopeClaims", .array(.string),
                "Claims that carry scopes; names or JSON Pointers.",
                default: #"["scope", "scp"]"#),
            SchemaKey(
                "unsafeNoAudience", .boolean,
                "Takes tokens without aud: tokens meant for others pass.", default: "false"),
            SchemaKey(
                "unsafeNoExpiry", .boolean, "Takes tokens without exp: they last for ever.",
                default: "false"),
            SchemaKey(
                "keys", .object(keys), "Where its keys come from: exactly one source.",
                isRequired: true),
            SchemaKey(
                "tenants", .object(tenants), "Which tenants the {tenant} of issuer stands for."),
        ])

    static let upstream = ObjectSchema(
        "upstreams.NAME",
        [
            SchemaKey(
                "endpoints", .array(.string),
                #""http://host:port", "https://…", "h2c://…" or "unix:/path"."#,
                isRequired: true),
            SchemaKey(
                "tls", .object(upstreamTLS), "How endpoints that begin with https:// are met."),
            SchemaKey(
                "balance", .choice(["round-robin", "least-connections"]),
                "How an endpoint is chosen.", default: #""round-robin""#),
            SchemaKey("timeouts", .object(upstreamTimeouts), "How long it may take."),
            SchemaKey(
                "maxConnections", .integer(1...1_000_000),
                "Most connections over all workers; none if absent."),
            SchemaKey(
                "retries", .integer(0...10), "How often another connection is tried.",
                default: "1"),
            SchemaKey(
                "resolveInterval", .duration(.seconds(1)...mostTime),
                "How often names are resolved again.", default: #""30s""#),
            SchemaKey(later: "healthCheck"),
        ])

    static let upstreamTimeouts = ObjectSchema(
        "upstreams.NAME.timeouts",
        [
            SchemaKey(
                "connect", .duration(.milliseconds(1)...mostTime), "To connect.",
                default: #""5s""#),
            SchemaKey(
                "response", .duration(.milliseconds(1)...mostTime),
                "From the request sent to the response's head.", default: #""60s""#),
            SchemaKey(
                "idle", .duration(.zero...mostTime), "Unused in the pool.", default: #""60s""#),
            SchemaKey(
                "stream", .duration(.milliseconds(1)...mostTime),
                "Silence in a response's body or a tunnel.", default: #""10m""#),
        ])

    static let route = ObjectSchema(
        "routes[]",
        [
            SchemaKey("name", .string, "What logs call it; host and path if absent."),
            SchemaKey(
                "path", .string,
                "Exact; {name} stands for one segment, a last /** for the path and all below.",
                isRequired: true),
            SchemaKey("host", .string, #"A host name or "*.example.com"; any if absent."#),
            SchemaKey(
                "methods", .array(.string),
                "The methods; GET brings HEAD. If absent, all that no other route names here."
            ),
            SchemaKey(
                "access", .choice(["token", "optional", "public"]),
                "Whether a token is needed, checked where there is one, or never read.",
                default: #""token""#),
            SchemaKey(
                "mode", .choice(["enforce", "audit"]),
                "audit lets pass, and logs, what token, scope and claim rules would refuse.",
                default: #""enforce""#),
            SchemaKey("issuers", .array(.string), "Names of the issuers admitted; all if absent."),
            SchemaKey("audiences", .array(.string), "The token's aud must name one of these too."),
            SchemaKey(
                "scopes", .either([.array(.string), .object(scopes)]),
                "Scopes the token needs: all of a list, or all and any of."),
            SchemaKey(
                "claims", .map(.either([.scalar, .object(claim)])),
                "What claims must be, by name or JSON Pointer."),
            SchemaKey("upstream", .string, "The upstream's name.", isRequired: true),
            SchemaKey("rewrite", .object(rewrite), "How the path changes on its way."),
            SchemaKey(
                "upstreamHost", .string, #"The Host sent: "preserve", "endpoint" or a name."#,
                default: #""preserve""#),
            SchemaKey(
                "forwardToken", .boolean, "Whether Authorization is forwarded.",
                default: "false"),
            SchemaKey(
                "claimHeaders", .map(.string),
                "Request fields that carry a claim, given by name or JSON Pointer."),
            SchemaKey(
                "requestHeaders", .object(fieldEdits("requestHeaders")), "Changed request fields."),
            SchemaKey(
                "responseHeaders", .object(fieldEdits("responseHeaders")),
                "Changed response fields."),
            SchemaKey(
                "timeouts", .object(routeTimeouts), "Deadlines in place of the upstream's."),
            SchemaKey("maxBody", .size(0...(1 << 50)), "Longest request body; no bound if absent."),
            SchemaKey(
                "unsafePaths",
                .array(.choice(["parameters", "encoded-slash", "empty-segments"])),
                "What else its paths may hold; such a path is matched as it stands.",
                default: "[]"),
        ])

    static let scopes = ObjectSchema(
        "scopes",
        [
            SchemaKey("all", .array(.string), "Scopes that are all needed."),
            SchemaKey("any", .array(.string), "Scopes of which one is needed."),
        ])

    static let claim = ObjectSchema(
        "a claim",
        [
            SchemaKey("equals", .anything, "The claim's whole value."),
            SchemaKey("in", .array(.scalar), "The claim is a scalar of this list."),
            SchemaKey("contains", .scalar, "The claim is an array with this element."),
            SchemaKey("present", .boolean, "Whether the claim is there and not null."),
        ])

    static let rewrite = ObjectSchema(
        "rewrite",
        [
            SchemaKey("stripPrefix", .string, "Segments taken from the front of the path."),
            SchemaKey("addPrefix", .string, "Segments put before what remains."),
        ])

    private static func fieldEdits(_ name: String) -> ObjectSchema {
        ObjectSchema(
            name,
            [
                SchemaKey("set", .map(.string), "Fields written, in place of any that came."),
                SchemaKey("remove", .array(.string), "Fields removed."),
            ])
    }

    static let requestHeaders = fieldEdits("requestHeaders")
    static let responseHeaders = fieldEdits("responseHeaders")

    static let routeTimeouts = ObjectSchema(
        "routes[].timeouts",
        [
            SchemaKey("connect", .duration(.milliseconds(1)...mostTime), "To connect."),
            SchemaKey(
                "response", .duration(.milliseconds(1)...mostTime),
                "From the request sent to the response's head."),
            SchemaKey(
                "stream", .duration(.milliseconds(1)...mostTime),
                "Silence in a response's body or a tunnel."),
        ])

    static let limits = ObjectSchema(
        "limits",
        [
            SchemaKey(
                "requestHead", .size(1024...(1 << 20)), "A request's head.",
                default: #""64KiB""#),
            SchemaKey(
                "requestFields", .integer(10...1000), "Fields in a request.", default: "100"),
            SchemaKey("token", .size(256...(1 << 20)), "A token.", default: #""16KiB""#),
            SchemaKey(
                "connections", .integer(1...10_000_000),
                "Clients' connections at a time; as many as descriptors last if absent."),
            SchemaKey(
                "concurrentStreams", .integer(1...10_000),
                "Requests at a time on a connection of HTTP/2.", default: "100"),
        ])

    static let timeouts = ObjectSchema(
        "timeouts",
        [
            SchemaKey(
                "head", .duration(.milliseconds(1)...mostTime),
                "From a request's first byte, or a new connection's start, to the head's end.",
                default: #""10s""#),
            SchemaKey(
                "idle", .duration(.milliseconds(1)...mostTime), "Between requests.",
                default: #""75s""#),
            SchemaKey(
                "body", .duration(.milliseconds(1)...mostTime),
                "Without a byte moved in either direction.", default: #""60s""#),
            SchemaKey(
                "drain", .duration(.zero...mostTime), "For exchanges to finish when stopping.",
                default: #""30s""#),
        ])

    static let tokenCache = ObjectSchema(
        "tokenCache",
        [
            SchemaKey(
                "entries", .integer(0...10_000_000), "Most tokens.", default: "10000"),
            SchemaKey("size", .size(0...(1 << 32)), "Most memory.", default: #""16MiB""#),
            SchemaKey(
                "maxAge", .duration(.zero ... .seconds(86400)), "Most time since verification.",
                default: #""5m""#),
        ])

    static let log = ObjectSchema(
        "log",
        [
            SchemaKey(
                "level",
                .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
                "The least severe events written.", default: #""info""#),
            SchemaKey(
                "access", .string, #"Where a line a request goes: "stdout", "off" or a file."#,
                default: #""stdout""#),
        ])
}
