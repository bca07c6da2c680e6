internal import Bytes
internal import HTTP
internal import Keys

/// What a key server answered, as far as it matters here.
struct KeyResponse: Equatable {
    let status: Int
    /// Only a 200's; empty otherwise.
    var body: [UInt8] = []
    /// The entity tag, as it is sent back in `If-None-Match`.
    var etag: String?
    /// Where a redirect leads; nil where that is not said, or said twice.
    var location: String?
    /// What it says of its own age and lifetime.
    var freshness = Freshness()

    /// Whether it names another place for the same GET (RFC 9110, section 15.4).
    var isRedirect: Bool {
        switch status {
        case 301, 302, 303, 307, 308: true
        default: false
        }
    }
}

/// Reads one response to a GET from the bytes of its connection, within bounds. No I/O.
///
///     head ──▶ body ──▶ complete
///      ↺ interim
struct KeyResponseReader: ~Copyable {
    /// As for upstreams.
    private static let maxHead = HTTP1Upstream.maxHead
    private static let maxFields = HTTP1Upstream.maxFields
    /// Interim responses before the final one. Servers send one or two, if any.
    private static let maxInterim = 8
    /// Longest entity tag kept; a longer one is taken for none.
    private static let maxEntityTag = 512

    private let maxBytes: Int
    private let head = ResponseHead(maxFields: maxFields)
    private var input = HeldInput()
    private var interimCount = 0
    /// Bytes received, framing and all.
    private var received = 0
    private var decoder = BodyDecoder(.none)
    private var response: KeyResponse?
    private var body = ByteBuffer()

    /// `maxBytes`: what a body may have.
    init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    /// Takes the next bytes. The response where it is whole, nil where more has to come.
    mutating func read(_ bytes: Span<UInt8>) throws(KeyFault) -> KeyResponse? {
        received &+= bytes.count
        // Chunks may cost more than they carry, but not without end.
        guard received <= Self.maxHead + 4 * maxBytes else { throw .tooLarge }
        if response != nil { return try readBody(bytes, from: 0) }
        if input.isEmpty { return try readHead(bytes) }
        input.append(bytes)
        guard input.isWorthParsing() || input.count > Self.maxHead else { return nil }
        let held = input.take()
        return try held.withBytes { (bytes) throws(KeyFault) in try readHead(bytes) }
    }

    /// The connection ended. The response if that makes it whole.
    mutating func end() throws(KeyFault) -> KeyResponse {
        guard let response, decoder.endsWithConnection else { throw .cutShort }
        return whole(response)
    }

    private func whole(_ response: KeyResponse) -> KeyResponse {
        var response = response
        response.body = body.withBytes { [UInt8](copying: $0) }
        return response
    }

    private mutating func readHead(_ bytes: Span<UInt8>) throws(KeyFault) -> KeyResponse? {
        var start = 0
        while true {
            let rest = bytes.extracting(start..<bytes.count)
            guard try parse(rest) else {
                if rest.count > Self.maxHead { throw .malformed }
                input.append(rest)
                input.startHead()
                return nil
            }
            if head.length > Self.maxHead { throw .malformed }
            guard head.isInterim else {
                return try take(rest)
            }
            interimCount += 1
            guard interimCount <= Self.maxInterim else { throw .status(Int(head.status)) }
            start &+= head.length
        }
    }

    private func parse(_ bytes: Span<UInt8>) throws(KeyFault) -> Bool {
        do throws(MessageError) {
            return try head.parse(bytes)
        } catch {
            throw .malformed
        }
    }

    /// Takes up the final head. A body matters only behind a 200; nothing else is waited for.
    private mutating func take(_ bytes: Span<UInt8>) throws(KeyFault) -> KeyResponse? {
        let response = makeResponse(bytes)
        guard response.status == 200 else { return response }
        if let length = head.fields.contentLength, length > Int64(maxBytes) { throw .tooLarge }
        try checkEncoding(bytes)
        decoder = BodyDecoder(head.framing(toHead: false))
        self.response = response
        return try readBody(bytes, from: head.length)
    }

    private mutating func readBody(
        _ bytes: Span<UInt8>, from start: Int
    ) throws(KeyFault) -> KeyResponse? {
        var offset = start
        while true {
            switch try next(bytes, from: offset) {
            case .needsMore: return nil
            case .complete: return response.map { whole($0) }
            case .data(let range):
                guard body.count + range.count <= maxBytes else { throw .tooLarge }
                body.append(bytes, range)
                offset = range.upperBound
            }
        }
    }

    private mutating func next(
        _ bytes: Span<UInt8>, from offset: Int
    ) throws(KeyFault) -> BodyDecoder.Step {
        do throws(MessageError) {
            return try decoder.next(bytes, from: offset)
        } catch {
            throw .malformed
        }
    }
}

/// The fields that matter.
extension KeyResponseReader {
    private func makeResponse(_ bytes: Span<UInt8>) -> KeyResponse {
        var response = KeyResponse(status: Int(head.status))
        response.etag = only("etag", bytes).flatMap(Self.entityTag)
        response.location = only("location", bytes)
        for index in 0..<head.fields.count {
            let line = head.fields[index]
            response.freshness.read(bytes.extracting(line.name), bytes.extracting(line.value))
        }
        return response
    }

    /// We ask for no coding. Whoever sends one all the same would have to be unpacked, and what is
    /// small packed may be huge unpacked.
    private func checkEncoding(_ bytes: Span<UInt8>) throws(KeyFault) {
        for index in 0..<head.fields.count {
            let line = head.fields[index]
            guard bytes.extracting(line.name).isEqualIgnoringCase(to: "content-encoding") else {
                continue
            }
            var codings = ListCursor(line.value)
            while let coding = codings.next(in: bytes) {
                guard bytes.extracting(coding).isEqualIgnoringCase(to: "identity") else {
                    throw .encoded
                }
            }
        }
    }

    /// The value of a field that stands in the head once, and is text.
    private func only(_ name: StaticString, _ bytes: Span<UInt8>) -> String? {
        var found: Int?
        for index in 0..<head.fields.count
        where bytes.extracting(head.fields[index].name).isEqualIgnoringCase(to: name) {
            if found != nil { return nil }
            found = index
        }
        return found.flatMap { String(validating: bytes.extracting(head.fields[$0].value)) }
    }

    /// A tag of the form of RFC 9110, section 8.8.3, in visible ASCII; nil for anything else. What
    /// comes from a snapshot passes here too: it is sent as it stands.
    static func entityTag(_ text: String) -> String? {
        let isWeak = text.hasPrefix("W/")
        let opaque = isWeak ? text.dropFirst(2) : text[...]
        let bytes = opaque.utf8
        guard (2...maxEntityTag).contains(bytes.count), bytes.first == UInt8(ascii: "\""),
            bytes.last == UInt8(ascii: "\""),
            bytes.dropFirst().dropLast().allSatisfy({ 0x21...0x7e ~= $0 && $0 != 0x22 })
        else { return nil }
        return text
    }
}
