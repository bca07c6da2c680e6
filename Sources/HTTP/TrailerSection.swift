package import Bytes

/// The fields behind a chunked body (RFC 9110, section 6.5).
package enum TrailerSection {
    /// Checks collected trailer lines and appends those that may go on to `output`. A line about
    /// framing, routing or authentication is an error: what was checked in the head may not be said
    /// anew behind it. `isRemoved` names further fields to leave out.
    package static func appendForwardable(
        _ lines: Span<UInt8>, maxFields: Int, to output: inout ByteBuffer,
        isRemoved: (Span<UInt8>) -> Bool
    ) throws(MessageError) {
        var offset = 0
        var count = 0
        while offset < lines.count {
            let parsed: FieldLine?
            do throws(MessageError) {
                parsed = try FieldSection.line(in: lines, at: offset)
            } catch {
                throw .trailers
            }
            guard let line = parsed, count < maxFields else { throw .trailers }
            guard line.kind.isAllowedInTrailers else { throw .trailers }
            if !isRemoved(lines.extracting(line.name)) { output.append(lines, line.line) }
            offset = Int(line.end)
            count += 1
        }
    }
}
