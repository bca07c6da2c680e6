internal import Bytes
internal import JSON
internal import Keys

/// What `/status` tells: docs/admin.md has it field by field.
struct StatusDocument: Sendable {
    let version: String
    /// Seconds since 1970.
    let startedAt: Int64
    /// Seconds since 1970.
    let now: Int64
    let workers: Int
    /// Clients' connections on all workers.
    let connections: Int
    let readiness: AdminReadiness
    /// Each issuer that is no pattern, in the order of the configuration, and each tenant that was
    /// asked for.
    let issuers: [IssuerKeyStatus]

    func write(to output: inout ByteBuffer) {
        output.beginJSONObject()
        output.appendJSONMember("name", literal: "bearward")
        output.appendJSONMember("version", version)
        output.appendJSONMember("startedAt", Int(startedAt))
        output.appendJSONMember("now", Int(now))
        output.appendJSONMember("ready", readiness.isReady)
        output.appendJSONMember("draining", readiness.isDraining)
        output.appendJSONMember("workers", workers)
        output.appendJSONMember("connections", connections)
        output.appendJSONMember("issuers", arrayOf: issuers) { $0.write(to: &$1) }
        output.endJSONObject()
    }
}
