import JSON

/// Where the registered claims that we act on stand in a claims set (RFC 7519, section 4.1).
struct RegisteredClaims: Sendable {
    private static let names = JSONShortNames(["iss", "sub", "aud", "exp", "nbf", "iat", "jti"])
    private let members: JSONShortMembers

    init(of claims: JSONDocument) {
        members = claims.members(Self.names)
    }

    var issuer: JSONNode? { members[0] }
    var subject: JSONNode? { members[1] }
    var audience: JSONNode? { members[2] }
    var expires: JSONNode? { members[3] }
    var notBefore: JSONNode? { members[4] }
    var issuedAt: JSONNode? { members[5] }
    var tokenID: JSONNode? { members[6] }
}
