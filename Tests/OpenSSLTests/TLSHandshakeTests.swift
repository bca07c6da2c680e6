import Foundation
import OpenSSL
import Testing

@Suite struct TLSHandshakeTests {
    @Test("Both sides agree and bytes go both ways")
    func plainHandshake() throws {
        let pair = try TLSPair(clientContext(), serverContext())
        #expect(pair.shakeHands() == .complete)
        #expect(pair.server.version == .tls13)
        #expect(!pair.server.isResumed)
        #expect(pair.client.write("question") == .wrote(8))
        #expect(pair.server.read().1 == Array("question".utf8))
        #expect(pair.server.write("answer") == .wrote(6))
        #expect(pair.client.read().1 == Array("answer".utf8))
    }
}
