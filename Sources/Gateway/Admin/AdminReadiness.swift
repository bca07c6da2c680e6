internal import Bytes
internal import JSON

/// Whether the proxy can decide about requests, and what it lacks.
struct AdminReadiness: Equatable, Sendable {
    /// An issuer that a route needs and that has no keys at all.
    struct Missing: Equatable, Sendable {
        /// Its name in the configuration.
        let issuer: String
        /// Why the last attempt to obtain keys failed; nil before one has ended.
        let fault: String?
    }

    /// Whether no new connections are taken: the process is about to end.
    let isDraining: Bool
    let missing: [Missing]

    var isReady: Bool { !isDraining && missing.isEmpty }

    func write(to output: inout ByteBuffer) {
        output.beginJSONObject()
        output.appendJSONMember("ready", isReady)
        output.appendJSONMember("draining", isDraining)
        output.appendJSONMember("issuersWithoutKeys", arrayOf: missing) { issuer, output in
            output.beginJSONObject()
            output.appendJSONMember("issuer", issuer.issuer)
            if let fault = issuer.fault { output.appendJSONMember("lastFault", fault) }
            output.endJSONObject()
        }
        output.endJSONObject()
    }
}
