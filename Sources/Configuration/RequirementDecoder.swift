import Authorization
import Bytes
import JSON
import JWT

/// What a route asks of a token: `issuers`, `audiences`, `scopes`, `claims`.
struct RequirementDecoder {
    /// What was read.
    struct Requirements {
        var issuers = AdmittedIssuers.all
        var audiences: [String] = []
        var scopes = ScopeRule()
        var claims: [ClaimRule] = []
    }

    let reader: ObjectReader
    /// The issuers' names in the order of the file.
    let issuers: [String]

    private var diagnostics: Diagnostics { reader.diagnostics }

    func decode() -> Requirements {
        Requirements(
            issuers: admittedIssuers(),
            audiences: filled("audiences", reader)?.map(\.value) ?? [],
            scopes: scopes(), claims: claims())
    }

    private func admittedIssuers() -> AdmittedIssuers {
        guard let names = filled("issuers", reader) else { return .all }
        var indexes: [Int] = []
        for name in names {
            if let index = issuers.firstIndex(where: { $0.isExactly(name.value) }) {
                indexes.append(index)
            } else {
                diagnostics.error(
                    "there is no issuer \"\(name.value)\"", at: name.offset,
                    hint: Suggestion.hint(for: name.value, among: issuers))
            }
        }
        return .only(indexes)
    }

    /// The strings of a list that must not be empty; nil where the key is absent.
    private func filled(_ key: String, _ reader: ObjectReader) -> [Located<String>]? {
        guard let value = reader.value(key) else { return nil }
        if value.array?.isEmpty == true {
            diagnostics.error(
                "\"\(key)\" is empty", at: value.offset, hint: "leave it out for no such rule")
        }
        return reader.strings(key)
    }

    // MARK: Scopes

    private func scopes() -> ScopeRule {
        guard let value = reader.value("scopes") else { return ScopeRule() }
        if value.array != nil { return ScopeRule(all: scopeList("scopes", reader)) }
        guard value.object != nil else {
            diagnostics.error(
                "\"scopes\" must be an array, or an object with \"all\" and \"any\"",
                at: value.offset)
            return ScopeRule()
        }
        guard let reader = ObjectReader(value, as: SchemaTables.scopes, diagnostics) else {
            return ScopeRule()
        }
        if !reader.has("all"), !reader.has("any") {
            diagnostics.error("\"scopes\" needs \"all\" or \"any\"", at: value.offset)
        }
        return ScopeRule(all: scopeList("all", reader), any: scopeList("any", reader))
    }

    private func scopeList(_ key: String, _ reader: ObjectReader) -> [String] {
        (filled(key, reader) ?? []).map { text in
            if !text.value.utf8.allSatisfy({ isScopeCharacter($0) }) {
                diagnostics.error(
                    "no scope: spaces, quotes, backslashes and controls cannot be in one",
                    at: text.offset, hint: "one string for each scope")
            }
            return text.value
        }
    }

    /// `NQCHAR` (RFC 6749, section 3.3).
    private func isScopeCharacter(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    // MARK: Claims

    private func claims() -> [ClaimRule] {
        reader.members("claims").compactMap { member in
            guard let name = ClaimName(member.name) else {
                diagnostics.error(
                    "no JSON Pointer: \"~\" stands before 0 or 1", at: member.nameOffset)
                return nil
            }
            return matcher(member.value).map { ClaimRule(name, $0) }
        }
    }

    private func matcher(_ value: JSONValue) -> ClaimMatcher? {
        switch value.kind {
        case .bool, .number, .string: return .equals(value)
        case .null, .array:
            diagnostics.error(
                "a claim must be a scalar, or an object with one of \"equals\", \"in\", "
                    + "\"contains\" and \"present\"", at: value.offset,
                hint: value.isNull ? "\"present\": false asks that it is absent" : nil)
            return nil
        case .object:
            guard let reader = ObjectReader(value, as: SchemaTables.claim, diagnostics) else {
                return nil
            }
            return matcher(reader)
        }
    }

    private func matcher(_ claim: ObjectReader) -> ClaimMatcher? {
        guard claim.object.members.count == 1 else {
            diagnostics.error(
                "a claim has exactly one of \"equals\", \"in\", \"contains\" and \"present\"",
                at: claim.offset)
            return nil
        }
        if let value = claim.value("equals") {
            if !value.isNull { return .equals(value) }
            diagnostics.error(
                "null is no claim's value", at: value.offset,
                hint: "\"present\": false asks that it is absent")
            return nil
        }
        if let value = claim.value("contains") { return isScalar(value) ? .contains(value) : nil }
        if claim.has("present") { return .present(claim.boolean("present")) }
        guard let list = claim.elements("in") else { return nil }
        if list.isEmpty {
            diagnostics.error("\"in\" is empty: no token would pass", at: claim.offset)
        }
        return .isIn(list.filter { isScalar($0) })
    }

    private func isScalar(_ value: JSONValue) -> Bool {
        if value.isScalar, !value.isNull { return true }
        diagnostics.error("this must be a string, a number, true or false", at: value.offset)
        return false
    }
}
