import JSON
import JWT

/// What messages say about errors of the modules below, which carry no prose.
enum ProblemText {
    static func of(_ kind: JSONError.Kind) -> String {
        switch kind {
        case .tooLarge: "the file is too large"
        case .byteOrderMark: "the file begins with a byte order mark"
        case .invalidUTF8: "the file is not UTF-8"
        case .unexpectedEnd: "the file ends inside a value"
        case .unexpectedByte: "this cannot stand here in JSON"
        case .trailingBytes: "something follows the end of the configuration"
        case .tooDeep: "too many brackets inside one another"
        case .invalidNumber: "no JSON number"
        case .controlCharacter: "a control character in a string; write it as an escape"
        case .invalidEscape: "no JSON escape"
        case .loneSurrogate: "half of a surrogate pair"
        case .duplicateName: "this name stands twice in the object"
        }
    }

    static func of(_ failure: JWKSet.Failure) -> String {
        switch failure {
        case .tooLarge: "is larger than \(Quantity.text(JWKSet.maxBytes))"
        case .invalidJSON(let error): "is no JSON (byte \(error.offset)): \(of(error.kind))"
        case .notAKeySet: "is no JWK Set: it needs an array \"keys\""
        case .tooManyKeys: "has more than \(JWKSet.maxKeys) keys"
        }
    }

    static func of(_ reason: SkippedKey.Reason) -> String {
        switch reason {
        case .notAnObject: "it is no object"
        case .ambiguous: "a name occurs twice in it, or a text has a lone surrogate"
        case .missingMember(let name): "it lacks \"\(name)\""
        case .badMember(let name): "its \"\(name)\" is malformed"
        case .unknownType: "its \"kty\" is unknown"
        case .unknownCurve: "its \"crv\" is unknown or not for signatures"
        case .symmetric: "a secret does not belong into a JWK Set; use \"secretFile\""
        case .privateKey: "it is a private key"
        case .notForSignatures: "its \"use\" or \"key_ops\" is not for checking signatures"
        case .unsuitableAlgorithm: "its \"alg\" is unknown or does not fit the key"
        case .weak: "it is too weak, too large or has an unsafe exponent"
        case .invalidKey: "its numbers are no key"
        case .conflictingKeyID: "another key has the same \"kid\""
        case .duplicate: "it stands there twice"
        }
    }
}
