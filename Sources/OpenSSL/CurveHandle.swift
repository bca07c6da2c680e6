internal import COpenSSL

/// Owns an `EC_GROUP` for P-256: with the curve's own generator, or with another point in its place
/// whose multiples are tabulated.
@safe
struct CurveHandle: ~Copyable {
    let pointer: OpaquePointer

    private init(owning pointer: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
    }

    deinit {
        unsafe EC_GROUP_free(pointer)
    }

    static func makeP256() throws(OpenSSLError) -> CurveHandle {
        guard let group = unsafe EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1) else {
            throw refusal()
        }
        return unsafe CurveHandle(owning: group)
    }

    /// P-256 with a table for the point of these octets, uncompressed. Fails where OpenSSL makes no
    /// tables, too.
    static func makeP256(tabulating octets: [UInt8]) throws(OpenSSLError) -> CurveHandle {
        let curve = try makeP256()
        let point = try PointHandle.make(on: curve)
        let isDone = unsafe octets.withUnsafeBufferPointer { octets in
            unsafe EC_POINT_oct2point(
                curve.pointer, point.pointer, octets.baseAddress, octets.count, nil) == 1
                && copenssl_tabulate(curve.pointer, point.pointer) == 1
        }
        guard isDone else { throw refusal() }
        return curve
    }

    /// How many points the generator leads to.
    func order() throws(OpenSSLError) -> BigNumber {
        guard let copy = unsafe BN_dup(EC_GROUP_get0_order(pointer)) else { throw refusal() }
        return unsafe BigNumber(owning: copy)
    }

    /// The multiple of the generator, from its table.
    func multiplyGenerator(
        by factor: borrowing BigNumber, into result: borrowing PointHandle,
        _ scratch: borrowing ScratchHandle
    ) -> Bool {
        unsafe EC_POINT_mul(pointer, result.pointer, factor.pointer, nil, nil, scratch.pointer) == 1
    }

    /// Adds any two points, the same one twice and opposite ones too.
    func add(
        _ term: borrowing PointHandle, to sum: borrowing PointHandle,
        _ scratch: borrowing ScratchHandle
    ) -> Bool {
        unsafe EC_POINT_add(pointer, sum.pointer, sum.pointer, term.pointer, scratch.pointer) == 1
    }

    /// A point's x; false for the point at infinity, which has none.
    func readX(
        of point: borrowing PointHandle, into x: borrowing BigNumber,
        _ scratch: borrowing ScratchHandle
    ) -> Bool {
        unsafe EC_POINT_is_at_infinity(pointer, point.pointer) == 0
            && EC_POINT_get_affine_coordinates(
                pointer, point.pointer, x.pointer, nil, scratch.pointer) == 1
    }
}

/// Owns an `EC_POINT`.
@safe
struct PointHandle: ~Copyable {
    let pointer: OpaquePointer

    private init(owning pointer: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
    }

    deinit {
        unsafe EC_POINT_free(pointer)
    }

    static func make(on curve: borrowing CurveHandle) throws(OpenSSLError) -> PointHandle {
        guard let point = unsafe EC_POINT_new(curve.pointer) else { throw refusal() }
        return unsafe PointHandle(owning: point)
    }
}
