/// Why a key could not be taken. Whoever published or configured the key is at fault.
package enum OpenSSLError: Error, Equatable, Sendable {
    /// An RSA modulus below 2048 or above 16384 bits, or an even one.
    case unsuitableModulus
    /// An RSA exponent that is even, below 3 or above 64 bits.
    case unsuitableExponent
    /// Coordinates of the wrong length, or a point that is not on its curve or of small order.
    case invalidPoint
    /// A secret shorter than the hash it is used with.
    case shortSecret
    /// OpenSSL refused the key for a reason of its own.
    case refused
}
