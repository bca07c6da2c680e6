import Bytes
import JSON

/// A JWT in compact form, taken apart (RFC 7515, section 3.1). Nothing in it may be trusted yet.
struct UnverifiedToken: Sendable {
    /// The JOSE header.
    let header: JOSEHeader
    /// The claims set.
    let claims: JSONDocument
    let registered: RegisteredClaims
    /// How many bytes from the token's start are signed: header, dot and payload.
    let signedCount: Int
    /// The signature's octets.
    let signature: [UInt8]

    /// Parses three strict base64url segments and the JSON in the first two. Looks for a fourth
    /// segment before it decodes anything, so dots by the thousand cost no memory.
    init(
        parsing token: Span<UInt8>, remembering headers: RecentHeaders = RecentHeaders()
    ) throws(TokenError) {
        guard let first = token.firstIndex(of: UInt8(ascii: ".")),
            let second = token.firstIndex(of: UInt8(ascii: "."), from: first + 1),
            token.firstIndex(of: UInt8(ascii: "."), from: second + 1) == nil
        else { throw .badToken }
        let text = token.extracting(0..<first)
        if let known = headers.find(text) {
            header = known
        } else {
            header = try JOSEHeader(Self.object(text), text)
            headers.keep(header)
        }
        claims = try Self.object(token.extracting(first + 1..<second))
        registered = RegisteredClaims(of: claims)
        guard let signature = Base64URL.decode(token.extracting(second + 1..<token.count)) else {
            throw .badToken
        }
        self.signature = signature
        signedCount = second
    }

    private static func object(_ segment: Span<UInt8>) throws(TokenError) -> JSONDocument {
        guard let bytes = [UInt8](base64URL: segment) else { throw .badToken }
        do {
            let document = try JSONDocument(parsing: bytes)
            if case .object = document.kind(of: .root) { return document }
        } catch {
            throw .badToken
        }
        throw .badToken
    }
}
