/// What this program calls itself.
package enum Product {
    /// Its version, also what key servers are told.
    package static let version = "0.1.0"
}
