import HTTP
import Testing

@testable import Configuration

@Suite struct AddressTests {
    @Test(
        arguments: [
            ("0.0.0.0", [0, 0, 0, 0]), ("255.1.2.3", [255, 1, 2, 3]),
            ("::", [UInt8](repeating: 0, count: 16)),
            ("::1", [UInt8](repeating: 0, count: 15) + [1]),
            ("1::", [0, 1] + [UInt8](repeating: 0, count: 14)),
            ("2001:db8::ff", [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [0xff]),
            ("1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]),
            ("::ffff:1.2.3.4", [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 1, 2, 3, 4]),
            ("1:2:3:4:5:6:1.2.3.4", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 1, 2, 3, 4]),
            ("1::7:8", [0, 1] + [UInt8](repeating: 0, count: 10) + [0, 7, 0, 8]),
        ] as [(String, [UInt8])])
    func addressesAreRead(text: String, octets: [UInt8]) {
        #expect(IPAddressText.octets(text) == octets)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.", ".1.2.3", "1.2.3.4 ",
        "0x1.2.3.4", "-1.2.3.4",
        ":", ":::", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::",
        "::1%eth0", "1:",
        ":1", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1.2.3.4::", "::1.2.3", "::1.2.3.4:5",
        "[::1]", "+1::",
    ])
    func textsThatAreNoAddress(text: String) {
        #expect(IPAddressText.octets(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "::", false),
        ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "::1", false), ("::/0", "::1", true),
        ("::/0", "1.2.3.4", false), ("192.168.1.128/25", "192.168.1.129", true),
        ("192.168.1.128/25", "192.168.1.127", false), ("1.2.3.4", "1.2.3.4", true),
        ("1.2.3.4", "1.2.3.5", false),
        ("1.2.3.4/32", "1.2.3.4", true), ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("2001:db8::/33", "2001:db8:8000::1", false), ("::1", "::1", true),
        ("::1/128", "::2", false),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true), ("10.0.0.0/8", "::ffff:11.1.1.1", false),
        ("fe80::/10", "febf::1", true), ("fe80::/10", "fec0::1", false),
    ])
    func networksContain(network: String, address: String, isInside: Bool) throws {
        var proxies = TrustedProxies()
        proxies.add(try AddressRange(network))
        let octets = try #require(IPAddressText.octets(address))
        let contains = proxies.contains(octets.span)
        #expect(contains == isInside)
    }

    @Test(
        arguments: [
            ("", .notAnAddress), ("x", .notAnAddress), ("10.0.0.0/8/8", .notAnAddress),
            ("/8", .notAnAddress),
            ("10.0.0.0/", .prefixLength), ("10.0.0.0/33", .prefixLength),
            ("10.0.0.0/-1", .prefixLength),
            ("10.0.0.0/+8", .prefixLength), ("::/129", .prefixLength),
            ("10.0.0.0/8x", .prefixLength),
            ("10.0.0.1/8", .hostBits("10.0.0.0/8")), ("10.0.0.1/0", .hostBits("0.0.0.0/0")),
            ("2001:db8::1/32", .hostBits("2001:db8:0:0:0:0:0:0/32")),
        ] as [(String, AddressRange.Fault)])
    func textsThatAreNoNetwork(text: String, fault: AddressRange.Fault) {
        #expect(throws: fault) { try AddressRange(text) }
    }

    @Test(arguments: [
        ("0ms", Duration.zero), ("250ms", .milliseconds(250)), ("30s", .seconds(30)),
        ("10m", .seconds(600)),
        ("24h", .seconds(86400)),
    ])
    func durationsAreRead(text: String, expected: Duration) {
        #expect(Quantity.duration(text) == expected)
    }

    @Test(arguments: [
        "", "s", "1", "1S", "1us", "1 s", " 1s", "1s ", "1.5s", "-1s", "+1s", "1e3s", "١s", "1sec",
    ])
    func textsThatAreNoDuration(text: String) {
        #expect(Quantity.duration(text) == nil)
        #expect(Quantity.size(text) == nil)
    }

    @Test(arguments: [
        ("0B", 0), ("512B", 512), ("64KiB", 65536), ("1MiB", 1 << 20), ("2GiB", 2 << 30),
    ])
    func sizesAreRead(text: String, expected: Int) {
        #expect(Quantity.size(text) == expected)
        #expect(Quantity.text(expected) == text)
    }
}
