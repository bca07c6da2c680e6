import EventLoop
import Testing

@testable import Gateway

/// A gateway with an issuer whose keys are fetched, in the hands of a scripted control thread.
struct FetchingGateway {
    let upstream: ScriptedUpstream
    let gateway: RunningGateway
    let control: ScriptedControl

    /// One worker unless `more` says otherwise. `route`: members of the one route, for every path.
    init(
        route: String = "", tenants: String = "", more: String = "", h2c: Bool = false,
        isLogging: Bool = false
    ) throws {
        upstream = try ScriptedUpstream()
        let issuer =
            tenants.isEmpty
            ? "https://login.example.com/" : "https://login.example.com/{tenant}/v2.0"
        let url = tenants.isEmpty ? "keys" : "{tenant}/keys"
        gateway = try RunningGateway(
            """
            {
              "listeners": [{ "address": "127.0.0.1:0" }],
              "issuers": {
                "login": {
                  "issuer": "\(issuer)", "audiences": ["https://api.example.com"],
                  \(tenants.isEmpty ? "" : #""tenants": \#(tenants),"#)
                  "keys": { "url": "http://127.0.0.1:1/\(url)" }
                }
              },
              "upstreams": { "up": { "endpoints": ["\(h2c ? upstream.h2cURL : upstream.url)"] } },
              "routes": [{ "path": "/**", \(route.isEmpty ? "" : route + ",") "upstream": "up" }],
              \(more.isEmpty ? "" : more + ",")
              "log": { "access": "off" }
            }
            """, isLogging: isLogging)
        control = try ScriptedControl(gateway)
    }

    /// Takes the next request at the upstream, and answers it.
    func serveNext() throws {
        let connection = try upstream.accept()
        _ = connection.readHead()
        connection.send(ok())
    }
}

/// A request with a token.
func authorized(_ token: String, _ path: String = "/", _ fields: String = "") -> String {
    get(path, "Authorization: Bearer \(token)\r\n\(fields)")
}
