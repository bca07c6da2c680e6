import Bytes

/// The headers of the last tokens by their text: an issuer writes the same one into all tokens that
/// a key of its signs. Not for two threads.
final class RecentHeaders {
    private static let maxCount = 4
    /// A text of more bytes is not worth the memory; usual ones have about 100.
    private static let maxBytes = 512

    private var headers: [JOSEHeader] = []
    private var oldest = 0

    func find(_ text: Span<UInt8>) -> JOSEHeader? {
        for header in headers {
            let known = header.text
            if text.isEqual(to: known.span) { return header }
        }
        return nil
    }

    func keep(_ header: JOSEHeader) {
        guard header.text.count <= RecentHeaders.maxBytes else { return }
        if headers.count < RecentHeaders.maxCount {
            headers.append(header)
        } else {
            headers[oldest] = header
            oldest = (oldest + 1) % RecentHeaders.maxCount
        }
    }
}
