import Keys
import Testing

@Suite struct FetchURLTests {
    @Test("A URL is read into its parts")
    func parts() throws {
        let url = try #require(FetchURL("HTTPS://Login.Example.com:8443/a/jwks?x=1"))
        #expect(url.isSecure)
        #expect(url.host == "login.example.com")
        #expect(url.port == 8443)
        #expect(url.target == "/a/jwks?x=1")
        #expect(url.text == "https://login.example.com:8443/a/jwks?x=1")
    }
}
