internal import Bytes
internal import Keys

/// The keys in numbers, in Prometheus' text format 0.0.4.
struct KeyMetrics {
    static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

    /// Writes one family a fact, each with a sample a key set.
    static func write(_ sets: [IssuerKeyStatus], to output: inout ByteBuffer) {
        // A name that a stranger made up makes no series: those of a scraper stay for ever.
        let metrics = KeyMetrics(sets: sets.filter { $0.tenant == nil || $0.hasHadKeys })
        metrics.writeState(to: &output)
        metrics.writeCounts(to: &output)
    }

    private let sets: [IssuerKeyStatus]

    private func writeState(to output: inout ByteBuffer) {
        family(
            "bearward_keys_usable", "gauge", "Keys that signatures are checked with.", &output
        ) { $0.obtainedFrom == .secret ? 1 : $0.keys.count }
        family(
            "bearward_keys_skipped", "gauge", "Keys of the set that cannot or must not be used.",
            &output
        ) { $0.skipped.count }
        family(
            "bearward_keys_stale", "gauge",
            "1 where the keys are older than they should be, or there are none.", &output
        ) { $0.state == .fresh ? 0 : 1 }
        family(
            "bearward_keys_age_seconds", "gauge", "Seconds since the source last gave the keys.",
            &output
        ) { set in set.age.map { Int($0) } }
        family(
            "bearward_keys_stale_until_timestamp_seconds", "gauge",
            "When keys that cannot be fetched again are given up, in seconds since 1970.", &output
        ) { set in set.staleUntil.map { Int($0) } }
    }

    private func writeCounts(to output: inout ByteBuffer) {
        family(
            "bearward_key_fetches_total", "counter", "Looks at the source, for whatever cause.",
            &output
        ) { $0.counts.fetches }
        family(
            "bearward_key_fetch_failures_total", "counter", "Looks that gave no usable key set.",
            &output
        ) { $0.counts.failures }
        family(
            "bearward_key_unknown_fetches_total", "counter",
            "Looks caused by a token with an unknown kid.", &output
        ) { $0.counts.unknownKeyFetches }
    }

    private func family(
        _ name: StaticString, _ kind: StaticString, _ help: StaticString,
        _ output: inout ByteBuffer, value: (IssuerKeyStatus) -> Int?
    ) {
        output.append("# HELP ")
        output.append(name)
        output.append(" ")
        output.append(help)
        output.append("\n# TYPE ")
        output.append(name)
        output.append(" ")
        output.append(kind)
        output.append("\n")
        for set in sets {
            guard let value = value(set) else { continue }
            output.append(name)
            output.append("{issuer=\"")
            KeyMetrics.appendLabel(set.issuer, to: &output)
            if let tenant = set.tenant {
                output.append("\",tenant=\"")
                KeyMetrics.appendLabel(tenant, to: &output)
            }
            output.append("\"} ")
            output.append(decimal: value)
            output.append("\n")
        }
    }

    /// A label's value has three escapes: of the backslash, the quote and the line's end.
    private static func appendLabel(_ text: String, to output: inout ByteBuffer) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): output.append("\\\\")
            case UInt8(ascii: "\""): output.append("\\\"")
            case UInt8(ascii: "\n"): output.append("\\n")
            default: output.append(byte: byte)
            }
        }
    }
}
