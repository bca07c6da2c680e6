import EventLoop
import Testing

@Suite struct AddressTests {
    @Test(
        "An address is read, and written in its usual form",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("127.0.0.1", "127.0.0.1"),
            ("255.255.255.255", "255.255.255.255"), ("10.20.30.40", "10.20.30.40"),
            ("::", "::"), ("::1", "::1"), ("0:0:0:0:0:0:0:1", "::1"),
            ("2001:DB8::A", "2001:db8::a"), ("2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("fe80::", "fe80::"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::ffff:c000:201", "::ffff:192.0.2.1"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
            (
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
            ),
        ])
    func text(_ text: String, _ usual: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == usual)
        #expect(IPAddress(usual) == address)
    }

    @Test(
        "What is no address is refused",
        arguments: [
            "", " ", ".", "1", "1.2", "1.2.3", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4.5",
            "256.0.0.1", "1.2.3.256", "1.2.3.-4", "+1.2.3.4", "01.2.3.4", "1.2.3.04", "0x7f.0.0.1",
            "2130706433", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\n", "1.2.3.4/24", "1.2.3.4:80",
            "1.2.3.4\0", "127.0.0.1\0.example.com", "::1\0", "\0", "１.2.3.4",
            ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::1", "::g",
            "[::1]", "::1%lo", "fe80::1%eth0", "::1/128", "::ffff:1.2.3", "::ffff:1.2.3.256",
            "::1.2.3.4.5", "1.2.3.4::", "localhost", "2001:db8::1 ",
        ])
    func refused(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(
        "Octets are in the order of the wire",
        arguments: [
            ("1.2.3.4", [1, 2, 3, 4]),
            ("102:304:506:708:90a:b0c:d0e:f10", (1...16).map { UInt8($0) }),
        ])
    func octets(_ text: String, _ octets: [UInt8]) {
        #expect(IPAddress(text)?.octets == octets)
    }

    @Test(
        "An IPv4 address in its IPv6 coat is plain IPv4, any other stays",
        arguments: [
            ("::ffff:127.0.0.1", "127.0.0.1"), ("::ffff:0:0", "0.0.0.0"),
            ("127.0.0.1", "127.0.0.1"), ("::127.0.0.1", "::127.0.0.1"),
            ("::fffe:127.0.0.1", "::fffe:7f00:1"), ("1::ffff:127.0.0.1", "1::ffff:7f00:1"),
            ("::1:ffff:7f00:1", "::1:ffff:7f00:1"), ("64:ff9b::1.2.3.4", "64:ff9b::1.2.3.4"),
        ])
    func unmapped(_ text: String, _ expected: String) {
        #expect(IPAddress(text)?.unmapped == IPAddress(expected))
    }

    @Test(
        "Where a socket listens is written with its port or its path",
        arguments: [
            (SocketAddress.ip(.v4(0x7f00_0001), port: 80), "127.0.0.1:80"),
            (.ip(.v6(high: 0, low: 1), port: 65535), "[::1]:65535"),
            (.unix("/run/bearward.sock"), "unix:/run/bearward.sock"), (.unix(""), "unix:"),
        ])
    func socketText(_ address: SocketAddress, _ text: String) {
        #expect(address.description == text)
    }

    @Test("A unix address has neither IP nor port")
    func parts() {
        let tcp = SocketAddress.ip(.v4(1), port: 2)
        #expect(tcp.ipAddress == .v4(1) && tcp.port == 2)
        let unix = SocketAddress.unix("/s")
        #expect(unix.ipAddress == nil && unix.port == nil)
    }
}
