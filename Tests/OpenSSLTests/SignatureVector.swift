import OpenSSL
import Testing

/// A signature over `signedMessage` by one of the keys of `publicParts`, right or wrong.
struct SignatureVector: CustomTestStringConvertible {
    let name: String
    let key: String
    let algorithm: SignatureAlgorithm
    let isValid: Bool
    let signature: String

    init(
        _ name: String, _ key: String, _ algorithm: SignatureAlgorithm, _ isValid: Bool,
        _ signature: String
    ) {
        self.name = name
        self.key = key
        self.algorithm = algorithm
        self.isValid = isValid
        self.signature = signature
    }

    var testDescription: String { name }
}

/// The octets of hexadecimal digits.
func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] * 16 + digits[$0 + 1])
    }
}

/// One of the vectors' public keys.
func publicKey(_ name: String) throws -> PublicKey {
    let parts = try #require(publicParts[name]).map(bytes)
    return switch name.split(separator: " ")[0] {
    case "rsa": try PublicKey(modulus: parts[0], exponent: parts[1])
    case "p256": try PublicKey(curve: .p256, x: parts[0], y: parts[1])
    case "p384": try PublicKey(curve: .p384, x: parts[0], y: parts[1])
    case "p521": try PublicKey(curve: .p521, x: parts[0], y: parts[1])
    case "ed25519": try PublicKey(curve: .ed25519, x: parts[0])
    default: try PublicKey(curve: .ed448, x: parts[0])
    }
}

/// A key of either kind by the name that the vectors use: `secret48` is the secret's first 48
/// octets.
enum TestKey {
    case published(VerificationKey)
    case shared(SecretKey)

    init(_ name: String) throws {
        if name.hasPrefix("secret") {
            let count = try #require(Int(name.dropFirst("secret".count)))
            self = .shared(try SecretKey(Array(bytes(sharedSecret).prefix(count))))
        } else {
            self = .published(try VerificationKey(publicKey(name)))
        }
    }

    func isValid(_ vector: SignatureVector, over message: String) -> Bool {
        let message = Array(message.utf8)
        let signature = bytes(vector.signature)
        return switch self {
        case .published(let key):
            key.isValid(
                signature: signature.span, over: message.span, algorithm: vector.algorithm)
        case .shared(let key):
            key.isValid(
                signature: signature.span, over: message.span, algorithm: vector.algorithm)
        }
    }
}
