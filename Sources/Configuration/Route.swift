package import Authorization

extension Configuration {
    /// One route: what it asks for, and what happens to what it lets pass.
    package struct Route: Sendable {
        /// What it asks for.
        package let rules: RouteRules
        /// The upstream's index.
        package let upstream: Int
        /// How the path changes on its way.
        package let rewrite: Rewrite
        /// The Host that is sent.
        package let upstreamHost: UpstreamHost
        /// Whether `Authorization` is forwarded.
        package let forwardToken: Bool
        /// Changes to the request's fields.
        package let requestFields: FieldEdits
        /// Changes to the response's fields.
        package let responseFields: FieldEdits
        /// Deadlines in place of the upstream's.
        package let timeouts: RouteTimeouts
        /// Longest request body; nil for no bound.
        package let maxBody: Int?
    }

    /// How a path changes on its way. Both prefixes begin with a slash and end with none; empty
    /// ones change nothing.
    package struct Rewrite: Equatable, Sendable {
        /// Taken from the front; every path of the route begins with it.
        package let stripPrefix: String
        /// Put before what remains.
        package let addPrefix: String
    }

    /// The Host that is sent.
    package enum UpstreamHost: Equatable, Sendable {
        /// The client's.
        case preserve
        /// The endpoint's own.
        case endpoint
        /// This one.
        case name(String)
    }

    /// Changes to fields: removals come first.
    package struct FieldEdits: Equatable, Sendable {
        /// A field that is written.
        package struct Field: Equatable, Sendable {
            /// Its name.
            package let name: String
            /// Its value, which cannot end the line.
            package let value: String
        }

        /// Written in place of any that came.
        package let set: [Field]
        /// Removed.
        package let remove: [String]

        /// No change.
        package static let none = FieldEdits(set: [], remove: [])
    }

    /// Deadlines in place of the upstream's; nil for those.
    package struct RouteTimeouts: Equatable, Sendable {
        /// To connect.
        package let connect: Duration?
        /// From the request sent to the response's head.
        package let response: Duration?
        /// Silence in a response's body or a tunnel.
        package let stream: Duration?
    }
}
