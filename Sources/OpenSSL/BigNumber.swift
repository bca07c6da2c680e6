internal import COpenSSL

/// Owns a `BIGNUM` that is never negative. What it holds here is public: keys, signatures, digests.
@safe
struct BigNumber: ~Copyable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
    }

    deinit {
        unsafe BN_free(pointer)
    }

    /// Zero.
    static func make() throws(OpenSSLError) -> BigNumber {
        guard let number = unsafe BN_new() else { throw refusal() }
        return unsafe BigNumber(owning: number)
    }

    /// The number of big-endian octets.
    static func of(_ octets: [UInt8]) throws(OpenSSLError) -> BigNumber {
        let number = try make()
        guard number.set(octets.span) else { throw refusal() }
        return number
    }

    /// Takes the value of big-endian octets: no more of them than a modulus of 16,384 bits has.
    func set(_ octets: Span<UInt8>) -> Bool {
        unsafe octets.withUnsafeBufferPointer { bytes in
            unsafe BN_bin2bn(bytes.baseAddress, Int32(truncatingIfNeeded: bytes.count), pointer)
                != nil
        }
    }

    /// Takes another one's value.
    func set(_ other: borrowing BigNumber) -> Bool {
        unsafe BN_copy(pointer, other.pointer) != nil
    }

    /// Takes the sum of two others.
    func set(_ first: borrowing BigNumber, plus second: borrowing BigNumber) -> Bool {
        unsafe BN_uadd(pointer, first.pointer, second.pointer) == 1
    }

    /// Takes away `modulus` once if it is not below it: all that it takes to reduce a number of
    /// the modulus's own length whose highest bit is set.
    func reduceOnce(by modulus: borrowing BigNumber) -> Bool {
        if isBelow(modulus) { return true }
        return unsafe BN_usub(pointer, pointer, modulus.pointer) == 1
    }

    /// Takes away a number that is not larger.
    func subtract(_ small: UInt) -> Bool {
        unsafe BN_sub_word(pointer, small) == 1
    }

    func isBelow(_ other: borrowing BigNumber) -> Bool {
        unsafe BN_ucmp(pointer, other.pointer) < 0
    }

    func isEqual(to other: borrowing BigNumber) -> Bool {
        unsafe BN_ucmp(pointer, other.pointer) == 0
    }

    var isZero: Bool { unsafe BN_is_zero(pointer) == 1 }

    /// Its value, if 64 bits hold it.
    var word: UInt64? {
        unsafe BN_num_bits(pointer) <= 64 ? UInt64(BN_get_word(pointer)) : nil
    }
}
