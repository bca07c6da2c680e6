import Bytes
import JSON
import OpenSSL

/// The members of a JOSE header that we act on (RFC 7515, section 4.1). `jwk`, `jku`, `x5u`, `x5c`
/// are not among them: a token does not say where to find the key that makes it valid.
///
/// A class, since tokens share it: an issuer writes the same one into all that a key of its signs.
final class JOSEHeader: Sendable {
    let algorithm: SignatureAlgorithm
    let keyID: String?
    let type: String?

    init(_ members: JSONDocument) throws(TokenError) {
        // No extension is understood, and `crit` must not be empty, so whatever it says is refused
        // (section 4.1.11). `b64: false` would make the payload unencoded (RFC 7797).
        guard members.member(JSONName("crit")) == nil else { throw .badToken }
        if let encoding = members.member(JSONName("b64")),
            !members.isEqual(encoding, to: JSONValue(.bool(true)))
        {
            throw .badToken
        }
        guard let node = members.member(JSONName("alg")),
            let name = members.value(of: node).string,
            let algorithm = SignatureAlgorithm(name: name)
        else { throw .badAlgorithm }
        self.algorithm = algorithm
        keyID = try Self.text("kid", members)
        type = try Self.text("typ", members)
    }

    /// A string that may be absent. `null` is not absent.
    private static func text(
        _ name: String, _ members: JSONDocument
    ) throws(TokenError) -> String? {
        guard let node = members.member(JSONName(name)) else { return nil }
        guard let range = members.string(at: node) else { throw .badToken }
        let text = members.text
        return String(validating: text.span.extracting(range))
    }
}

/// The headers of the last tokens by their text. Not for two threads.
final class RecentHeaders {
    private static let maxCount = 4
    /// A text of more bytes is not worth the memory; usual ones have about 100.
    private static let maxBytes = 512

    private var texts: [[UInt8]] = []
    /// Each in the place of its text.
    private var headers: [JOSEHeader] = []
    private var oldest = 0

    func find(_ text: Span<UInt8>) -> JOSEHeader? {
        for (i, known) in texts.enumerated() where text.isEqual(to: known.span) {
            return headers[i]
        }
        return nil
    }

    func keep(_ header: JOSEHeader, of text: Span<UInt8>) {
        guard text.count <= RecentHeaders.maxBytes else { return }
        let text = [UInt8](copying: text)
        if texts.count < RecentHeaders.maxCount {
            texts.append(text)
            headers.append(header)
        } else {
            texts[oldest] = text
            headers[oldest] = header
            oldest = (oldest + 1) % RecentHeaders.maxCount
        }
    }
}
