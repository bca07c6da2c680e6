internal import Bytes
internal import COpenSSL

/// Why a TLS connection failed.
package enum TLSFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The peer's certificate was not accepted, in OpenSSL's words.
    case certificate(String)
    /// The peer sent this alert.
    case alert(String)
    /// The peer broke the protocol or shares nothing with us.
    case `protocol`(String)
    /// The peer closed the connection before the handshake was complete, or it was ended here.
    case closed
    /// The system's error for the socket.
    case system(Int32)

    /// For logs.
    package var description: String {
        switch self {
        case .certificate(let reason): "certificate: \(reason)"
        case .alert(let name): "alert: \(name)"
        case .protocol(let reason): "protocol: \(reason)"
        case .closed: "closed"
        case .system(let code): "system error \(code)"
        }
    }
}

extension TLSFault {
    /// Alerts are reported as reasons from here on (SSL_AD_REASON_OFFSET).
    private static let firstAlert: Int32 = 1000

    /// What the error queue and the session say of a failure. Empties the queue.
    static func last(of ssl: OpaquePointer) -> TLSFault {
        let error = ERR_peek_error()
        ERR_clear_error()
        let reason = ERR_GET_REASON(error)
        let isFromTLS = ERR_GET_LIB(error) == ERR_LIB_SSL
        if isFromTLS, reason == SSL_R_CERTIFICATE_VERIFY_FAILED {
            let verdict = unsafe SSL_get_verify_result(ssl)
            return .certificate(unsafe text(X509_verify_cert_error_string(verdict)))
        }
        if isFromTLS, reason > firstAlert, reason < firstAlert + 256 {
            return .alert(alertName(error))
        }
        return .protocol(reasonText(error))
    }

    /// An alert's name: OpenSSL's words are "tlsv13 alert certificate required" and the like. (Its
    /// list of alerts ends before TLS 1.3's.)
    private static func alertName(_ error: UInt) -> String {
        let words = reasonText(error).split(separator: " ").dropFirst()
        return words.drop { $0 == "alert" }.joined(separator: " ")
    }

    /// OpenSSL's words for an error, or "unknown".
    static func reasonText(_ error: UInt) -> String {
        unsafe text(ERR_reason_error_string(error))
    }

    /// A static string of OpenSSL's.
    @unsafe
    private static func text(_ words: UnsafePointer<CChar>?) -> String {
        guard let words = unsafe words else { return "unknown" }
        return unsafe String(cString: words)
    }
}
