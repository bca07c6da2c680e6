import Bytes
import OpenSSL

/// Which set of keys something is about: whose keys, and where they come from. What was fetched for
/// one is never used for another.
package struct KeySetIdentity: Sendable, Hashable {
    /// The issuer's exact `iss`; for a tenant the pattern.
    package let issuer: String
    /// The tenant, where keys are held for each.
    package let tenant: String?
    /// The place that the keys come from: `KeyLocation.text`.
    package let source: String

    /// The identity of one set.
    package init(issuer: String, tenant: String?, source: String) {
        self.issuer = issuer
        self.tenant = tenant
        self.source = source
    }

    /// A name for a file of this set: a digest in hexadecimal, so that nothing an issuer or a
    /// token says becomes part of a path.
    package var fileName: String {
        var text = ByteBuffer()
        // With lengths, so that no two identities give the same text.
        for part in [issuer, tenant ?? "", source] {
            text.append(decimal: part.utf8.count)
            text.append(byte: UInt8(ascii: ":"))
            text.append(part)
        }
        text.append(byte: tenant == nil ? 0x30 : 0x31)
        return text.withBytes { SHA256.digest(of: $0).hexadecimalText }
    }
}

extension [UInt8] {
    /// Two lower-case digits for each octet.
    var hexadecimalText: String {
        let digits = Array("0123456789abcdef".utf8)
        let text = flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
