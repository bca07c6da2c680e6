internal import EventLoop
internal import JWT
internal import Keys
internal import OpenSSL

/// A set of keys as it was fetched.
struct FetchedKeySet: Equatable, Sendable {
    let set: JWKSet
    /// The text it was read from, for a snapshot.
    let text: [UInt8]
    let etag: String?
    /// How long the issuer asks for it to be believed, in milliseconds.
    let freshFor: Int64?
}

/// How a look for a set of keys ended.
enum KeySetOutcome: Equatable, Sendable {
    case found(FetchedKeySet)
    /// The set that was found last is still the latest.
    case notModified(freshFor: Int64?)
    case failed(KeyFault)
    /// A set came of which no key can be used: a failure, too.
    case unusable(JWKSet)
}

/// How much a look believes of what a discovery document said within the last hour.
enum DocumentTrust {
    /// The set is where it was said to be.
    case remembered
    /// The same; but where there is nothing new, the document is read again: a key is missed, and
    /// the set may have moved.
    case doubted
    /// The document is read first.
    case forgotten
}

/// Looks for the keys of one issuer, or of one tenant, wherever they are to be had. One look at a
/// time; lives as long as its set is wanted, and remembers between looks what a discovery document
/// said and which version of the set it saw.
///
///     idle ─▶ starting ─▶ discovering ─▶ fetching ─▶ idle
///                  │        ↺ next place    ▲ │
///                  └──── the URL is known ──┘ └▶ discovering: nothing new there, though a key is
///                                                missed; and on to another place, if there is one
final class KeySetFetch: EventHandler {
    private enum State {
        case idle, starting
        /// Asking the first of these for a document.
        case discovering([FetchURL])
        case fetching(FetchURL)
    }

    /// A version of the set, and the place it was seen at: a tag means nothing elsewhere. What the
    /// issuer asked for then holds for as long as it says nothing else (RFC 9111, section 4.3.4).
    private struct Version {
        let etag: String
        let url: FetchURL
        var freshFor: Int64?
    }

    /// Milliseconds that a discovery document is remembered for.
    private static let memory: Int64 = 3_600_000

    private let location: KeyLocation
    private let timeoutMilliseconds: Int64
    private let allowsPlainHTTP: Bool
    private let tls: TLSClientContext?
    private let means: KeyFetchMeans

    private var state = State.idle
    private var timer = Registration.none
    private var deadline = Instant.now
    /// The set that was found last, where it is still there.
    private var held: JWKSet?
    private var trust = DocumentTrust.remembered
    /// What the place that was remembered gave, while the document is read again, and that place.
    private var kept: (outcome: KeySetOutcome, url: FetchURL)?
    private var fetch: KeyFetch?
    private var onEnd: ((KeySetOutcome) -> Void)?
    private var version: Version?
    private var last: FetchedKeySet?
    private var keysURL: (url: FetchURL, until: Instant)?
    /// What the first place said where it has no document; further ones are less likely.
    private var firstFault: KeyFault?

    /// Nothing is looked for yet. `tls`: what `https` servers have to prove.
    init(
        _ policy: KeyFetchPolicy, allowsPlainHTTP: Bool, tls: TLSClientContext?,
        means: KeyFetchMeans
    ) {
        location = policy.location
        timeoutMilliseconds = policy.timeout
        self.allowsPlainHTTP = allowsPlainHTTP
        self.tls = tls
        self.means = means
    }

    /// The version of a set that came from a snapshot. Where a document says where the set is, it
    /// could be another place by now.
    func restore(etag: String?) {
        guard case .url(let url) = location, let etag else { return }
        version = Version(etag: etag, url: url, freshFor: nil)
    }

    /// Whether a look is under way.
    var isLooking: Bool { onEnd != nil }

    /// Begins a look. Its end is told once, in a turn of the loop. `held`: the set that was found
    /// last, where it is still there, so that hearing of no change is enough.
    func look(
        holding held: JWKSet?, _ trust: DocumentTrust, onEnd: @escaping (KeySetOutcome) -> Void
    ) {
        precondition(!isLooking, "one look at a time: whoever asks keeps count")
        self.onEnd = onEnd
        self.held = held
        self.trust = trust
        firstFault = nil
        kept = nil
        deadline = Instant.now.advanced(byMilliseconds: timeoutMilliseconds)
        state = .starting
        timer = means.loop.addTimer(handler: self)
        means.loop.resumeLater(timer)
    }

    /// Ends a look, if there is one. Nobody is told.
    func cancel() {
        onEnd = nil
        (held, kept) = (nil, nil)
        close()
    }

    func ready(_ readiness: Readiness) {}

    func resume() {
        guard case .starting = state else { return }
        switch location {
        case .url(let url): fetchSet(from: url)
        case .discovery(let issuer): discover(issuer)
        // Of a pattern, nothing can be fetched.
        case .tenantURL: end(.failed(.noKeysURL))
        }
    }

