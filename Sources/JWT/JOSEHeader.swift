import Bytes
import JSON
import OpenSSL

/// The members of a JOSE header that we act on (RFC 7515, section 4.1). `jwk`, `jku`, `x5u`, `x5c`
/// are not among them: a token does not say where to find the key that makes it valid.
///
/// A class, since tokens share it: an issuer writes the same one into all that a key of its signs.
final class JOSEHeader: Sendable {
    /// As it stands in tokens, encoded.
    let text: [UInt8]
    let algorithm: SignatureAlgorithm
    let keyID: String?
    let type: String?

    /// Reads the header that `text` stands for.
    init(_ members: JSONDocument, _ text: Span<UInt8>) throws(TokenError) {
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
        self.text = [UInt8](copying: text)
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
