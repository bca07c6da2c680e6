import OpenSSL
import Testing

@Suite struct SignatureTests {
    @Test(
        "A signature counts only in JOSE's own form and under its own algorithm",
        arguments: signatureVectors)
    func everyVector(_ vector: SignatureVector) throws {
        #expect(try TestKey(vector.key).isValid(vector, over: signedMessage) == vector.isValid)
    }

    @Test(
        "A good signature is not one over another message",
        arguments: signatureVectors.filter(\.isValid))
    func otherMessage(_ vector: SignatureVector) throws {
        #expect(try !TestKey(vector.key).isValid(vector, over: signedMessage + "A"))
    }

    @Test("A key gives the same answers however often and in whatever order it is asked")
    func reuse() throws {
        var keys: [String: TestKey] = [:]
        for vector in signatureVectors + signatureVectors.reversed() {
            let key = try keys[vector.key] ?? TestKey(vector.key)
            keys[vector.key] = key
            #expect(key.isValid(vector, over: signedMessage) == vector.isValid, "\(vector.name)")
        }
    }

    @Test(
        "No public key answers to an algorithm of another family",
        arguments: publicParts.keys.sorted())
    func otherFamilies(_ name: String) throws {
        let family = try publicKey(name).family
        let key = try TestKey(name)
        for vector in signatureVectors where vector.isValid && vector.algorithm.family != family {
            #expect(try !publicKey(name).fits(vector.algorithm))
            #expect(!key.isValid(vector, over: signedMessage), "\(vector.name)")
        }
    }

    @Test("A secret below 32 octets is refused", arguments: [0, 1, 31])
    func tooShortSecrets(_ count: Int) {
        #expect(throws: OpenSSLError.shortSecret) {
            try SecretKey([UInt8](repeating: 7, count: count))
        }
    }

    @Test("SHA-256 of FIPS 180-4's example")
    func digest() {
        let message = Array("abc".utf8)
        let digest = SHA256.digest(of: message.span)
        #expect(
            digest
                == bytes("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
    }
}
