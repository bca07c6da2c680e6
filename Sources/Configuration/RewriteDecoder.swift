import Authorization
import Bytes
import HTTP

/// How a route changes path and Host on the way.
enum RewriteDecoder {
    static func rewrite(
        _ route: ObjectReader, _ pattern: RoutePattern?
    ) -> Configuration.Rewrite {
        let reader = route.object("rewrite", as: SchemaTables.rewrite)
        let strip = reader.flatMap { prefix("stripPrefix", $0) }
        let add = reader.flatMap { prefix("addPrefix", $0) }
        if let strip, let pattern, let reader, !begins(pattern.path, with: strip.value) {
            reader.diagnostics.error(
                "not every path of the route begins with \"\(strip.value)\"", at: strip.offset)
        }
        return Configuration.Rewrite(
            stripPrefix: strip?.value ?? "", addPrefix: add?.value ?? "")
    }

    static func upstreamHost(_ route: ObjectReader) -> Configuration.UpstreamHost {
        guard let text = route.string("upstreamHost") else { return .preserve }
        switch text.value {
        case "preserve": return .preserve
        case "endpoint": return .endpoint
        default:
            if !Authority.isValid(text.value.utf8Span.span) {
                route.diagnostics.error(
                    "\"upstreamHost\" must be \"preserve\", \"endpoint\" or a host",
                    at: text.offset)
            }
            return .name(text.value)
        }
    }

    /// Whole segments in canonical form, none of them empty.
    private static func prefix(_ key: String, _ reader: ObjectReader) -> Located<String>? {
        guard let text = reader.string(key) else { return nil }
        var buffer = ByteBuffer()
        let form = CanonicalPath(of: text.value.utf8Span.span, rewritingInto: &buffer)
        let isPlain = form == .asReceived([]) && !text.value.hasSuffix("/")
        guard isPlain, !text.value.contains(where: { "?*{}".contains($0) }) else {
            reader.diagnostics.error(
                "\"\(key)\" must be a path without a final slash", at: text.offset,
                hint: "write \"/api\" or \"/api/v1\"")
            return nil
        }
        return text
    }

    private static func begins(_ path: PathPattern, with prefix: String) -> Bool {
        let wanted = prefix.utf8.dropFirst()
            .split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { PathPattern.Segment.literal(Array($0)) }
        return path.segments.starts(with: wanted)
    }
}
