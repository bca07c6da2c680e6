internal import COpenSSL

/// ES256 with a key whose multiples are tabulated: ECDSA verification of FIPS 186-5, section 6.4.2,
/// on OpenSSL's arithmetic. OpenSSL's own check cannot use a table of the public point, and
/// multiplying it is most of what that costs (docs/decisions/0023-signature-arithmetic.md).
///
/// Nothing here is secret, so nothing has to take the same time. It belongs to one thread.
final class P256Check {
    private let table: PointTable
    private let hash: HashHandle
    private let curve: CurveHandle
    private let sum: PointHandle
    private let term: PointHandle
    private let order: MontgomeryModulus
    /// The order less two, the exponent that inverts (Fermat).
    private let inverting: BigNumber
    private let r: BigNumber
    private let s: BigNumber
    private let digest: BigNumber
    private let inverse: BigNumber
    private let factor: BigNumber
    private let x: BigNumber

    init(_ table: PointTable) throws(OpenSSLError) {
        self.table = table
        hash = try HashHandle.make(.sha256)
        curve = try CurveHandle.makeP256()
        sum = try PointHandle.make(on: curve)
        term = try PointHandle.make(on: curve)
        order = try MontgomeryModulus.make(try curve.order())
        inverting = try curve.order()
        guard inverting.subtract(2) else { throw refusal() }
        r = try BigNumber.make()
        s = try BigNumber.make()
        digest = try BigNumber.make()
        inverse = try BigNumber.make()
        factor = try BigNumber.make()
        x = try BigNumber.make()
    }

    /// Whether `signature`, r and s of 32 octets each, is one over `message`.
    func isValid(_ signature: Span<UInt8>, over message: Span<UInt8>) -> Bool {
        var octets = DigestOctets(repeating: 0)
        guard signature.count == 64, let length = hash.digest(message, into: &octets),
            length == 32
        else { return false }
        let isRight =
            r.set(signature.extracting(0..<32)) && s.set(signature.extracting(32..<64))
            && isInRange(r) && isInRange(s)
            && digest.set(octets.span.extracting(0..<32)) && digest.reduceOnce(by: order.number)
            && computeX() && x.isEqual(to: r)
        if !isRight { ERR_clear_error() }
        return isRight
    }

    private func isInRange(_ number: borrowing BigNumber) -> Bool {
        !number.isZero && number.isBelow(order.number)
    }

    /// x of (digest/s)·G + (r/s)·Q, modulo the order. False where that is no point with an x.
    private func computeX() -> Bool {
        // The inverse goes into Montgomery's form, so that products with it come out plain.
        guard order.power(of: s, inverting, into: inverse), order.convert(inverse, into: inverse)
        else { return false }
        return order.multiply(digest, inverse, into: factor)
            && curve.multiplyGenerator(by: factor, into: sum, order.scratch)
            && order.multiply(r, inverse, into: factor)
            && table.curve.multiplyGenerator(by: factor, into: term, order.scratch)
            && curve.add(term, to: sum, order.scratch)
            && curve.readX(of: sum, into: x, order.scratch)
            // The field is larger than the order by less than the order.
            && x.reduceOnce(by: order.number)
    }
}
