import Bytes
import JSON

/// `"${NAME}"` inside a value takes an environment variable; `"$${"` is a literal `${`. What is
/// put in is not looked at again.
struct EnvironmentSubstitution {
    let environment: [String: String]
    let diagnostics: Diagnostics

    /// The value with every string in it substituted. Names of members stay as they are.
    func apply(to value: JSONValue) -> JSONValue {
        switch value.kind {
        case .string(let text):
            return JSONValue(.string(substitute(text, at: value.offset)), at: value.offset)
        case .array(let elements):
            return JSONValue(.array(elements.map { apply(to: $0) }), at: value.offset)
        case .object(let object):
            let members = object.members.map {
                JSONObject.Member(
                    name: $0.name, nameOffset: $0.nameOffset, value: apply(to: $0.value))
            }
            return JSONValue(.object(JSONObject(members: members)), at: value.offset)
        case .null, .bool, .number:
            return value
        }
    }

    private func substitute(_ text: String, at offset: Int) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        var result = ""
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$${") {
                result += "${"
                rest = rest.dropFirst(3)
            } else if rest.hasPrefix("${") {
                guard let end = rest.firstIndex(of: "}") else {
                    diagnostics.error(
                        "\"${\" without \"}\"", at: offset,
                        hint: "write \"$${\" for a literal \"${\""
                    )
                    return result
                }
                result += self.value(of: String(rest.dropFirst(2)[..<end]), at: offset)
                rest = rest[end...].dropFirst()
            } else {
                result += "$"
                rest = rest.dropFirst()
            }
        }
        return result + rest
    }

    private func value(of name: String, at offset: Int) -> String {
        let isName =
            name.utf8.first.map { !ASCII.isDigit($0) } ?? false
            && name.utf8.allSatisfy {
                $0 == UInt8(ascii: "_") || ASCII.isDigit($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
            }
        guard isName else {
            diagnostics.error(
                "\"${\(name)}\" is no environment variable's name", at: offset,
                hint: "write \"$${\" for a literal \"${\"")
            return ""
        }
        guard let value = environment[name] else {
            diagnostics.error("the environment variable \(name) is not set", at: offset)
            return ""
        }
        return value
    }
}
