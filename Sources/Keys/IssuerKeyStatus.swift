package import Bytes
package import JSON

/// What there is to tell of one set of keys: for `/status`, for `bearward keys` and for metrics.
/// Times are seconds since 1970.
package struct IssuerKeyStatus: Sendable, Equatable {
    /// Where the keys there are came from.
    package enum Origin: String, Sendable, Equatable {
        case fetch, snapshot, file, inline, secret
    }

    /// The last look that failed.
    package struct Fault: Sendable, Equatable {
        /// One word (`KeyFault.word`).
        package let reason: String
        /// A sentence's end (`KeyFault.description`).
        package let text: String
        /// When.
        package let at: Int64
    }

    /// One usable key.
    package struct Key: Sendable, Equatable {
        /// `kid`, cut after 256 bytes. It comes from outside: escape it before it meets a terminal.
        package let keyID: String?
        /// `RSA`, `EC` or `OKP`.
        package let type: String
        /// The curve, or the bits of the modulus.
        package let size: String
        /// `alg`, where the key names one.
        package let algorithm: String?
        /// The thumbprint of RFC 7638 in base64url.
        package let thumbprint: String
        /// When it was first among the keys.
        package let firstSeen: Int64
        /// When a signature was last found right with it.
        package var lastUsed: Int64?
    }

    /// One key that cannot be used.
    package struct Skipped: Sendable, Equatable {
        /// The place among the set's keys, from 0.
        package let index: Int
        /// `kid`, cut after 256 bytes.
        package let keyID: String?
        /// Why, in one word or two (`SkippedKey.Reason.text`).
        package let reason: String
    }

    /// The issuer's name in the configuration.
    package var issuer: String
    /// The tenant, where keys are held for each.
    package var tenant: String?
    /// Where the keys come from, in the configuration's words.
    package var source: String
    /// How much the keys can be trusted.
    package var state: KeySchedule.State = .none
    /// Where those there are came from.
    package var obtainedFrom: Origin?
    /// When the issuer last gave or confirmed them.
    package var fetchedAt: Int64?
    /// Seconds since then.
    package var age: Int64?
    /// When the next look is due; nil while one is in flight, and for keys that are not fetched.
    package var nextFetchAt: Int64?
    /// When the keys will be withdrawn if no look succeeds.
    package var staleUntil: Int64?
    /// The last look that failed, whatever came after it.
    package var lastFault: Fault?
    /// How often what happened.
    package var counts = KeySchedule.Counts()
    /// The usable keys, in the order of the set.
    package var keys: [Key] = []
    /// The others.
    package var skipped: [Skipped] = []

    /// The status of a set of which nothing is known yet.
    package init(issuer: String, tenant: String? = nil, source: String) {
        self.issuer = issuer
        self.tenant = tenant
        self.source = source
    }
}

extension IssuerKeyStatus {
    /// Whether there are keys, or were: some look has succeeded.
    package var hasHadKeys: Bool {
        let ended =
            nextFetchAt == nil
            ? counts.fetches.subtractingReportingOverflow(1).partialValue
            : counts.fetches
        return state != .none || ended > counts.failures
    }

    /// Writes the status as a JSON object, as an element or after a name.
    package func write(to output: inout ByteBuffer) {
        output.beginJSONObject()
        output.appendJSONMember("issuer", issuer)
        output.append("tenant", tenant)
        output.appendJSONMember("source", source)
        output.appendJSONMember("state", state.rawValue)
        output.append("obtainedFrom", obtainedFrom?.rawValue)
        output.append("fetchedAt", fetchedAt)
        output.append("age", age)
        output.append("nextFetchAt", nextFetchAt)
        output.append("staleUntil", staleUntil)
        if let lastFault {
            output.appendJSONName("lastFault")
            output.beginJSONObject()
            output.appendJSONMember("reason", lastFault.reason)
            output.appendJSONMember("text", lastFault.text)
            output.append("at", lastFault.at)
            output.endJSONObject()
        }
        output.appendJSONMember("fetches", counts.fetches)
        output.appendJSONMember("failures", counts.failures)
        output.appendJSONMember("unknownKeyFetches", counts.unknownKeyFetches)
        writeKeys(to: &output)
        output.endJSONObject()
    }

