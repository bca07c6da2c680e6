internal import COpenSSL

/// What a server gave to resume a session with, for the next connection to the same peer.
@safe
package final class TLSResumption {
    let pointer: OpaquePointer
    /// For whom and under which rules the peer was verified.
    let name: TLSServerName
    let context: TLSClientContext

    init(owning pointer: OpaquePointer, _ name: TLSServerName, _ context: TLSClientContext) {
        unsafe self.pointer = unsafe pointer
        self.name = name
        self.context = context
    }

    deinit {
        unsafe SSL_SESSION_free(pointer)
    }
}
