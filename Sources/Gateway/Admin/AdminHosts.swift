internal import Bytes
internal import Configuration
internal import EventLoop
internal import HTTP

/// The hosts by which the admin listener may be called: any address, `localhost`, and the name that
/// the configuration gives it.
///
/// A web page can make a browser call a listener on the loopback, by a name of the page's own that
/// resolves to it (DNS rebinding); then the browser takes the answer for the page's own. Such a
/// call has the page's name in `Host`.
struct AdminHosts {
    private let name: String?

    init(_ address: Configuration.ListenAddress) {
        switch address {
        case .tcp(let host, _): name = host
        case .unix: name = nil
        }
    }

    /// Whether requests to this authority, a valid one, are served.
    func admits(_ authority: Span<UInt8>) -> Bool {
        let host = authority.extracting(0..<Authority.hostLength(in: authority))
        if host.isEqualIgnoringCase(to: "localhost") { return true }
        if let name, host.isEqualIgnoringCase(to: name.utf8Span.span) { return true }
        return AdminHosts.isAddress(host)
    }

    private static func isAddress(_ host: Span<UInt8>) -> Bool {
        let isBracketed = !host.isEmpty && host[0] == UInt8(ascii: "[")
        let text =
            isBracketed && host.count > 2
            ? host.extracting(1..<host.count &- 1) : host
        guard let text = String(validating: text), let address = IPAddress(text) else {
            return false
        }
        if case .v6 = address { return isBracketed }
        return !isBracketed
    }
}
