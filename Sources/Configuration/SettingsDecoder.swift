import JWT

/// The blocks that only hold values of their own.
enum SettingsDecoder {
    /// The realm, which must fit between the quotes of a challenge (RFC 9110, section 5.6.4).
    static func realm(_ root: ObjectReader) -> String? {
        guard let realm = root.string("realm") else { return nil }
        let fits = realm.value.utf8.allSatisfy {
            $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        if fits { return realm.value }
        root.diagnostics.error(
            "\"realm\" must be ASCII without quotes, backslashes and controls", at: realm.offset)
        return nil
    }

    static func limits(_ root: ObjectReader) -> Configuration.Limits? {
        guard let reader = root.object("limits", as: SchemaTables.limits) else { return nil }
        let head = reader.size("requestHead")
        let fields = reader.integer("requestFields")
        let token = reader.size("token")
        let connections = reader.integer("connections")
        let streams = reader.integer("concurrentStreams")
        guard let head, let fields, let token, let streams else { return nil }
        return Configuration.Limits(
            requestHead: head, requestFields: fields, token: token, connections: connections,
            concurrentStreams: streams)
    }

    static func timeouts(_ root: ObjectReader) -> Configuration.Timeouts? {
        guard let reader = root.object("timeouts", as: SchemaTables.timeouts) else { return nil }
        let head = reader.duration("head")
        let idle = reader.duration("idle")
        let body = reader.duration("body")
        let drain = reader.duration("drain")
        guard let head, let idle, let body, let drain else { return nil }
        return Configuration.Timeouts(head: head, idle: idle, body: body, drain: drain)
    }

    static func tokenCache(_ root: ObjectReader) -> TokenCacheLimits? {
        guard let reader = root.object("tokenCache", as: SchemaTables.tokenCache) else {
            return nil
        }
        let entries = reader.integer("entries")
        let size = reader.size("size")
        let maxAge = reader.duration("maxAge")
        guard let entries, let size, let maxAge else { return nil }
        return TokenCacheLimits(
            entries: entries, bytes: size, maxAgeMilliseconds: maxAge.wholeMilliseconds)
    }

    static func log(_ root: ObjectReader, _ files: FileAccess) -> Configuration.LogSettings? {
        guard let reader = root.object("log", as: SchemaTables.log) else { return nil }
        let level = reader.choice("level")
        let access = reader.string("access")
        guard let level, let access else { return nil }
        let target: Configuration.LogSettings.Access =
            switch access.value {
            case "stdout": .stdout
            case "off": .off
            default: .file(path: files.resolve(access.value))
            }
        return Configuration.LogSettings(level: level, access: target)
    }
}

extension Duration {
    /// Whole milliseconds, rounded down; the schema's bounds keep them small.
    package var wholeMilliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }

    /// Whole seconds, rounded down.
    package var wholeSeconds: Int64 { components.seconds }
}
