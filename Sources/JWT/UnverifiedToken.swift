import Bytes
import JSON
import OpenSSL

/// A JWT in compact form, taken apart (RFC 7515, section 3.1). Nothing in it may be trusted yet.
struct UnverifiedToken: Sendable {
    /// The JOSE header.
    let header: JOSEHeader
    /// The claims set.
    let claims: JSONObject
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
            header = try JOSEHeader(Self.object(text))
            headers.keep(header, of: text)
        }
        claims = try Self.object(token.extracting(first + 1..<second))
        guard let signature = Base64URL.decode(token.extracting(second + 1..<token.count)) else {
            throw .badToken
        }
        self.signature = signature
        signedCount = second
    }

    private static func object(_ segment: Span<UInt8>) throws(TokenError) -> JSONObject {
        guard let bytes = Base64URL.decode(segment) else { throw .badToken }
        do {
            if let object = try JSONValue(parsing: bytes.span).object { return object }
        } catch {
            throw .badToken
        }
        throw .badToken
    }
}

/// The members of a JOSE header that we act on (RFC 7515, section 4.1). `jwk`, `jku`, `x5u`, `x5c`
/// are not among them: a token does not say where to find the key that makes it valid.
struct JOSEHeader: Sendable {
    let algorithm: SignatureAlgorithm
    let keyID: String?
    let type: String?

    init(_ members: JSONObject) throws(TokenError) {
        // No extension is understood, and `crit` must not be empty, so whatever it says is refused
        // (section 4.1.11). `b64: false` would make the payload unencoded (RFC 7797).
        guard members["crit"] == nil, members["b64"].map({ $0.bool == true }) ?? true else {
            throw .badToken
        }
        guard let name = members["alg"]?.string, let algorithm = SignatureAlgorithm(name: name)
        else { throw .badAlgorithm }
        self.algorithm = algorithm
        keyID = try Self.text("kid", members)
        type = try Self.text("typ", members)
    }

    /// A string that may be absent. `null` is not absent.
    private static func text(
        _ name: String, _ members: JSONObject
    ) throws(TokenError) -> String? {
        guard let value = members[name] else { return nil }
        guard let text = value.string else { throw .badToken }
        return text
    }
}

/// The headers of the last tokens by their text: an issuer writes the same one into all tokens that
/// a key of its signs. Not for two threads.
final class RecentHeaders {
    private static let maxCount = 4
    /// A text of more bytes is not worth the memory; usual ones have about 100.
    private static let maxBytes = 512

    private var entries: [(text: [UInt8], header: JOSEHeader)] = []
    private var oldest = 0

    func find(_ text: Span<UInt8>) -> JOSEHeader? {
        for entry in entries where text.isEqual(to: entry.text.span) { return entry.header }
        return nil
    }

    func keep(_ header: JOSEHeader, of text: Span<UInt8>) {
        guard text.count <= RecentHeaders.maxBytes else { return }
        let entry = (text: [UInt8](copying: text), header: header)
        if entries.count < RecentHeaders.maxCount {
            entries.append(entry)
        } else {
            entries[oldest] = entry
            oldest = (oldest + 1) % RecentHeaders.maxCount
        }
    }
}
