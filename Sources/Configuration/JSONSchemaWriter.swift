import Bytes
import JSON

/// The tables of keys as a JSON Schema (2020-12): what ships as `proxy.schema.json`.
enum JSONSchemaWriter {
    /// The whole schema, indented, with a final newline.
    static func text() -> String {
        var writer = IndentedJSON()
        writer.open("{")
        writer.member("$schema", string: "https://json-schema.org/draft/2020-12/schema")
        writer.member("title", string: "proxy.json of Bearward")
        writeObject(SchemaTables.root, to: &writer)
        writer.close("}")
        return writer.text + "\n"
    }

    /// Writes the members that describe an object.
    private static func writeObject(_ schema: ObjectSchema, to writer: inout IndentedJSON) {
        let keys = schema.keys.filter(\.isAvailable)
        writer.member("type", string: "object")
        writer.member("additionalProperties", raw: "false")
        let required = keys.filter(\.isRequired).map(\.name)
        if !required.isEmpty { writer.member("required", raw: list(required)) }
        writer.open("{", name: "properties")
        for key in keys {
            writer.open("{", name: key.name)
            writer.member("description", string: key.summary)
            if let text = key.defaultText { writer.member("default", raw: text) }
            write(key.type, to: &writer)
            writer.close("}")
        }
        writer.close("}")
    }

    /// Writes the members that describe a type.
    private static func write(_ type: SchemaType, to writer: inout IndentedJSON) {
        switch type {
        case .anything: break
        case .scalar: writer.member("type", raw: #"["string", "number", "boolean"]"#)
        case .null: writer.member("type", string: "null")
        case .boolean: writer.member("type", string: "boolean")
        case .string:
            writer.member("type", string: "string")
            writer.member("minLength", raw: "1")
        case .choice(let known): writer.member("enum", raw: list(known))
        case .integer(let range):
            writer.member("type", string: "integer")
            writer.member("minimum", raw: "\(range.lowerBound)")
            writer.member("maximum", raw: "\(range.upperBound)")
        case .duration:
            writer.member("type", string: "string")
            writer.member("pattern", string: #"^[0-9]+(ms|s|m|h)$|\$\{"#)
        case .size:
            writer.member("type", string: "string")
            writer.member("pattern", string: #"^[0-9]+(B|KiB|MiB|GiB)$|\$\{"#)
        case .array(let element):
            writer.member("type", string: "array")
            writeNested("items", element, to: &writer)
        case .object(let schema): writeObject(schema, to: &writer)
        case .map(let value):
            writer.member("type", string: "object")
            writeNested("additionalProperties", value, to: &writer)
        case .either(let types):
            writer.open("[", name: "anyOf")
            for type in types {
                writer.open("{")
                write(type, to: &writer)
                writer.close("}")
            }
            writer.close("]")
        }
    }

    private static func writeNested(
        _ name: String, _ type: SchemaType, to writer: inout IndentedJSON
    ) {
        writer.open("{", name: name)
        write(type, to: &writer)
        writer.close("}")
    }

    private static func list(_ words: [String]) -> String {
        "[" + words.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
    }
}

/// JSON for people: one member a line.
private struct IndentedJSON {
    private(set) var text = ""
    private var depth = 0

    mutating func open(_ bracket: String, name: String? = nil) {
        begin(name)
        text += bracket
        depth += 1
    }

    mutating func close(_ bracket: String) {
        depth -= 1
        // An object or array without members closes where it was opened.
        if text.hasSuffix("{") || text.hasSuffix("[") {
            text += bracket
        } else {
            text += "\n" + String(repeating: "  ", count: depth) + bracket
        }
    }

    mutating func member(_ name: String, string: String) {
        begin(name)
        text += quoted(string)
    }

    mutating func member(_ name: String, raw: String) {
        begin(name)
        text += raw
    }

    /// The comma, line and name before a value.
    private mutating func begin(_ name: String?) {
        if text.isEmpty { return }
        if !text.hasSuffix("{"), !text.hasSuffix("[") { text += "," }
        text += "\n" + String(repeating: "  ", count: depth)
        if let name { text += quoted(name) + ": " }
    }

    private func quoted(_ string: String) -> String {
        var buffer = ByteBuffer()
        buffer.appendJSONString(string)
        return buffer.withBytes { String(decoding: [UInt8](copying: $0), as: UTF8.self) }
    }
}
