import Testing

@testable import JWT

@Suite struct Base64URLTests {
    @Test(
        "RFC 4648's examples without padding, both ways",
        arguments: [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
        ])
    func examples(_ bytes: String, _ text: String) {
        #expect(strict(text) == Array(bytes.utf8))
        #expect(encoded(Array(bytes.utf8)) == text)
    }

    @Test("Every byte survives, at every length modulo three")
    func roundTrip() {
        for count in 0..<8 {
            let bytes = (0..<(256 + count)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ count) }
            #expect(strict(encoded(bytes)) == bytes)
        }
    }

    @Test(
        "Padding, the other alphabet, white space, stray bits and odd lengths are refused",
        arguments: [
            "Zg==", "Zg=", "Zm8=", "Zm9v=", "Zm9vYg==", "=", "==", "=Zg", "Z", "Zm9vY", "-+-+",
            "+A",
            "/A", "Zm+v", "Zm/v", " Zm9v", "Zm9v ", "Zm 9v", "Zm9v\n", "\tZm9", "Zm9v\r\n", "Zh",
            "Zn",
            "Z_", "Zm9", "Zm-", "Zm8.", "Zm.v", "Zm9\u{0}", "Zmé", "Ｚm9v", "*m9v", "Zm9v%3D",
        ])
    func refused(_ text: String) {
        #expect(strict(text) == nil)
    }

    @Test(
        "JWK members may carry standard base64 and padding",
        arguments: [
            ("Zg==", "f"), ("Zg", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zh", "f"), ("", ""),
        ])
    func lenient(_ text: String, _ bytes: String) {
        #expect(leniently(text) == Array(bytes.utf8))
    }

    @Test(
        "Even there, white space and misplaced padding are refused",
        arguments: ["Z", "Zg=", "Zg===", "=", "==", "Z===", "Zg ==", "Zm9v\n", "Zm=v", "Zm9v!AAA"])
    func notEvenLeniently(_ text: String) {
        #expect(leniently(text) == nil)
    }

    @Test("Both alphabets give the same bytes")
    func alphabets() {
        #expect(leniently("-_-_") == leniently("+/+/"))
        #expect(leniently("-_-_") == [0xfb, 0xff, 0xbf])
    }

    private func strict(_ text: String) -> [UInt8]? {
        let text = Array(text.utf8)
        return Base64URL.decode(text.span)
    }

    private func leniently(_ text: String) -> [UInt8]? {
        let text = Array(text.utf8)
        return Base64URL.decodeLeniently(text.span)
    }
}
