import COpenSSL
import Testing

@testable import OpenSSL

/// Our own compositions of OpenSSL's arithmetic, held against the vectors and against OpenSSL's own
/// checks of the same signatures.
@Suite struct TabulatedKeyTests {
    private static let curveKeys = publicParts.keys.filter { $0.hasPrefix("p256") }.sorted()

    private static func tabulated(_ name: String) throws -> VerificationKey {
        let key = try VerificationKey(publicKey(name))
        key.adopt(try PointTable(publicKey(name)))
        #expect(key.table != nil)
        return key
    }

    @Test(
        "With a table each ES256 vector is judged as without",
        arguments: signatureVectors.filter { $0.key.hasPrefix("p256") })
    func everyVector(_ vector: SignatureVector) throws {
        let key = TestKey.published(try Self.tabulated(vector.key))
        // Twice, since what was computed on the way stays.
        for _ in 0..<2 { #expect(key.isValid(vector, over: signedMessage) == vector.isValid) }
        #expect(!key.isValid(vector, over: signedMessage + "A"))
    }

    @Test("With a table a key judges other keys' signatures as without", arguments: curveKeys)
    func strangeSignatures(_ name: String) throws {
        let key = TestKey.published(try Self.tabulated(name))
        let plain = try TestKey(name)
        let own = signatureVectors.filter { $0.algorithm == .es256 }
        for vector in own + own.reversed() {
            let isRight = plain.isValid(vector, over: signedMessage)
            #expect(key.isValid(vector, over: signedMessage) == isRight, "\(vector.name)")
        }
    }

    @Test("OpenSSL's own check of PKCS #1 signatures says the same of each vector")
    func pkcs1() throws {
        for vector in signatureVectors {
            guard [.rs256, .rs384, .rs512].contains(vector.algorithm),
                let function = vector.algorithm.hash
            else { continue }
            let key = try publicKey(vector.key)
            guard case .rsa(let bits) = key.kind else { continue }
            let handle = try KeyHandle.parsing(key.subjectPublicKeyInfo)
            let ours = try PKCS1Check(handle, modulusBits: bits, function)
            let theirs = try DigestCheck(handle, vector.algorithm, function)
            let signature = bytes(vector.signature)
            guard signature.count == (bits + 7) / 8 else { continue }
            let message = Array(signedMessage.utf8)
            for change in [0, 1, 0x80] as [UInt8] {
                for place in [0, signature.count / 2, signature.count - 1] {
                    var changed = signature
                    changed[place] ^= change
                    let isRight = theirs.isValid(changed.span, over: message.span)
                    #expect(
                        ours.isValid(changed.span, over: message.span) == isRight,
                        "\(vector.name), octet \(place) changed by \(change)")
                    #expect(!isRight || vector.isValid == (change == 0))
                }
            }
        }
    }

    /// Bits that change in one of both halves.
    private static let changes: [(half: Int, bit: UInt8)] = [
        (0, 0x01), (0, 0x80), (1, 0x01), (1, 0x80),
    ]

    @Test("With and without a table a key says the same of hundreds of signatures, right and wrong")
    func differential() throws {
        for number in 0..<8 {
            let pair = try SigningKey()
            let plain = try VerificationKey(pair.publicKey)
            let tabulated = try VerificationKey(pair.publicKey)
            tabulated.adopt(try PointTable(pair.publicKey))
            for text in 0..<40 {
                let message = Array("message \(number) \(text)".utf8)
                let signature = try pair.sign(message)
                #expect(plain.accepts(signature, message))
                #expect(tabulated.accepts(signature, message))
                for (half, bit) in Self.changes {
                    var changed = signature
                    changed[half * 32 + text % 32] ^= bit
                    #expect(!plain.accepts(changed, message))
                    #expect(!tabulated.accepts(changed, message))
                }
                #expect(!tabulated.accepts(signature, message + [0]))
            }
        }
    }

    @Test(
        "A key asks for a table when it has checked a thousand signatures, and now and then again")
    func asking() throws {
        var asked: [PublicKey] = []
        let key = try VerificationKey(publicKey("p256")) {
            asked.append($0)
        }
        // Seen to be wrong by its numbers alone, which is quick.
        let wrong = [UInt8](repeating: 0, count: 64)
        for _ in 0..<999 { _ = key.accepts(wrong, []) }
        #expect(asked.isEmpty)
        for _ in 0..<1500 { _ = key.accepts(wrong, []) }
        #expect(asked == [try publicKey("p256")])
        for _ in 0..<20_000 { _ = key.accepts(wrong, []) }
        #expect(asked.count == 2)
        key.adopt(try PointTable(publicKey("p256")))
        for _ in 0..<20_000 { _ = key.accepts(wrong, []) }
        #expect(asked.count == 2)
    }

    @Test("A key takes no other key's table, and other kinds of keys have none")
    func strangers() throws {
        let key = try VerificationKey(publicKey("p256"))
        key.adopt(try PointTable(publicKey("p256 wrapped")))
        #expect(key.table == nil)
        for name in publicParts.keys where !name.hasPrefix("p256") {
            #expect(throws: OpenSSLError.invalidPoint) { try PointTable(publicKey(name)) }
        }
    }
}

extension VerificationKey {
    fileprivate func accepts(_ signature: [UInt8], _ message: [UInt8]) -> Bool {
        isValid(signature: signature.span, over: message.span, algorithm: .es256)
    }
}

/// A new key of P-256 that signs.
@safe
private final class SigningKey {
    let publicKey: PublicKey
    private let handle: OpaquePointer

    init() throws {
        let context = unsafe EVP_PKEY_CTX_new_from_name(nil, "EC", nil)
        defer { unsafe EVP_PKEY_CTX_free(context) }
        try #require(unsafe EVP_PKEY_keygen_init(context) == 1)
        try #require(unsafe EVP_PKEY_CTX_set_group_name(context, "P-256") == 1)
        var made: OpaquePointer?
        try #require(unsafe EVP_PKEY_generate(context, &made) == 1)
        let handle = try unsafe #require(made)
        unsafe self.handle = unsafe handle
        var der: UnsafeMutablePointer<UInt8>?
        let count = unsafe Int(i2d_PUBKEY(handle, &der))
        let info = unsafe [UInt8](UnsafeBufferPointer(start: der, count: count))
        unsafe CRYPTO_free(der, #file, 0)
        publicKey = try PublicKey(
            curve: .p256, x: Array(info.suffix(64).prefix(32)), y: Array(info.suffix(32)))
    }

    deinit { unsafe EVP_PKEY_free(handle) }

    /// r and s of 32 octets each.
    func sign(_ message: [UInt8]) throws -> [UInt8] {
        let context = unsafe EVP_MD_CTX_new()
        defer { unsafe EVP_MD_CTX_free(context) }
        var der = [UInt8](repeating: 0, count: 80)
        var count = der.count
        try #require(unsafe EVP_DigestSignInit(context, nil, EVP_sha256(), nil, handle) == 1)
        try #require(
            unsafe EVP_DigestSign(context, &der, &count, message, message.count) == 1)
        // SEQUENCE, length, then twice INTEGER, length, content.
        let first = Int(der[3])
        let second = Int(der[5 + first])
        return Self.half(der[4..<4 + first]) + Self.half(der[6 + first..<6 + first + second])
    }

    private static func half(_ integer: ArraySlice<UInt8>) -> [UInt8] {
        let digits = integer.drop { $0 == 0 }
        return [UInt8](repeating: 0, count: 32 - digits.count) + digits
    }
}
