internal import COpenSSL

/// Arithmetic modulo one odd number, with OpenSSL's Montgomery multiplication. A number is in
/// Montgomery's form when it stands for its R-fold, R being the power of two beyond the modulus;
/// a product of two numbers comes out divided by R. It belongs to one thread.
@safe
struct MontgomeryModulus: ~Copyable {
    let number: BigNumber
    let scratch: ScratchHandle
    private let context: OpaquePointer

    private init(
        _ number: consuming BigNumber, _ scratch: consuming ScratchHandle,
        owning context: OpaquePointer
    ) {
        self.number = number
        self.scratch = scratch
        unsafe self.context = unsafe context
    }

    deinit {
        unsafe BN_MONT_CTX_free(context)
    }

    static func make(_ number: consuming BigNumber) throws(OpenSSLError) -> MontgomeryModulus {
        let scratch = try ScratchHandle.make()
        guard let context = unsafe BN_MONT_CTX_new() else { throw refusal() }
        let modulus = unsafe MontgomeryModulus(number, scratch, owning: context)
        guard
            unsafe BN_MONT_CTX_set(context, modulus.number.pointer, modulus.scratch.pointer) == 1
        else { throw refusal() }
        return modulus
    }

    /// Brings `number`, which is below the modulus, into Montgomery's form.
    func convert(_ number: borrowing BigNumber, into result: borrowing BigNumber) -> Bool {
        unsafe BN_to_montgomery(result.pointer, number.pointer, context, scratch.pointer) == 1
    }

    /// The product of two numbers below the modulus, divided by R: in Montgomery's form if both
    /// are, plain if one of them is. `result` may be one of them.
    func multiply(
        _ first: borrowing BigNumber, _ second: borrowing BigNumber,
        into result: borrowing BigNumber
    ) -> Bool {
        unsafe BN_mod_mul_montgomery(
            result.pointer, first.pointer, second.pointer, context, scratch.pointer) == 1
    }

    /// `number` times itself, both in Montgomery's form.
    func square(_ number: borrowing BigNumber) -> Bool {
        unsafe BN_mod_mul_montgomery(
            number.pointer, number.pointer, number.pointer, context, scratch.pointer) == 1
    }

    /// A power of a plain number, plain.
    func power(
        of base: borrowing BigNumber, _ exponent: borrowing BigNumber,
        into result: borrowing BigNumber
    ) -> Bool {
        unsafe BN_mod_exp_mont(
            result.pointer, base.pointer, exponent.pointer, number.pointer, scratch.pointer,
            context) == 1
    }
}

/// Owns a `BN_CTX`: room for what OpenSSL computes on the way. It belongs to one thread.
@safe
struct ScratchHandle: ~Copyable {
    let pointer: OpaquePointer

    private init(owning pointer: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
    }

    deinit {
        unsafe BN_CTX_free(pointer)
    }

    static func make() throws(OpenSSLError) -> ScratchHandle {
        guard let scratch = unsafe BN_CTX_new() else { throw refusal() }
        return unsafe ScratchHandle(owning: scratch)
    }
}