    // MARK: The document

    private func discover(_ issuer: String) {
        if trust != .forgotten, let known = keysURL, Instant.now < known.until {
            return fetchSet(from: known.url)
        }
        trust = .forgotten
        askForDocument(DiscoveryDocument.candidates(ofIssuer: issuer))
    }

    private func askForDocument(_ places: [FetchURL]) {
        guard let place = places.first else { return endDocument(firstFault ?? .noKeysURL) }
        state = .discovering(places)
        get(place, etag: nil)
    }

    private func takeDocument(_ outcome: KeyFetchOutcome, _ places: [FetchURL]) {
        do throws(KeyFault) {
            let document = try read(outcome)
            let until = Instant.now.advanced(byMilliseconds: KeySetFetch.memory)
            keysURL = (document.keysURL, until)
            if let kept, kept.url == document.keysURL { return end(kept.outcome) }
            fetchSet(from: document.keysURL)
        } catch {
            guard error.meansNoDocument else { return endDocument(error) }
            firstFault = firstFault ?? error
            askForDocument(Array(places.dropFirst()))
        }
    }

    /// There is no document to be had. What the place gave that an earlier one named is as good as
    /// it was then.
    private func endDocument(_ fault: KeyFault) {
        end(kept?.outcome ?? .failed(fault))
    }

    private func read(_ outcome: KeyFetchOutcome) throws(KeyFault) -> DiscoveryDocument {
        guard case .discovery(let issuer) = location else { throw .noKeysURL }
        switch outcome {
        case .body(let text, _, _):
            return try DiscoveryDocument(parsing: text.span, expecting: issuer)
        // Nothing was there to be compared with.
        case .notModified: throw .status(304)
        case .failed(let fault): throw fault
        }
    }

    // MARK: The set

    private func fetchSet(from url: FetchURL) {
        state = .fetching(url)
        let isSeen = held != nil && version?.url == url
        get(url, etag: isSeen ? version?.etag : nil)
    }

    private func takeSet(_ outcome: KeyFetchOutcome, from url: FetchURL) {
        switch outcome {
        case .body(let text, let etag, let freshFor):
            do throws(JWKSet.Failure) {
                let set = try self.set(in: text)
                let found = FetchedKeySet(set: set, text: text, etag: etag, freshFor: freshFor)
                if set.keys.isEmpty { return fail(.unusable(set)) }
                last = found
                version = etag.map { Version(etag: $0, url: url, freshFor: freshFor) }
                let isNew = held.map { !$0.hasSameKeys(as: set) } ?? true
                end(.found(found), hasNews: isNew, from: url)
            } catch {
                fail(.failed(KeyFault(error)))
            }
        case .notModified(let freshFor):
            if let freshFor { version?.freshFor = freshFor }
            end(.notModified(freshFor: version?.freshFor), hasNews: false, from: url)
        case .failed(let fault): fail(.failed(fault))
        }
    }

    /// Reading 256 keys takes long enough to be felt, and most looks find what the last one did.
    private func set(in text: [UInt8]) throws(JWKSet.Failure) -> JWKSet {
        if let last, last.text == text { return last.set }
        return try JWKSet(parsing: text.span)
    }

    /// Ends the look with a set, or with a look at what the document says by now.
    private func end(_ outcome: KeySetOutcome, hasNews: Bool, from url: FetchURL) {
        guard !hasNews, trust == .doubted, case .discovery(let issuer) = location else {
            return end(outcome)
        }
        kept = (outcome, url)
        trust = .forgotten
        askForDocument(DiscoveryDocument.candidates(ofIssuer: issuer))
    }

    /// The set cannot be had where the document said, which may say something else by now.
    private func fail(_ outcome: KeySetOutcome) {
        keysURL = nil
        end(outcome)
    }

    // MARK: Both

    private func get(_ url: FetchURL, etag: String?) {
        let left = deadline.milliseconds(since: Instant.now)
        let request = KeyFetchRequest(
            url: url, etag: etag, timeoutMilliseconds: max(0, left),
            allowsPlainHTTP: allowsPlainHTTP)
        fetch = KeyFetch(request, tls: tls, means: means) { [weak self] in self?.take($0) }
    }

    private func take(_ outcome: KeyFetchOutcome) {
        fetch = nil
        switch state {
        case .discovering(let places): takeDocument(outcome, places)
        case .fetching(let url): takeSet(outcome, from: url)
        case .idle, .starting: break
        }
    }

    private func end(_ outcome: KeySetOutcome) {
        let tell = onEnd
        onEnd = nil
        (held, kept) = (nil, nil)
        close()
        tell?(outcome)
    }

    private func close() {
        fetch?.cancel()
        fetch = nil
        state = .idle
        means.loop.forget(timer)
        timer = .none
    }
}
