import Bytes

/// Which tenants an issuer with a pattern stands for (`https://login.example.com/{tenant}/v2.0`).
/// The tenant's name is read from `iss`, so it comes from outside until a signature was checked.
package struct TenantRules: Sendable, Equatable {
    /// What stands for the tenant in a pattern.
    package static let placeholder = "{tenant}"
    /// Most octets of a tenant's name.
    package static let maxNameBytes = 128

    /// What stands before the tenant in `iss`.
    package let prefix: String
    /// What stands behind it.
    package let suffix: String
    /// The tenants that are taken; nil for all that the claim rule lets pass.
    package var allowed: [String]? {
        didSet { allowedNames = allowed.map { Set($0) } }
    }
    /// A claim that must be a string equal to the tenant; nil for no such rule.
    package var claim: ClaimName?
    /// Most tenants whose keys are held at a time.
    package var maxTenants = 100
    /// Whether all tenants' tokens are signed with one set of keys, the issuer's.
    package var sharesKeys = false
    /// The same for a quick look: there may be thousands. Names are ASCII, so that equal strings
    /// are the same octets.
    private var allowedNames: Set<String>?

    /// Rules of a pattern; nil unless it holds the placeholder exactly once.
    package init?(pattern: String, allowed: [String]? = nil, claim: ClaimName? = nil) {
        let text = Array(pattern.utf8)
        let mark = Array(TenantRules.placeholder.utf8)
        let places = text.indices.filter { text[$0...].starts(with: mark) }
        guard places.count == 1, let place = places.first,
            let prefix = String(validating: text.span.extracting(0..<place)),
            let suffix = String(
                validating: text.span.extracting(place + mark.count..<text.count))
        else { return nil }
        self.prefix = prefix
        self.suffix = suffix
        self.allowed = allowed
        allowedNames = allowed.map { Set($0) }
        self.claim = claim
    }

    /// Whether this can be a tenant's name: 1–128 letters, digits, `.`, `_`, `-`; neither `.` nor
    /// `..`, since it becomes a segment of a URL's path.
    package static func isName(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...maxNameBytes).contains(bytes.count) else { return false }
        let dot = UInt8(ascii: ".")
        if bytes.count <= 2, bytes.allSatisfy({ $0 == dot }) { return false }
        return bytes.allSatisfy { ASCII.isUnreserved($0) && $0 != UInt8(ascii: "~") }
    }

    /// The tenant that an `iss` names; nil where it does not fit or the tenant is not allowed.
    package func tenant(of issuer: Span<UInt8>) -> String? {
        let (before, after) = (prefix.utf8.count, suffix.utf8.count)
        let end = issuer.count - after
        guard end > before, end - before <= TenantRules.maxNameBytes,
            prefix.isExactly(issuer.extracting(first: before)),
            suffix.isExactly(issuer.extracting(droppingFirst: end)),
            let name = String(validating: issuer.extracting(before..<end)),
            TenantRules.isName(name)
        else { return nil }
        if let allowedNames, !allowedNames.contains(name) { return nil }
        return name
    }
}
