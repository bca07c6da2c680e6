import Bytes
package import JWT
import OpenSSL

/// The book kept of one set of keys. When a key was first seen and last used survives a new set
/// that still has the key. Times are seconds since 1970.
package struct KeyLedger: Sendable {
    private struct Row {
        let key: JWK
        let firstSeen: Int64
        var lastUsed: Int64?
    }

    private let issuer: String
    private let tenant: String?
    private let source: String
    private var rows: [Row] = []
    private var skipped: [SkippedKey] = []
    private var origin: IssuerKeyStatus.Origin?
    private var fetchedAt: Int64?
    private var lastFault: (fault: KeyFault, at: Int64)?

    /// Longest `kid` shown; a set may have one of 512 KiB.
    private static let maxKeyIDBytes = 256

    /// The book of a set of which there is nothing yet.
    package init(issuer: String, tenant: String? = nil, source: String) {
        self.issuer = issuer
        self.tenant = tenant
        self.source = source
    }

    /// Notes the set that is now used, and when its source gave it.
    package mutating func took(
        _ set: JWKSet, from origin: IssuerKeyStatus.Origin, fetchedAt: Int64, now: Int64
    ) {
        let old = rows
        rows = set.keys.map { key in
            let row = old.first { $0.key == key }
            return Row(key: key, firstSeen: row?.firstSeen ?? now, lastUsed: row?.lastUsed)
        }
        skipped = set.skipped
        self.origin = origin
        self.fetchedAt = fetchedAt
    }

    /// Notes that the issuer has a local secret and no set.
    package mutating func tookSecret(now: Int64) {
        origin = .secret
        fetchedAt = now
    }

    /// Notes that the issuer said its set is still the same.
    package mutating func confirmed(at time: Int64) {
        origin = .fetch
        fetchedAt = time
    }

    /// Notes a look that gave nothing.
    package mutating func failed(_ fault: KeyFault, at time: Int64) {
        lastFault = (fault, time)
    }

    /// Notes a set of which no key can be used. Where there are no others, it is the one to be told
    /// of: nothing else says what is wrong with its keys.
    package mutating func rejected(_ set: JWKSet) {
        if origin == nil { skipped = set.skipped }
    }

    /// Notes that the keys were taken away because they were too old.
    package mutating func withdrew() {
        rows = []
        skipped = []
        origin = nil
        fetchedAt = nil
    }

    /// Notes that a signature was found right with the key of this thumbprint (RFC 7638).
    package mutating func used(_ thumbprint: [UInt8], at time: Int64) {
        for i in rows.indices where rows[i].key.thumbprint == thumbprint {
            rows[i].lastUsed = max(rows[i].lastUsed ?? .min, time)
        }
    }

    /// What there is to tell at this moment: `milliseconds` of the schedule's clock, `now` of the
    /// calendar's. Without a schedule the keys are not fetched.
    package func status(
        _ schedule: KeySchedule?, milliseconds: Int64, now: Int64
    ) -> IssuerKeyStatus {
        var status = IssuerKeyStatus(issuer: issuer, tenant: tenant, source: source)
        status.state = schedule?.state(now: milliseconds) ?? (origin == nil ? .none : .fresh)
        status.obtainedFrom = origin
        status.fetchedAt = fetchedAt
        status.age = fetchedAt.map { max(0, now.subtractingSaturated($0)) }
        let calendar = { (time: Int64) in
            now.addingSaturated(time.subtractingSaturated(milliseconds) / 1_000)
        }
        status.nextFetchAt = schedule?.nextLook.map(calendar)
        status.staleUntil = schedule?.staleUntil.map(calendar)
        status.lastFault = lastFault.map { fault, at in
            .init(reason: fault.word, text: fault.description, at: at)
        }
        status.counts = schedule?.counts ?? .init()
        status.keys = rows.map { Self.described($0) }
        status.skipped = skipped.map { key in
            .init(index: key.index, keyID: key.keyID.map(Self.shortened), reason: key.reason.text)
        }
        return status
    }

    private static func described(_ row: Row) -> IssuerKeyStatus.Key {
        let (type, size) =
            switch row.key.publicKey.kind {
            case .rsa(let bits): ("RSA", "\(bits)")
            case .ec(let curve): ("EC", curve.name)
            case .okp(let curve): ("OKP", curve.name)
            }
        let thumbprint = Base64URL.encode(row.key.thumbprint)
        return .init(
            keyID: row.key.keyID.map(shortened), type: type, size: size,
            algorithm: row.key.algorithm?.name,
            thumbprint: String(decoding: thumbprint, as: UTF8.self), firstSeen: row.firstSeen,
            lastUsed: row.lastUsed)
    }

    private static func shortened(_ keyID: String) -> String {
        guard keyID.utf8.count > maxKeyIDBytes else { return keyID }
        var text = ""
        for scalar in keyID.unicodeScalars {
            guard text.utf8.count + scalar.utf8.count <= maxKeyIDBytes else { break }
            text.unicodeScalars.append(scalar)
        }
        return text + "…"
    }
}
