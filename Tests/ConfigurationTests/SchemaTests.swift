import Bytes
import Foundation
import JSON
import Testing

@testable import Configuration

@Suite struct SchemaTests {
    private var shipped: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "proxy.schema.json")
    }

    /// After a change of the tables, `WRITE_SCHEMA=1 swift test --filter SchemaTests` writes
    /// the file.
    @Test func theShippedSchemaIsThatOfTheDecoder() throws {
        let text = JSONSchemaWriter.text()
        if ProcessInfo.processInfo.environment["WRITE_SCHEMA"] != nil {
            try text.write(to: shipped, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: shipped, encoding: .utf8) == text)
    }

    @Test func theSchemaIsJSONAndNamesEveryKeyWithADescription() throws {
        let schema = try JSONValue(parsing: JSONSchemaWriter.text().utf8Span.span)
        func check(_ value: JSONValue, _ keys: ObjectSchema) {
            let properties = value.object?["properties"]?.object
            #expect(properties?.members.map(\.name) == keys.keys.filter(\.isAvailable).map(\.name))
            #expect(value.object?["additionalProperties"]?.bool == false)
            for member in properties?.members ?? [] {
                #expect(member.value.object?["description"]?.string?.isEmpty == false)
            }
        }
        check(schema, SchemaTables.root)
        let properties = try #require(schema.object?["properties"]?.object)
        let listener = try #require(properties["listeners"]?.object?["items"])
        check(listener, SchemaTables.listener)
        let issuer = try #require(properties["issuers"]?.object?["additionalProperties"])
        check(issuer, SchemaTables.issuer)
        let route = try #require(properties["routes"]?.object?["items"])
        check(route, SchemaTables.route)
    }

    @Test func defaultsAreWhatTheirKeysMayHold() throws {
        var pending = [SchemaTables.root]
        while let schema = pending.popLast() {
            for key in schema.keys {
                pending += key.type.objects
                guard let text = key.defaultText else { continue }
                let value = try JSONValue(parsing: text.utf8Span.span)
                let object = JSONObject(members: [.init(name: key.name, value: value)])
                let diagnostics = Diagnostics()
                let others = schema.keys.filter { $0.name == key.name }
                let reader = try #require(
                    ObjectReader(
                        JSONValue(.object(object)), as: ObjectSchema(schema.name, others),
                        diagnostics))
                switch key.type {
                case .duration: #expect(reader.duration(key.name) != nil)
                case .size: #expect(reader.size(key.name) != nil)
                case .integer: #expect(reader.integer(key.name) != nil)
                case .choice: #expect(reader.choice(key.name) != nil)
                case .string: #expect(reader.string(key.name) != nil)
                case .boolean: #expect(value.bool == false)
                case .array: #expect(reader.elements(key.name) != nil)
                default: Issue.record("a default of a kind that is not checked: \(key.name)")
                }
                #expect(!diagnostics.hasErrors)
            }
        }
    }
}
