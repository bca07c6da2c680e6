internal import Bytes
package import Configuration
internal import EventLoop

/// Asks the admin listener of a running server, and waits for the answer: for the command line.
package struct AdminClient {
    /// Why there is no answer.
    package enum Failure: Error, Equatable {
        /// Nobody listens at the address; the system's words.
        case unreachable(String)
        /// Whoever listens there did not answer in time.
        case timeout
        /// What came is no answer of an admin listener.
        case malformed
    }

    /// An answer: its status and its whole body.
    package struct Answer: Equatable, Sendable {
        /// The status code.
        package let status: Int
        /// The body.
        package let body: [UInt8]
    }

    /// Milliseconds for a connection and an answer.
    static let timeoutMilliseconds: Int64 = 5000

    private let address: Configuration.ListenAddress

    /// A client of the admin listener at this address of the configuration.
    package init(_ address: Configuration.ListenAddress) {
        self.address = address
    }

    /// Sends a request without a body. The target needs no escapes.
    package func ask(_ method: StaticString, _ target: String) throws(Failure) -> Answer {
        var request = ByteBuffer()
        request.append(method)
        request.append(" ")
        request.append(target)
        request.append(" HTTP/1.1\r\nHost: ")
        request.append(host)
        request.append("\r\nConnection: close\r\n\r\n")
        var failure = Failure.unreachable(SystemError.addressNotFound.message)
        for address in try addresses() {
            do throws(Failure) {
                return try ask(request, at: address)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private var host: String {
        if case .unix = address { return "localhost" }
        return address.description
    }

    private func addresses() throws(Failure) -> [SocketAddress] {
        switch address {
        case .unix(let path): return [.unix(path)]
        case .tcp(let host, let port):
            do throws(SystemError) {
                return try Resolver.addresses(of: host, port: port)
            } catch {
                throw .unreachable(error.message)
            }
        }
    }

    private func ask(
        _ request: borrowing ByteBuffer, at address: SocketAddress
    ) throws(Failure) -> Answer {
        let call: AdminCall
        do throws(SystemError) {
            call = try AdminCall(request, to: address)
        } catch {
            throw .unreachable(error.message)
        }
        return try call.run()
    }
}
