internal import Bytes
internal import JSON

/// What became of the wish to fetch one key set now.
struct AdminRefresh: Equatable, Sendable {
    enum Outcome: String, Sendable {
        /// A fetch was started.
        case started
        /// One was under way already, and tells the same.
        case joined
        /// One was started by hand less than a second ago.
        case tooSoon
        /// The keys are not fetched: they stand in the configuration or in a file that is watched.
        case local
    }

    /// The issuer's name in the configuration.
    let issuer: String
    /// The tenant, where the issuer is one for many.
    let tenant: String?
    let outcome: Outcome

    static func write(_ sets: [AdminRefresh], to output: inout ByteBuffer) {
        output.beginJSONObject()
        output.appendJSONMember("sets", arrayOf: sets) { set, output in
            output.beginJSONObject()
            output.appendJSONMember("issuer", set.issuer)
            if let tenant = set.tenant { output.appendJSONMember("tenant", tenant) }
            output.appendJSONMember("outcome", set.outcome.rawValue)
            output.endJSONObject()
        }
        output.endJSONObject()
    }
}

extension AdminRefresh {
    /// Reads what `write` wrote; nil for anything else.
    static func read(_ text: [UInt8]) -> [AdminRefresh]? {
        let value = try? JSONValue(parsing: text.span)
        guard let sets = value?.object?["sets"]?.array else { return nil }
        let read = sets.compactMap { set -> AdminRefresh? in
            guard let issuer = set.object?["issuer"]?.string,
                let word = set.object?["outcome"]?.string, let outcome = Outcome(rawValue: word)
            else { return nil }
            return AdminRefresh(
                issuer: issuer, tenant: set.object?["tenant"]?.string, outcome: outcome)
        }
        return read.count == sets.count ? read : nil
    }
}
