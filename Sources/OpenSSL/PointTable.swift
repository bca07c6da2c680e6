/// Multiples of a public point of P-256, computed once: with them a check of a signature costs half
/// (docs/decisions/0023-signature-arithmetic.md). Making one takes as long as several hundred
/// checks, so it is for keys that are used a lot, and for a thread that nobody waits for. It holds
/// 150 KB.
///
/// Never changed once it is made, and OpenSSL only reads of it: threads share it.
package final class PointTable: @unchecked Sendable {
    /// Whose point it is.
    package let key: PublicKey
    /// P-256 with the public point in its generator's place.
    let curve: CurveHandle

    /// Computes the table of a key of P-256. Fails where OpenSSL makes no tables, too.
    package init(_ key: PublicKey) throws(OpenSSLError) {
        guard key.kind == .ec(.p256) else { throw .invalidPoint }
        self.key = key
        // `PublicKey` wrote the point last, uncompressed: 04 and two coordinates.
        let octets = key.subjectPublicKeyInfo.suffix(1 + 2 * EllipticCurve.p256.coordinateByteCount)
        curve = try CurveHandle.makeP256(tabulating: Array(octets))
    }
}
