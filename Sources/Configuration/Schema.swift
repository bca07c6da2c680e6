/// The keys of one object of the configuration.
///
/// The tables in `SchemaTables.swift` are the only list of keys: the decoder takes names, defaults
/// and bounds from them, and `proxy.schema.json` is written from them.
struct ObjectSchema: Sendable {
    /// How messages call the object.
    let name: String
    let keys: [SchemaKey]

    init(_ name: String, _ keys: [SchemaKey]) {
        self.name = name
        self.keys = keys
    }
}

/// One key.
struct SchemaKey: Sendable {
    let name: String
    let type: SchemaType
    /// What editors show.
    let summary: String
    /// The default as JSON text.
    let defaultText: String?
    let isRequired: Bool
    /// False for a key whose feature is not built yet.
    let isAvailable: Bool

    init(
        _ name: String, _ type: SchemaType, _ summary: String, default defaultText: String? = nil,
        isRequired: Bool = false
    ) {
        self.name = name
        self.type = type
        self.summary = summary
        self.defaultText = defaultText
        self.isRequired = isRequired
        isAvailable = true
    }

    /// A key of the contract whose feature is not built yet: an error wherever it stands.
    init(later name: String) {
        self.name = name
        type = .anything
        summary = ""
        defaultText = nil
        isRequired = false
        isAvailable = false
    }
}

/// What a key may hold.
indirect enum SchemaType: Sendable {
    case anything
    case scalar
    case null
    case boolean
    case string
    case choice([String])
    case integer(ClosedRange<Int>)
    /// A number and `ms`, `s`, `m` or `h`.
    case duration(ClosedRange<Duration>)
    /// A number and `B`, `KiB`, `MiB` or `GiB`.
    case size(ClosedRange<Int>)
    case array(SchemaType)
    case object(ObjectSchema)
    /// An object whose names are the file's own.
    case map(SchemaType)
    case either([SchemaType])

    /// The objects in this type.
    var objects: [ObjectSchema] {
        switch self {
        case .object(let schema): [schema]
        case .array(let element), .map(let element): element.objects
        case .either(let types): types.flatMap(\.objects)
        default: []
        }
    }
}
