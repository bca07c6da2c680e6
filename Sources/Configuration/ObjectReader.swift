import JSON

/// A value and where it stands in the file.
struct Located<Value> {
    let value: Value
    let offset: Int
}

/// One object of the configuration, read by its schema.
///
/// Reading never stops: a problem is reported and nil or the default is returned, so that one run
/// finds every problem.
struct ObjectReader {
    let object: JSONObject
    let offset: Int
    let schema: ObjectSchema
    let diagnostics: Diagnostics

    /// Reports unknown and missing keys; nil where the value is no object.
    init?(_ value: JSONValue, as schema: ObjectSchema, _ diagnostics: Diagnostics) {
        guard let object = value.object else {
            diagnostics.error("\(schema.name) must be an object", at: value.offset)
            return nil
        }
        self.object = object
        offset = value.offset
        self.schema = schema
        self.diagnostics = diagnostics
        checkNames()
    }

    private func checkNames() {
        for member in object.members {
            guard let key = schema.keys.first(where: { $0.name == member.name }) else {
                let known = schema.keys.filter(\.isAvailable).map(\.name)
                diagnostics.error(
                    "\"\(member.name)\" is no key of \(schema.name)", at: member.nameOffset,
                    hint: Suggestion.hint(for: member.name, among: known))
                continue
            }
            if !key.isAvailable {
                diagnostics.error("\"\(key.name)\" is not in this version", at: member.nameOffset)
            }
        }
        for key in schema.keys where key.isRequired && object[key.name] == nil {
            diagnostics.error("\(schema.name) lacks \"\(key.name)\"", at: offset)
        }
    }

    // MARK: Values

    /// The value as it stands, or nil; defaults do not count.
    func value(_ name: String) -> JSONValue? {
        _ = key(name)
        return object[name]
    }

    /// Whether the file has the key.
    func has(_ name: String) -> Bool { value(name) != nil }

    func string(_ name: String) -> Located<String>? {
        guard let value = valueOrDefault(name) else { return nil }
        return string(value, "\"\(name)\"")
    }

    func boolean(_ name: String) -> Bool {
        guard let value = valueOrDefault(name) else { return false }
        if let boolean = value.bool { return boolean }
        diagnostics.error("\"\(name)\" must be true or false", at: value.offset)
        return false
    }

    func integer(_ name: String) -> Int? {
        guard let value = valueOrDefault(name) else { return nil }
        guard case .integer(let range) = key(name).type else { return wrongType(name) }
        if let number = value.number?.integer, let number = Int(exactly: number),
            range.contains(number)
        {
            return number
        }
        diagnostics.error(
            "\"\(name)\" must be a whole number from \(range.lowerBound) to \(range.upperBound)",
            at: value.offset)
        return nil
    }

    func duration(_ name: String) -> Duration? {
        guard let value = valueOrDefault(name) else { return nil }
        guard case .duration(let range) = key(name).type else { return wrongType(name) }
        guard let duration = value.string.flatMap({ Quantity.duration($0) }) else {
            diagnostics.error(
                "\"\(name)\" must be a duration", at: value.offset,
                hint: "write \"250ms\", \"30s\", \"10m\" or \"24h\"")
            return nil
        }
        guard range.contains(duration) else {
            let bounds =
                "\(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound))"
            diagnostics.error("\"\(name)\" must be from \(bounds)", at: value.offset)
            return nil
        }
        return duration
    }

    func size(_ name: String) -> Int? {
        guard let value = valueOrDefault(name) else { return nil }
        guard case .size(let range) = key(name).type else { return wrongType(name) }
        guard let size = value.string.flatMap({ Quantity.size($0) }) else {
            diagnostics.error(
                "\"\(name)\" must be a size", at: value.offset,
                hint: "write \"512B\", \"64KiB\", \"1MiB\" or \"2GiB\"")
            return nil
        }
        guard range.contains(size) else {
            let bounds =
                "\(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound))"
            diagnostics.error("\"\(name)\" must be from \(bounds)", at: value.offset)
            return nil
        }
        return size
    }

    func choice(_ name: String) -> String? {
        guard let value = valueOrDefault(name) else { return nil }
        guard case .choice(let known) = key(name).type else { return wrongType(name) }
        return choice(value, among: known, "\"\(name)\"")?.value
    }

    // MARK: Lists

    /// The elements of an array, or of its default; nil where the key is absent or no array.
    func elements(_ name: String) -> [JSONValue]? {
        guard let value = valueOrDefault(name) else { return nil }
        if let elements = value.array { return elements }
        diagnostics.error("\"\(name)\" must be an array", at: value.offset)
        return nil
    }

    /// The strings of an array that are not empty; nil where the key is absent or no array.
    func strings(_ name: String) -> [Located<String>]? {
        elements(name)?.compactMap { string($0, "each of \"\(name)\"") }
    }

    /// The strings of an array of choices.
    func choices(_ name: String) -> [Located<String>]? {
        guard case .array(.choice(let known)) = key(name).type else { return wrongType(name) }
        return elements(name)?.compactMap { choice($0, among: known, "each of \"\(name)\"") }
    }

    /// The members of an object whose names are the file's own; none where the key is absent.
    func members(_ name: String) -> [JSONObject.Member] {
        guard let value = value(name) else { return [] }
        guard let object = value.object else {
            diagnostics.error("\"\(name)\" must be an object", at: value.offset)
            return []
        }
        for member in object.members where member.name.isEmpty {
            diagnostics.error("\"\(name)\" has an empty name", at: member.nameOffset)
        }
        return object.members
    }

    /// The object under a key; an empty one, so that its defaults hold, where the key is absent.
    func object(_ name: String, as schema: ObjectSchema) -> ObjectReader? {
        ObjectReader(
            value(name) ?? JSONValue(.object(JSONObject()), at: offset), as: schema, diagnostics)
    }

    /// A string that is not empty.
    func string(_ value: JSONValue, _ what: String) -> Located<String>? {
        guard let text = value.string, !text.isEmpty else {
            diagnostics.error("\(what) must be a string that is not empty", at: value.offset)
            return nil
        }
        return Located(value: text, offset: value.offset)
    }

    private func choice(
        _ value: JSONValue, among known: [String], _ what: String
    ) -> Located<String>? {
        if let text = value.string, known.contains(text) {
            return Located(value: text, offset: value.offset)
        }
        let list = known.map { "\"\($0)\"" }.joined(separator: ", ")
        diagnostics.error(
            "\(what) must be \(known.count > 1 ? "one of " : "")\(list)", at: value.offset,
            hint: value.string.flatMap { Suggestion.hint(for: $0, among: known) })
        return nil
    }

    // MARK: The schema

    private func key(_ name: String) -> SchemaKey {
        guard let key = schema.keys.first(where: { $0.name == name }) else {
            preconditionFailure("the decoder reads \(schema.name).\(name), which has no schema")
        }
        diagnostics.noteKey(name, of: schema.name)
        return key
    }

    private func valueOrDefault(_ name: String) -> JSONValue? {
        if let value = object[name] {
            _ = key(name)
            return value
        }
        guard let text = key(name).defaultText else { return nil }
        guard let value = try? JSONValue(parsing: text.utf8Span.span) else {
            preconditionFailure("the default of \(schema.name).\(name) is no JSON")
        }
        return JSONValue(value.kind, at: offset)
    }

    private func wrongType<Value>(_ name: String) -> Value? {
        preconditionFailure("the decoder reads \(schema.name).\(name) as what it is not")
    }
}
