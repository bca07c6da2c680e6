import Bytes

/// What happens to a field of a client's request because of its name.
package enum FieldVerdict: Equatable, Sendable {
    /// It passes.
    case keep
    /// It is removed: back ends take such names for ours.
    case remove
    /// `Forwarded` or a well-known `X-Forwarded-…`, written with hyphens: kept from a trusted
    /// proxy, removed from everybody else.
    case forwarding
    /// It looks like a field that decides about framing or rights: 400.
    case refuse
}

/// The field names that a client may not send, because we write them or because back ends believe
/// them.
///
/// Names are compared without case, with `_` and `.` read as `-`: CGI, WSGI and their like turn all
/// three into one (RFC 3875, section 4.1.18), so `X_Forwarded_User` arrives as `X-Forwarded-User`.
///
/// A worker has its own, so that looking at it counts no references shared between threads.
package final class FieldNamePolicy {
    private struct Entry {
        /// Where the comparable octets of the name, or of the beginning of names, stand.
        let octets: Range<Int>
        let isPrefix: Bool
        let verdict: FieldVerdict
    }

    /// The octets of all entries.
    private let octets: [UInt8]
    /// Entries in the order of their first octet; among those the first that fits decides.
    private let entries: [Entry]
    /// Where the entries for a first octet begin; those for the next one end them.
    private let starts: [Int]

    /// A policy over names, where one that ends in `*` stands for all that begin like it.
    ///
    /// `removed` is what routes write and what `identityHeaders` lists; what the proxy itself needs
    /// is added here.
    package init(removing removed: [String]) {
        var names: [(name: [UInt8], verdict: FieldVerdict)] = []
        func add(_ list: [String], _ verdict: FieldVerdict) {
            for name in list { names.append((name.utf8.map { comparable($0) }, verdict)) }
        }
        add(lookAlikes, .refuse)
        add(removed, .remove)
        add(trustedForwarding, .forwarding)
        add(["X-Forwarded-*"], .remove)
        var octets: [UInt8] = []
        var entries: [Entry] = []
        var starts: [Int] = []
        for first in UInt8(0)..<128 {
            starts.append(entries.count)
            for (name, verdict) in names where name.first == first {
                let isPrefix = name.last == UInt8(ascii: "*")
                let start = octets.count
                octets += isPrefix ? name.dropLast() : name[...]
                entries.append(
                    Entry(octets: start..<octets.count, isPrefix: isPrefix, verdict: verdict))
            }
        }
        starts.append(entries.count)
        self.octets = octets
        self.entries = entries
        self.starts = starts
    }

    /// What happens to a field of this name.
    package func verdict(on name: Span<UInt8>) -> FieldVerdict {
        guard !name.isEmpty else { return .refuse }
        let first = Int(comparable(name[0]))
        guard first < 128 else { return .refuse }
        for i in starts[first]..<starts[first &+ 1] {
            let entry = entries[i]
            if fits(name, entry) {
                return verdict(entry.verdict, on: name)
            }
        }
        return .keep
    }

    private func fits(_ name: Span<UInt8>, _ entry: Entry) -> Bool {
        let wanted = entry.octets.count
        guard entry.isPrefix ? name.count >= wanted : name.count == wanted else { return false }
        // Names differ at their ends more often than at their beginnings.
        var i = wanted
        while i > 0 {
            i &-= 1
            if comparable(name[i]) != octets[entry.octets.lowerBound &+ i] { return false }
        }
        return true
    }

    private func verdict(_ verdict: FieldVerdict, on name: Span<UInt8>) -> FieldVerdict {
        switch verdict {
        case .keep, .remove: verdict
        // As written in the RFC it is the field itself, which the message parser has judged.
        case .refuse: isWrittenWithHyphens(name) ? .keep : .refuse
        // From a trusted proxy too: it passes on what it does not know.
        case .forwarding: isWrittenWithHyphens(name) ? .forwarding : .remove
        }
    }
}

/// Fields that decide who may do what and where a message ends.
private let lookAlikes = [
    "Authorization", "Host", "Connection", "Content-Length", "Transfer-Encoding",
]

/// The forwarding fields that a trusted proxy's word is taken for.
private let trustedForwarding = [
    "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port",
    "X-Forwarded-Prefix",
]

private func comparable(_ byte: UInt8) -> UInt8 {
    byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
        ? UInt8(ascii: "-") : ASCII.lowercased(byte)
}

private func isWrittenWithHyphens(_ name: Span<UInt8>) -> Bool {
    for i in 0..<name.count where name[i] == UInt8(ascii: "_") || name[i] == UInt8(ascii: ".") {
        return false
    }
    return true
}
