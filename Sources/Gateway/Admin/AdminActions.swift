/// What the admin listener tells and does, by those who know and can. All are called on the control
/// thread, once for a request, and return at once.
struct AdminActions {
    /// Whether requests can be decided about now.
    let readiness: () -> AdminReadiness
    /// How everything is now.
    let status: () -> StatusDocument
    /// Fetches the keys of the issuer with this name, or of all; nil where there is no such issuer.
    let refresh: (String?) -> [AdminRefresh]?
}
