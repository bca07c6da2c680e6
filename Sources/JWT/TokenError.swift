/// Why a token is refused: one case for each reason code of the log. It says nothing of the token's
/// content.
package enum TokenError: Error, Equatable, Sendable {
    /// Not a JWT in compact form, or one whose header or claims are not what RFC 7515 and 7519 ask.
    case badToken
    /// `alg` is missing, unknown, or not admitted for the issuer or the key.
    case badAlgorithm
    /// No `iss`, or not the one of an issuer that the route admits.
    case unknownIssuer
    /// No key of the issuer fits `kid` and algorithm, or too many would.
    case unknownKey
    /// The signature does not fit.
    case badSignature
    /// Past `exp` and leeway.
    case expired
    /// Before `nbf` or `iat`, leeway included.
    case notYetValid
    /// `aud` names none of the issuer's audiences.
    case wrongAudience
    /// `typ` is of another kind.
    case wrongType
    /// A claim that must be there is not: its name, as configured.
    case missingClaim(String)
    /// The issuer's keys were never obtained: not the caller's fault.
    case keysUnavailable
    /// Longer than the limit.
    case tooLarge
}
