internal import Bytes
internal import HTTP

/// Writes a response's head in HTTP/1.1's form. A stream of HTTP/2 is given the lines that are kept
/// as they were read, and the lines that come on top in this form.
enum ResponseHeadWriter {
    /// A final response's head, but for what speaks of the connection and the empty line.
    static func write(
        _ head: ResponseHead, _ bytes: Span<UInt8>, edits: FieldEdits, isChunked: Bool,
        _ worker: Worker, to output: inout ByteBuffer
    ) {
        appendStatusLine(head, bytes, to: &output)
        dropFields(head, bytes, edits: edits)
        head.fields.appendKept(bytes, to: &output)
        appendAdded(head, edits: edits, worker, to: &output)
        if isChunked { output.append("Transfer-Encoding: chunked\r\n") }
    }

    /// Leaves out what belongs to the upstream's connection, and what the route removes.
    static func dropFields(_ head: ResponseHead, _ bytes: Span<UInt8>, edits: FieldEdits) {
        head.fields.dropHopByHopFields()
        edits.drop(from: head.fields, bytes)
    }

    /// The lines that come on top of a final response's own.
    static func appendAdded(
        _ head: ResponseHead, edits: FieldEdits, _ worker: Worker, to output: inout ByteBuffer
    ) {
        if head.fields.firstIndex(of: .date) == nil { worker.date.append(to: &output) }
        if edits.writesLines { output.append(edits.lines) }
    }

    /// An interim response's head (RFC 9110, section 15.2).
    static func writeInterim(
        _ head: ResponseHead, _ bytes: Span<UInt8>, to output: inout ByteBuffer
    ) {
        appendStatusLine(head, bytes, to: &output)
        head.fields.dropHopByHopFields()
        head.fields.appendKept(bytes, to: &output)
        output.append("\r\n")
    }

    /// The head of `101 (Switching Protocols)`.
    static func writeSwitch(
        _ head: ResponseHead, _ bytes: Span<UInt8>, edits: FieldEdits, to output: inout ByteBuffer
    ) {
        appendStatusLine(head, bytes, to: &output)
        head.fields.dropHopByHopFields()
        edits.drop(from: head.fields, bytes)
        head.fields.appendKept(bytes, to: &output)
        if edits.writesLines { output.append(edits.lines) }
        output.append("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    }

    private static func appendStatusLine(
        _ head: ResponseHead, _ bytes: Span<UInt8>, to output: inout ByteBuffer
    ) {
        output.append("HTTP/1.1 ")
        output.append(decimal: Int(head.status))
        output.append(" ")
        if head.reason.isEmpty {
            // HTTP/2 has none, and some clients do not understand a status line without.
            output.append(StatusText.phrase(Int(head.status)))
        } else {
            output.append(bytes, head.reason)
        }
        output.append("\r\n")
    }
}

extension ResponseHead {
    /// Whether a 101 switches to the WebSocket protocol and to nothing else.
    func isSwitchToWebSocket(_ bytes: Span<UInt8>) -> Bool {
        guard fields.saysUpgrade, fields.upgrade >= 0 else { return false }
        return bytes.extracting(fields[fields.upgrade].value).isEqualIgnoringCase(to: "websocket")
    }
}
