import Keys
import Testing

@testable import Gateway

@Suite("What a key server answers, byte by byte")
struct KeyResponseTests {
    /// What came of an answer.
    private enum Reading: Equatable {
        case whole(KeyResponse)
        case fault(KeyFault)
        case unfinished
    }

    /// Reads an answer in pieces of these lengths, the last for all the rest; then, where it is not
    /// whole, its connection ends.
    private func read(_ bytes: [UInt8], in lengths: [Int], ends: Bool = true) -> Reading {
        var reader = KeyResponseReader(maxBytes: 100)
        var offset = 0
        var lengths = lengths[...]
        do throws(KeyFault) {
            while offset < bytes.count {
                let length = max(1, (lengths.count > 1 ? lengths.popFirst() : lengths.first) ?? 1)
                let end = min(bytes.count, offset + length)
                if let response = try reader.read(bytes[offset..<end].span) {
                    return .whole(response)
                }
                offset = end
            }
            return ends ? .whole(try reader.end()) : .unfinished
        } catch {
            return .fault(error)
        }
    }

    private static let answers = [
        "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=300\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200\r\nServer: x\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: W/\"a\"\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello",
    ]

    @Test("Wherever the pieces end, the answer is the same", arguments: answers)
    func pieces(_ text: String) {
        let bytes = Array(text.utf8)
        let whole = read(bytes, in: [bytes.count])
        #expect(read(bytes, in: [1]) == whole)
        for length in 1..<bytes.count {
            #expect(read(bytes, in: [length, bytes.count]) == whole)
            #expect(read(bytes, in: [length]) == whole)
        }
    }

    @Test("An answer cut anywhere is not whole, or was whole before", arguments: answers)
    func cut(_ text: String) {
        let bytes = Array(text.utf8)
        guard case .whole(let whole) = read(bytes, in: [bytes.count], ends: false) else { return }
        for length in 0..<bytes.count {
            switch read(Array(bytes.prefix(length)), in: [length]) {
            case .whole(let response):
                // Only where the body is not waited for.
                #expect(response == whole && response.status != 200)
            case .fault(let fault): #expect(fault == .cutShort)
            case .unfinished: Issue.record("it ended")
            }
        }
    }

    @Test("Whatever bytes come, the body is within its bound", arguments: answers)
    func mutations(_ text: String) {
        var random = SystemRandomNumberGenerator()
        let pieces = [
            "\r\n", "\r\n\r\n", ":", ";", "0", "ffffffffffffffff", "\0", "\u{e9}", "HTTP/1.1 ",
        ]
        for _ in 0..<2000 {
            var bytes = Array(text.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = .random(in: 0 ... .max, using: &random)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: bytes.prefix(place), at: place)
                default:
                    let piece = pieces.randomElement(using: &random) ?? ""
                    bytes.insert(contentsOf: piece.utf8, at: place)
                }
                if bytes.isEmpty { bytes = [0] }
            }
            let step = Int.random(in: 1...40, using: &random)
            if case .whole(let response) = read(bytes, in: [step]) {
                #expect(response.body.count <= 100, "\(bytes)")
                #expect((100...599).contains(response.status), "\(bytes)")
            }
        }
    }

    @Test("A redirect is one of five; other answers of their class are not")
    func redirects() {
        for status in 100...599 {
            let expected = [301, 302, 303, 307, 308].contains(status)
            #expect(KeyResponse(status: status).isRedirect == expected)
        }
    }

    @Test(
        "Tags are kept as they are to be sent",
        arguments: ["\"\"", "\"a\"", "W/\"a\"", "\"!#~\"", "\"\\\""])
    func tags(_ tag: String) {
        #expect(KeyResponseReader.entityTag(tag) == tag)
    }

    @Test(
        "What is no tag is not kept",
        arguments: [
            "", "\"", "a", "W/", "W/a", "w/\"a\"", "\"a", "a\"", "\"a\"b", "\"a\"\"", "\"a b\"",
            "\"a\tb\"", "\"a\rb\"", "\"\u{7f}\"", "\"\u{e9}\"", "*",
            "\"" + String(repeating: "a", count: 600) + "\"",
        ])
    func badTags(_ tag: String) {
        #expect(KeyResponseReader.entityTag(tag) == nil)
    }
}
