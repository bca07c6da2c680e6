import Bytes
import JSON

/// `aud`: a string or an array of strings alone (RFC 7519, section 4.1.3), compared exactly.
enum AudienceClaim {
    /// Whether the claim has one of those forms and names this audience.
    static func names(
        _ audience: Span<UInt8>, _ claim: JSONNode?, in claims: JSONDocument
    ) -> Bool {
        guard let claim else { return false }
        let bytes = claims.text
        if let range = claims.string(at: claim) {
            return audience.isEqual(to: bytes.span.extracting(range))
        }
        var isNamed = false
        var element = claims.first(in: claim)
        while let member = element {
            // With anything else among them the claim names nobody.
            guard let range = claims.string(at: member) else { return false }
            if audience.isEqual(to: bytes.span.extracting(range)) { isNamed = true }
            element = claims.next(after: member, in: claim)
        }
        return isNamed
    }
}
