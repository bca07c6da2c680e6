internal import Configuration
internal import EventLoop
internal import Logging
internal import OpenSSL

/// Watches the files that TLS is made of, of listeners, upstreams and key fetching, and hands each
/// new set to those who use it.
///
/// The files of a block are taken as a set, and only one that a context can be made of: whoever
/// replaces a certificate and its key does so one after the other, and between the two they do not
/// belong together. Such a set leaves the last good one in force; the log hears of it if the set
/// is still bad a look later. As with `KeyFiles`, a look each second costs a `stat` a file.
final class CertificateFiles: EventHandler {
    /// What to do with a set that is new and good.
    struct Actions {
        let onServer: (Int, TLSServerContext.Settings) -> Void
        let onClient: (Int, TLSClientContext.Settings) -> Void
        let onIssuer: (Int, TLSClientContext.Settings) -> Void
    }

    /// Whose files they are: a place in the configuration, and what is in force there.
    private enum Owner {
        case listener(Int, Configuration.ListenerTLS, TLSServerContext.Settings)
        case upstream(Int, Configuration.UpstreamTLS, TLSClientContext.Settings)
        case issuer(Int, Configuration.FetchedKeys, TLSClientContext.Settings)
    }

    /// What the last look found.
    private enum State {
        case good
        /// Bad once: perhaps half replaced.
        case suspect
        /// Bad, and the log says so.
        case faulty
    }

    private struct Watched {
        var owner: Owner
        let metadata: Logger.Metadata
        let files: [String]
        var fingerprints: [Files.Fingerprint?] = []
        var state = State.good
    }

    private static let intervalMilliseconds: Int64 = 1000

    private let loop: EventLoop
    private let logger: Logger
    private let actions: Actions
    private var blocks: [Watched] = []
    private var timer = Registration.none

    init(
        _ configuration: Configuration, loop: EventLoop, logger: Logger, actions: Actions
    ) {
        self.loop = loop
        self.logger = logger
        self.actions = actions
        for (index, listener) in configuration.listeners.enumerated() {
            guard let tls = listener.tls else { continue }
            blocks.append(
                Watched(
                    owner: .listener(index, tls, tls.settings),
                    metadata: ["listener": "\(listener.address)"], files: tls.files))
        }
        for (index, upstream) in configuration.upstreams.enumerated() {
            guard let tls = upstream.tls, !tls.files.isEmpty else { continue }
            blocks.append(
                Watched(
                    owner: .upstream(index, tls, tls.settings),
                    metadata: ["upstream": "\(upstream.name)"], files: tls.files))
        }
        for (index, issuer) in configuration.issuers.enumerated() {
            guard case .fetched(let keys) = issuer.keys, !keys.files.isEmpty else { continue }
            blocks.append(
                Watched(
                    owner: .issuer(index, keys, keys.settings),
                    metadata: ["issuer": "\(issuer.name)"], files: keys.files))
        }
    }

    /// Looks now, since files may have changed after the configuration was read, and then each
    /// second.
    func start() {
        guard !blocks.isEmpty else { return }
        timer = loop.addTimer(handler: self)
        deadlineReached()
    }

    func ready(_ readiness: Readiness) {}

    func deadlineReached() {
        for index in blocks.indices { look(at: index) }
        loop.setDeadline(
            timer, loop.now.advanced(byMilliseconds: CertificateFiles.intervalMilliseconds))
    }

    private func look(at index: Int) {
        // Before the files are read: what changes in between is seen by the next look.
        let fingerprints = blocks[index].files.map { Files.fingerprint($0) }
        let isSame = fingerprints == blocks[index].fingerprints
        if isSame, blocks[index].state != .suspect { return }
        blocks[index].fingerprints = fingerprints
        do throws(CertificateFault) {
            if try takeUp(index) { logger.info("certificates read", metadata: metadata(index)) }
            blocks[index].state = .good
        } catch {
            complain(error, index)
        }
    }

    /// Reads the set and tells of it if it is another than that in force; whether it is.
    private func takeUp(_ index: Int) throws(CertificateFault) -> Bool {
        switch blocks[index].owner {
        case .listener(let place, let tls, let inForce):
            var settings = try tls.settings(reading: CertificateFiles.read)
            if settings == inForce { return false }
            try check(&settings, index, inForce: inForce)
            if settings == inForce { return false }
            blocks[index].owner = .listener(place, tls, settings)
            actions.onServer(place, settings)
        case .upstream(let place, let tls, let inForce):
            let settings = try tls.settings(reading: CertificateFiles.read)
            if settings == inForce { return false }
            try CertificateFiles.check(settings)
            blocks[index].owner = .upstream(place, tls, settings)
            actions.onClient(place, settings)
        case .issuer(let place, let keys, let inForce):
            let settings = try keys.settings(reading: CertificateFiles.read)
            if settings == inForce { return false }
            try CertificateFiles.check(settings)
            blocks[index].owner = .issuer(place, keys, settings)
            actions.onIssuer(place, settings)
        }
        return true
    }

    private static func read(_ path: String) throws(CertificateFault) -> [UInt8] {
        do throws(SystemError) {
            return try Files.read(path, maxBytes: ConfigurationFile.maxNamedFile)
        } catch {
            throw .unreadable(path, error)
        }
    }

    /// Makes a context of the settings. A response about the certificate that was replaced must not
    /// keep the new one out until it expires: a look later the set is taken without it.
    private func check(
        _ settings: inout TLSServerContext.Settings, _ index: Int,
        inForce: TLSServerContext.Settings
    ) throws(CertificateFault) {
        var attempts = settings.identities.count
        while true {
            do throws(TLSMaterialError) {
                _ = try TLSServerContext(settings, tickets: TLSTicketKeys())
                return
            } catch {
                guard case .badStaple(let place) = error, blocks[index].state != .good,
                    attempts > 0
                else { throw .unusable(error) }
                attempts -= 1
                let (old, new) = (inForce.identities[place], settings.identities[place])
                let isSame =
                    old.certificateChain == new.certificateChain && old.privateKey == new.privateKey
                settings.identities[place] = TLSIdentity(
                    certificateChain: new.certificateChain, privateKey: new.privateKey,
                    staple: isSame ? old.staple : nil)
                logger.warning(
                    "OCSP response cannot be used, or is about another certificate",
                    metadata: metadata(index).merging(["certificate": "\(place)"]) { $1 })
            }
        }
    }

    private static func check(_ settings: TLSClientContext.Settings) throws(CertificateFault) {
        do throws(TLSMaterialError) {
            _ = try TLSClientContext(settings)
        } catch {
            throw .unusable(error)
        }
    }

    private func complain(_ fault: CertificateFault, _ index: Int) {
        switch blocks[index].state {
        case .good: blocks[index].state = .suspect
        case .faulty: break
        case .suspect:
            blocks[index].state = .faulty
            logger.error(
                "certificates cannot be used: the last good ones stay",
                metadata: metadata(index).merging(["fault": "\(fault)"]) { $1 })
        }
    }

    private func metadata(_ index: Int) -> Logger.Metadata { blocks[index].metadata }
}

/// Why a set of files cannot be used.
enum CertificateFault: Error, Equatable, CustomStringConvertible {
    case unreadable(String, SystemError)
    case unusable(TLSMaterialError)

    var description: String {
        switch self {
        case .unreadable(let path, let error): "\(path): \(error.message)"
        case .unusable(let error): error.description
        }
    }
}
