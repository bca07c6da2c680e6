internal import EventLoop

/// By whom what waits is told apart: one sender shall not take the turns of the others.
enum SenderKey: Hashable, Sendable {
    case v4(UInt32)
    /// An IPv6 network of 64 bits: what one subscriber has, at least.
    case v6(network: UInt64)
    /// A proxy whose many clients come from one address, or a unix socket's peer: each connection
    /// by itself.
    case connection(ObjectIdentifier)

    init(_ client: Client) {
        guard !client.isTrusted, let address = client.ip?.unmapped else {
            self = .connection(ObjectIdentifier(client))
            return
        }
        switch address {
        case .v4(let bits): self = .v4(bits)
        case .v6(let high, _): self = .v6(network: high)
        }
    }
}

/// A bounded queue that serves senders in turn: each gets one element out, in the order in which it
/// brought them, before anyone gets a second.
///
/// A sender may have as many elements waiting as there are places left, and never more than
/// `maxPerSender`: one that takes all it can get leaves half of the places to the others, two leave
/// a third, and so on.
struct FairQueue<Element> {
    private let maxCount: Int
    private let maxPerSender: Int
    /// What each sender has waiting; none of these is empty.
    private var lines: [SenderKey: FIFO<Element>] = [:]
    /// The senders with something waiting, the next one first.
    private var senders = FIFO<SenderKey>()
    /// How many elements wait.
    private(set) var count = 0

    init(maxCount: Int, maxPerSender: Int) {
        self.maxCount = maxCount
        self.maxPerSender = maxPerSender
    }

    var isEmpty: Bool { count == 0 }

    /// Whether the sender may bring another one.
    func hasRoom(for sender: SenderKey) -> Bool {
        let own = lines[sender]?.count ?? 0
        return own < maxPerSender && own < maxCount - count
    }

    /// Takes an element in, where there is room for it.
    mutating func append(_ element: Element, from sender: SenderKey) -> Bool {
        guard hasRoom(for: sender) else { return false }
        if lines[sender] == nil { senders.append(sender) }
        lines[sender, default: FIFO()].append(element)
        count += 1
        return true
    }

    /// Takes out the element whose turn it is.
    mutating func popFirst() -> Element? {
        guard let sender = senders.popFirst(), let element = lines[sender]?.popFirst() else {
            return nil
        }
        count -= 1
        if lines[sender]?.count == 0 {
            lines[sender] = nil
        } else {
            senders.append(sender)
        }
        return element
    }
}

/// First in, first out, in one array.
struct FIFO<Element> {
    private var elements: [Element?] = []
    /// How many of them have gone.
    private var gone = 0

    var count: Int { elements.count - gone }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard gone < elements.count else { return nil }
        let element = elements[gone].take()
        gone += 1
        if gone == elements.count {
            elements.removeAll(keepingCapacity: gone <= 64)
            gone = 0
        } else if gone >= 64, gone * 2 >= elements.count {
            // Half of it is moved once for each time that as many have gone.
            elements.removeFirst(gone)
            gone = 0
        }
        return element
    }
}
