package import Bytes
import JSON
import OpenSSL

/// A set of keys as it outlives the process: the issuer's own text, whose it is and when it came.
///
/// The digest tells a file that was cut short or hit by a failing disk; it keeps nobody out who may
/// write the file. Who can do that can change `proxy.json` as well.
package struct KeySnapshot: Sendable, Equatable {
    /// Whose keys, and where from.
    package let identity: KeySetIdentity
    /// When the issuer last gave or confirmed them, in seconds since 1970.
    package let fetchedAt: Int64
    /// What the issuer calls this version of the set (RFC 9110, section 8.8.3).
    package let entityTag: String?
    /// The set's text.
    package let text: String

    /// Longest file read: a set of 512 KiB whose every character is escaped.
    package static let maxBytes = 4 << 20
    /// Longest entity tag kept; one that is longer is forgotten, which costs a body.
    package static let maxEntityTagBytes = 1024
    /// How far clocks may have been set back since.
    private static let maxAhead: Int64 = 300
    private static let format: Int64 = 1

    /// A set as it came.
    package init(identity: KeySetIdentity, fetchedAt: Int64, entityTag: String?, text: String) {
        self.identity = identity
        self.fetchedAt = fetchedAt
        let isShort = entityTag.map { $0.utf8.count <= Self.maxEntityTagBytes } ?? false
        self.entityTag = isShort ? entityTag : nil
        self.text = text
    }

    /// Writes the file's bytes.
    package func encode(to output: inout ByteBuffer) {
        var body = ByteBuffer()
        body.beginJSONObject()
        body.appendJSONMember("format", Int(Self.format))
        body.appendJSONMember("issuer", identity.issuer)
        if let tenant = identity.tenant { body.appendJSONMember("tenant", tenant) }
        body.appendJSONMember("source", identity.source)
        body.appendJSONMember("fetchedAt", Int(fetchedAt))
        if let entityTag { body.appendJSONMember("entityTag", entityTag) }
        body.appendJSONMember("keySet", text)
        let digest = body.withBytes { SHA256.digest(of: $0) }
        output.append(body)
        output.append(Self.digestStart)
        output.append(digest.hexadecimalText)
        output.append(Self.end)
    }

    /// Reads a file, if it is whole, of this set, and neither too old nor from the future.
    package init(
        decoding bytes: Span<UInt8>, of identity: KeySetIdentity, maxStale: Int64,
        unixSeconds now: Int64
    ) throws(KeyFault) {
        try Self.checkDigest(bytes)
        guard let members = Self.members(bytes),
            members["format"]?.number?.integer == Self.format,
            let issuer = members["issuer"]?.string, let source = members["source"]?.string,
            let fetchedAt = members["fetchedAt"]?.number?.integer,
            let text = members["keySet"]?.string
        else { throw .snapshotDamaged }
        let tenant = members["tenant"]?.string
        let isSame =
            issuer.isExactly(identity.issuer) && source.isExactly(identity.source)
            && (tenant == nil) == (identity.tenant == nil)
            && (tenant ?? "").isExactly(identity.tenant ?? "")
        guard isSame else { throw .snapshotOfAnother }
        guard fetchedAt <= now.addingSaturated(Self.maxAhead) else { throw .snapshotFromFuture }
        let age = now.subtractingSaturated(fetchedAt).multipliedSaturated(by: 1_000)
        guard age < maxStale else { throw .snapshotTooOld }
        self.init(
            identity: identity, fetchedAt: fetchedAt, entityTag: members["entityTag"]?.string,
            text: text)
    }

    /// How long ago the keys came, in milliseconds; 0 where the clock was set back since.
    package func age(unixSeconds now: Int64) -> Int64 {
        max(0, now.subtractingSaturated(fetchedAt).multipliedSaturated(by: 1_000))
    }

    private static let digestStart: StaticString = ",\"sha256\":\""
    private static let end: StaticString = "\"}\n"

    private static func checkDigest(_ bytes: Span<UInt8>) throws(KeyFault) {
        let start = digestStart.utf8CodeUnitCount
        let tail = start + 64 + end.utf8CodeUnitCount
        guard bytes.count > tail, bytes.count <= maxBytes else { throw .snapshotDamaged }
        let bodyEnd = bytes.count - tail
        let written = bytes.extracting((bodyEnd + start)..<(bodyEnd + start + 64))
        let digest = SHA256.digest(of: bytes.extracting(first: bodyEnd)).hexadecimalText
        guard bytes.extracting(bodyEnd..<(bodyEnd + start)).isEqual(to: digestStart),
            bytes.extracting((bodyEnd + start + 64)..<bytes.count).isEqual(to: end),
            digest.isExactly(written)
        else { throw .snapshotDamaged }
    }

    private static func members(_ bytes: Span<UInt8>) -> JSONObject? {
        try? JSONValue(parsing: bytes, maxDepth: 1, maxBytes: maxBytes).object
    }
}
