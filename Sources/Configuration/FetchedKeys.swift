internal import JWT
package import Keys
package import OpenSSL

extension Configuration {
    /// Keys that are fetched from an issuer.
    package struct FetchedKeys: Equatable, Sendable {
        /// Where and when they are fetched. Where each tenant has its own, the location has
        /// `{tenant}` in it; see `policy(forTenant:)`.
        package let policy: KeyFetchPolicy
        /// Whether they may come in clear text from where it is not this machine.
        package let allowsPlainHTTP: Bool
        /// Who issues the certificates of those who have the keys, as PEM; nil for whom the system
        /// trusts.
        package let ca: String?
        /// What the file held when the configuration was read.
        package let settings: TLSClientContext.Settings
    }
}

extension Configuration.FetchedKeys {
    /// HTTP/2 would gain nothing: a fetch is one request on a connection of its own.
    static let protocols: [ApplicationProtocol] = [.http11]

    /// Whether each tenant has keys of its own.
    package var isPerTenant: Bool { policy.location.isPerTenant }

    /// Where and when a tenant's keys are fetched; all tenants' are the issuer's where it has one
    /// set for all. Nil for what is no tenant's name.
    package func policy(forTenant tenant: String) -> KeyFetchPolicy? {
        TenantRules.isName(tenant) ? policy.forTenant(tenant) : nil
    }

    /// Every file, in the order of the configuration.
    package var files: [String] { [ca].compactMap { $0 } }

    /// The settings with what the file holds now; `read` gives a file's contents.
    package func settings<Fault: Error>(
        reading read: (String) throws(Fault) -> [UInt8]
    ) throws(Fault) -> TLSClientContext.Settings {
        TLSClientContext.Settings(trust: try ca.map(read), protocols: settings.protocols)
    }
}
