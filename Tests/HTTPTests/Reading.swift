import Bytes
import HTTP

/// One way of ending: complete, waiting for more, or refused.
enum Outcome: Equatable {
    case complete
    case incomplete
    case refused(MessageError)
}

extension RequestHead {
    /// Parses and says how it ended.
    func outcome(_ bytes: Span<UInt8>) -> Outcome {
        do throws(MessageError) { return try parse(bytes) ? .complete : .incomplete } catch {
            return .refused(error)
        }
    }
}

extension ResponseHead {
    /// Parses and says how it ended.
    func outcome(_ bytes: Span<UInt8>) -> Outcome {
        do throws(MessageError) { return try parse(bytes) ? .complete : .incomplete } catch {
            return .refused(error)
        }
    }
}

/// What a parsed request says, as text, so that two readings can be compared.
struct RequestFacts: Equatable {
    var method: String
    var path: String
    var query: String
    var authority: String
    var form: RequestHead.TargetForm
    var minorVersion: UInt8
    var length: Int
    var framing: BodyFraming
    var wantsKeepAlive: Bool
    var fields: [String]

    init(_ head: RequestHead, _ bytes: [UInt8]) {
        func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        method = text(head.method)
        path = text(head.path)
        query = text(head.query)
        authority = text(head.authority)
        form = head.form
        minorVersion = head.minorVersion
        length = head.length
        framing = head.framing
        wantsKeepAlive = head.wantsKeepAlive
        fields = (0..<head.fields.count).map { index in
            let line = head.fields[index]
            return "\(text(line.name))=\(text(line.value)) \(line.kind) \(line.isDropped)"
        }
    }
}

/// How a body was read: its data, where it ended, its trailers, and what was wrong with it.
struct BodyReading: Equatable {
    var data: [UInt8] = []
    var end: Int?
    var trailers: [UInt8] = []
    var error: MessageError?

    /// Reads a body that arrives in the given pieces.
    init(_ framing: BodyFraming, _ pieces: [[UInt8]]) {
        var decoder = BodyDecoder(framing)
        var before = 0
        for piece in pieces where end == nil && error == nil {
            do throws(MessageError) {
                try read(piece, with: &decoder, before: before)
            } catch {
                self.error = error
            }
            before += piece.count
        }
        trailers = decoder.trailers.withBytes { Array(copying: $0) }
    }

    private mutating func read(
        _ piece: [UInt8], with decoder: inout BodyDecoder, before: Int
    ) throws(MessageError) {
        var offset = 0
        while true {
            switch try decoder.next(piece.span, from: offset) {
            case .data(let range):
                data += piece[range]
                offset = range.upperBound
            case .needsMore: return
            case .complete(let end):
                self.end = before + end
                return
            }
        }
    }
}

/// A head of these lines, with its empty line.
func head(_ lines: String...) -> String {
    lines.joined(separator: "\r\n") + "\r\n\r\n"
}
