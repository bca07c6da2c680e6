internal import Bytes
internal import JSON
internal import Keys

/// What `bearward keys` prints: every key set, as a server tells of it or as a look of our own
/// found it.
package struct KeyReport: Equatable, Sendable {
    /// Whether a running server told it; else the sources were looked at once.
    let isOfServer: Bool
    /// Seconds since 1970.
    let now: Int64
    let sets: [IssuerKeyStatus]

    init(isOfServer: Bool, now: Int64, sets: [IssuerKeyStatus]) {
        self.isOfServer = isOfServer
        self.now = now
        self.sets = sets
    }

    /// Reads the status that a server told; nil where it is none.
    init?(status text: [UInt8]) {
        let value = try? JSONValue(parsing: text.span, maxBytes: AdminCall.maxAnswer)
        guard let members = value?.object, members["name"]?.string == "bearward",
            let now = members["now"]?.number?.integer, let issuers = members["issuers"]?.array
        else { return nil }
        let sets = issuers.compactMap { IssuerKeyStatus($0) }
        guard sets.count == issuers.count else { return nil }
        self.init(isOfServer: true, now: now, sets: sets)
    }

    /// Whether an issuer has no keys at all. A server's tenant may be one that nobody knows; those
    /// that were looked for without one stand in the configuration.
    package var lacksKeys: Bool {
        sets.contains { ($0.tenant == nil || !isOfServer) && $0.state == .none }
    }

    /// The report for programs: one JSON object.
    package var json: String {
        var output = ByteBuffer()
        output.beginJSONObject()
        output.appendJSONMember("server", isOfServer)
        output.appendJSONMember("now", Int(now))
        output.appendJSONMember("issuers", arrayOf: sets) { $0.write(to: &$1) }
        output.endJSONObject()
        return output.withBytes { String(validating: $0) } ?? ""
    }

    /// The report for people.
    package var text: String {
        if sets.isEmpty { return "no key sets" }
        return sets.map { KeyTable($0, now: now, goesOn: isOfServer).text }.joined(
            separator: "\n\n")
    }
}
