import EventLoop
import Testing

@Suite struct ResolverTests {
    @Test("localhost is this machine")
    func localhost() throws {
        let addresses = try Resolver.addresses(of: "localhost", port: 8080)
        let expected = ["127.0.0.1", "::1"].compactMap { IPAddress($0) }
            .map { SocketAddress.ip($0, port: 8080) }
        #expect(!addresses.isEmpty)
        #expect(addresses.allSatisfy(expected.contains))
        #expect(Set(addresses).count == addresses.count, "without repeats")
    }

    @Test(
        "A literal address is its own answer",
        arguments: ["127.0.0.1", "192.0.2.7", "::1", "2001:db8::7"])
    func literal(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(try Resolver.addresses(of: text, port: 443) == [.ip(address, port: 443)])
    }

    @Test(
        "What is no name, or nobody's, is an error",
        arguments: [
            "", " ", "a b", "[::1]", "localhost\0", "127.0.0.1\0.example", "127.0.0.256",
            "bearward.invalid", String(repeating: "a", count: 64) + ".invalid",
            String(repeating: "a.", count: 200),
        ])
    func unknown(_ name: String) {
        let error = #expect(throws: SystemError.self) {
            try Resolver.addresses(of: name, port: 80)
        }
        #expect(error?.call == .getaddrinfo)
    }
}
