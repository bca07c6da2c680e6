/// A file with keys or certificates that a configuration names.
struct MaterialFile {
    let path: String
    let contents: [UInt8]
    /// Where the configuration names it.
    let offset: Int
}

extension FileAccess {
    /// The file that a key names; nil where the key is absent, or with a report where the file
    /// cannot be read.
    func material(_ key: String, of reader: ObjectReader) -> MaterialFile? {
        guard let text = reader.string(key) else { return nil }
        let path = resolve(text.value)
        guard let contents = read(path) else {
            reader.diagnostics.error(
                "\"\(key)\": the file \"\(path)\" cannot be read", at: text.offset)
            return nil
        }
        return MaterialFile(path: path, contents: contents, offset: text.offset)
    }
}