    private func writeKeys(to output: inout ByteBuffer) {
        output.appendJSONMember("keys", arrayOf: keys) { key, output in
            output.beginJSONObject()
            output.append("kid", key.keyID)
            output.appendJSONMember("kty", key.type)
            output.appendJSONMember("size", key.size)
            output.append("alg", key.algorithm)
            output.appendJSONMember("thumbprint", key.thumbprint)
            output.append("firstSeen", key.firstSeen)
            output.append("lastUsed", key.lastUsed)
            output.endJSONObject()
        }
        output.appendJSONMember("skipped", arrayOf: skipped) { key, output in
            output.beginJSONObject()
            output.appendJSONMember("index", key.index)
            output.append("kid", key.keyID)
            output.appendJSONMember("reason", key.reason)
            output.endJSONObject()
        }
    }
}

extension ByteBuffer {
    /// A member that is left out where there is no value.
    fileprivate mutating func append(_ name: StaticString, _ text: String?) {
        if let text { appendJSONMember(name, text) }
    }

    fileprivate mutating func append(_ name: StaticString, _ number: Int64?) {
        if let number { appendJSONMember(name, Int(number)) }
    }
}

extension IssuerKeyStatus {
    /// Reads what `write` wrote; nil for anything else.
    package init?(_ value: JSONValue) {
        guard let members = value.object, let issuer = members["issuer"]?.string,
            let source = members["source"]?.string,
            let state = members["state"]?.string.flatMap(KeySchedule.State.init),
            let keys = members["keys"]?.array, let skipped = members["skipped"]?.array,
            let fetches = members.count("fetches"), let failures = members.count("failures"),
            let unknownKeyFetches = members.count("unknownKeyFetches")
        else { return nil }
        self.init(issuer: issuer, tenant: members["tenant"]?.string, source: source)
        self.state = state
        obtainedFrom = members["obtainedFrom"]?.string.flatMap(Origin.init)
        fetchedAt = members.time("fetchedAt")
        age = members.time("age")
        nextFetchAt = members.time("nextFetchAt")
        staleUntil = members.time("staleUntil")
        lastFault = members["lastFault"]?.object.flatMap { Fault($0) }
        counts.fetches = fetches
        counts.failures = failures
        counts.unknownKeyFetches = unknownKeyFetches
        self.keys = keys.compactMap { $0.object.flatMap { Key($0) } }
        self.skipped = skipped.compactMap { $0.object.flatMap { Skipped($0) } }
    }
}

extension IssuerKeyStatus.Fault {
    fileprivate init?(_ members: JSONObject) {
        guard let reason = members["reason"]?.string, let text = members["text"]?.string,
            let at = members.time("at")
        else { return nil }
        self.init(reason: reason, text: text, at: at)
    }
}

extension IssuerKeyStatus.Key {
    fileprivate init?(_ members: JSONObject) {
        guard let type = members["kty"]?.string, let size = members["size"]?.string,
            let thumbprint = members["thumbprint"]?.string,
            let firstSeen = members.time("firstSeen")
        else { return nil }
        self.init(
            keyID: members["kid"]?.string, type: type, size: size,
            algorithm: members["alg"]?.string, thumbprint: thumbprint, firstSeen: firstSeen,
            lastUsed: members.time("lastUsed"))
    }
}

extension IssuerKeyStatus.Skipped {
    fileprivate init?(_ members: JSONObject) {
        guard let index = members.count("index"), let reason = members["reason"]?.string else {
            return nil
        }
        self.init(index: index, keyID: members["kid"]?.string, reason: reason)
    }
}

extension JSONObject {
    fileprivate func time(_ name: String) -> Int64? { self[name]?.number?.integer }

    fileprivate func count(_ name: String) -> Int? { time(name).map { Int($0) } }
}
