/// How an exchange ended: the plain facts of its log line.
package struct ExchangeOutcome: Equatable, Sendable {
    /// The status sent to the client, 0 where none was.
    package var status = 0
    /// What was decided.
    package var decision = Decision.allowed
    /// Why it was refused or failed, nil where it went well.
    package var reason: Reason?
    /// What the reason alone does not say, such as a certificate's fault.
    package var detail: String?
    /// Bytes of the request's body that arrived.
    package var bytesIn: Int64 = 0
    /// Bytes of the response's body that were sent.
    package var bytesOut: Int64 = 0
    /// From the request's first byte to the response's last, in nanoseconds.
    package var nanoseconds: Int64 = 0
    /// The status that the upstream sent, 0 where none was.
    package var upstreamStatus = 0
    /// How often an upstream was tried.
    package var tries = 0

    /// An outcome with nothing in it.
    package init() {}
}
