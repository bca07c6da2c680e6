import Authorization
import HTTP
import JSON
import JWT

/// The fields that a route writes and removes.
struct FieldDecoder {
    let reader: ObjectReader
    let forwardsToken: Bool

    private var diagnostics: Diagnostics { reader.diagnostics }

    /// `claimHeaders`, each at its name's place.
    func claimHeaders() -> [Located<ClaimHeader>] {
        var headers: [Located<ClaimHeader>] = []
        for member in reader.members("claimHeaders") {
            let isAuthorization = FieldNameRules.kind(member.name) == .authorization
            if let fault = isAuthorization
                ? "Authorization carries no claim" : FieldNameRules.faultInRequest(member.name)
            {
                diagnostics.error(fault, at: member.nameOffset)
            }
            let own = FieldNameRules.comparable(member.name)
            if let twin = headers.first(where: { FieldNameRules.comparable($0.value.field) == own })
            {
                diagnostics.error(
                    "back ends take \(member.name) for the same field as \(twin.value.field)",
                    at: member.nameOffset, other: twin.offset)
            }
            guard let text = reader.string(member.value, "a claim's name") else { continue }
            guard let claim = ClaimName(text.value) else {
                diagnostics.error(
                    "no JSON Pointer: \"~\" stands before 0 or 1", at: text.offset)
                continue
            }
            headers.append(
                Located(
                    value: ClaimHeader(field: member.name, claim: claim), offset: member.nameOffset)
            )
        }
        return headers
    }

    /// `requestHeaders`.
    func requestFields(besides claimHeaders: [Located<ClaimHeader>]) -> Configuration.FieldEdits {
        guard let edits = reader.object("requestHeaders", as: SchemaTables.requestHeaders) else {
            return .none
        }
        for member in edits.members("set") {
            let own = FieldNameRules.comparable(member.name)
            if let twin = claimHeaders.first(where: {
                FieldNameRules.comparable($0.value.field) == own
            }) {
                diagnostics.error(
                    "\"claimHeaders\" writes \(member.name) too,", at: member.nameOffset,
                    other: twin.offset)
            }
            if forwardsToken, FieldNameRules.kind(member.name) == .authorization {
                diagnostics.error(
                    "\"forwardToken\" sends Authorization already", at: member.nameOffset)
            }
        }
        return self.edits(edits) { FieldNameRules.faultInRequest($0) }
    }

    /// `responseHeaders`.
    func responseFields() -> Configuration.FieldEdits {
        guard let edits = reader.object("responseHeaders", as: SchemaTables.responseHeaders) else {
            return .none
        }
        return self.edits(edits) { FieldNameRules.faultInResponse($0) }
    }

    private func edits(
        _ edits: ObjectReader, _ fault: (String) -> String?
    ) -> Configuration.FieldEdits {
        var set: [Configuration.FieldEdits.Field] = []
        var places: [(name: [UInt8], offset: Int)] = []
        for member in edits.members("set") {
            if let fault = fault(member.name) {
                diagnostics.error(fault, at: member.nameOffset)
            }
            let own = FieldNameRules.comparable(member.name)
            if let twin = places.first(where: { $0.name == own }) {
                diagnostics.error(
                    "\(member.name) is the same field as the one", at: member.nameOffset,
                    other: twin.offset)
            }
            places.append((own, member.nameOffset))
            guard let value = member.value.string else {
                diagnostics.error("a field's value must be a string", at: member.value.offset)
                continue
            }
            if let fault = FieldNameRules.faultOfValue(value) {
                diagnostics.error(fault, at: member.value.offset)
            }
            set.append(.init(name: member.name, value: value))
        }
        let removed = edits.strings("remove") ?? []
        for text in removed {
            if let fault = fault(text.value) { diagnostics.error(fault, at: text.offset) }
        }
        return Configuration.FieldEdits(set: set, remove: removed.map(\.value))
    }
}
